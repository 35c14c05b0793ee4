"""Sounds to learn from, and how often each category of them is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, from_integers, to_int16
from training.dsp.activity import FRAME_SAMPLES, activity

MADE = ('procedural:', 'espeak:')  # source_id prefixes of sounds that are rendered, not recorded


@dataclass(frozen=True)
class SoundClip:
    """A `SoundClip` is one thing to hear: int16 [n] at 16 kHz, and which 20 ms frames of it are more than silence."""

    category: str
    respond: bool
    source_id: str
    samples: np.ndarray
    active: np.ndarray

    @classmethod
    def of(cls, category: str, respond: bool, source_id: str, samples: Samples) -> SoundClip:
        """Normalise float32 [n] at 16 kHz to a peak of 0.99 and find its active frames."""
        peak = float(np.abs(samples).max(initial=1e-9))
        scaled = samples * (0.99 / peak)
        return cls(category, respond, source_id, to_int16(scaled), activity(scaled))

    def excerpt(self, start: int, seconds: float) -> tuple[Samples, np.ndarray]:
        """Return at most `seconds` from sample `start`, a multiple of 320: (float32 [n], which frames are active)."""
        piece = from_integers(self.samples[start : start + int(seconds * SAMPLE_RATE_HZ)])
        first = start // FRAME_SAMPLES
        return piece, self.active[first : first + -(-len(piece) // FRAME_SAMPLES)]

    @property
    def onset(self) -> int:
        """Return the sample where the first active frame begins."""
        return int(np.flatnonzero(self.active)[0]) * FRAME_SAMPLES

    @property
    def audible(self) -> bool:
        """Return False for empty or all-silent sounds, which cannot be trained on."""
        return bool(self.active.any()) and len(self.samples) > 1_600


RENDERS_WEIGH = 0.5  # of a recording, however many they are: one synthesiser made them all


ENOUGH_RECORDINGS = 30  # more of them do not make a category more important


def category_weight(sources: Iterable[str]) -> float:
    """Return how often to draw a category, by the recordings and renders it has to learn from.

    The weight is near-proportional: a category of one recording, drawn as often as one of thirty, is learnt by heart,
    and whatever resembles that recording then counts as it.
    """
    distinct = set(sources)
    recorded = sum(not source.startswith(MADE) for source in distinct)
    weight = recorded + (RENDERS_WEIGH if recorded < len(distinct) else 0.0)
    return float(min(weight, ENOUGH_RECORDINGS) ** 0.7)


class SoundPool:
    """A `SoundPool` draws sounds so that rare categories are heard too.

    Each category is drawn as often as there is something to learn from it.
    """

    def __init__(self, sounds: Iterable[SoundClip]) -> None:
        self.sounds = list(sounds)
        self._groups: dict[tuple[str, bool], list[SoundClip]] = {}
        for sound in self.sounds:
            self._groups.setdefault((sound.category, sound.respond), []).append(sound)
        self.categories = sorted({category for category, _ in self._groups})
        self._weights = {
            key: category_weight(sound.source_id for sound in group) for key, group in self._groups.items()
        }

    def draw(self, rng: np.random.Generator, respond: bool | None = None) -> SoundClip:
        """Draw a sound; one that deserves an answer or one that does not, if `respond` is given."""
        keys = [key for key in self._groups if respond is None or key[1] == respond]
        weights = np.array([self._weights[key] for key in keys])
        group = self._groups[keys[int(rng.choice(len(keys), p=weights / weights.sum()))]]
        return group[int(rng.integers(len(group)))]
