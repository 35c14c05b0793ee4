"""Sounds to learn from: altered copies of recordings, what is said about each category, and how often it is drawn."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal
import soxr
import yaml

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus.clips import FRAME_SAMPLES, activity

MADE = ('procedural:', 'espeak:')  # source_id prefixes of sounds that are rendered, not recorded


@dataclass(frozen=True)
class Answer:
    """What may be said about a category, and the emotion tag it carries."""

    emotion: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Sound:
    """One thing to hear: int16 samples at 16 kHz, and which 20 ms frames of it are more than silence."""

    category: str
    respond: bool
    source_id: str
    samples: np.ndarray
    active: np.ndarray

    @classmethod
    def of(cls, category: str, respond: bool, source_id: str, samples: Samples) -> Sound:
        peak = float(np.abs(samples).max(initial=1e-9))
        scaled = samples * (0.99 / peak)
        return cls(category, respond, source_id, (scaled * 32_767).astype(np.int16), activity(scaled))

    def excerpt(self, start: int, seconds: float) -> tuple[Samples, np.ndarray]:
        """At most `seconds` from sample `start`, a multiple of 320: (float32 [n], which frames are active)."""
        piece = self.samples[start : start + int(seconds * SAMPLE_RATE_HZ)].astype(np.float32) / np.float32(32_768)
        first = start // FRAME_SAMPLES
        return piece, self.active[first : first + -(-len(piece) // FRAME_SAMPLES)]

    @property
    def onset(self) -> int:
        """Sample where the first active frame begins."""
        return int(np.flatnonzero(self.active)[0]) * FRAME_SAMPLES

    @property
    def audible(self) -> bool:
        """False for empty or all-silent sounds, which cannot be trained on."""
        return bool(self.active.any()) and len(self.samples) > 1_600


def room_response(rng: np.random.Generator) -> Samples:
    """A small room: direct sound, then exponentially decaying coloured noise; RT60 0.1–0.9 s. float32 [n]."""
    rt60_s = rng.uniform(0.1, 0.9)
    length = int(rt60_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(length) * 10 ** (-3.0 * np.arange(length) / length)
    tail = scipy.signal.lfilter([1.0 - (pole := rng.uniform(0.0, 0.7))], [1.0, -pole], tail)
    tail[: int(rng.uniform(0.001, 0.02) * SAMPLE_RATE_HZ)] = 0.0
    direct_to_reverberant_db = rng.uniform(-3.0, 12.0)
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.square(tail).sum() + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def equalise(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another microphone and place: a smooth random gain over log frequency, ±6 dB at seven knots."""
    knots_hz = [60, 150, 400, 1_000, 2_500, 5_000, 8_000]
    length = scipy.fft.next_fast_len(len(samples), real=True)
    spectrum = scipy.fft.rfft(np.asarray(samples, np.float32), length)
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 60.0)
    gain_db = np.interp(np.log(frequency_hz), np.log(knots_hz), rng.uniform(-6.0, 6.0, len(knots_hz)))
    # In single precision: in double this alone would be a fifth of what it costs to prepare a batch.
    gain = (10 ** (gain_db / 20)).astype(np.float32)
    equalised: Samples = scipy.fft.irfft(spectrum * gain, length)[: len(samples)]
    return equalised


def vary(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another time, room, microphone: speed ±25 %, and what `elsewhere` does. float32 [n]."""
    return elsewhere(at_speed(samples, rng.uniform(0.8, 1.25)), rng)


def at_speed(samples: Samples, speed: float) -> Samples:
    """Played faster or slower, and higher or lower with it. float32 [n / speed]."""
    return soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality='MQ').astype(np.float32)


def elsewhere(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another room and microphone: reverberation, equalisation, band limits. float32 [n], a tail of 0.3 s at most."""
    if rng.random() < 0.35:
        samples = scipy.signal.oaconvolve(samples, room_response(rng))[: len(samples) + 4_800]
    samples = equalise(samples, rng)
    if rng.random() < 0.4:  # telephone, small speaker, Bluetooth: many of the recordings are 8 kHz ones
        cutoff_hz = rng.uniform(3_200, 4_000) if rng.random() < 0.5 else rng.uniform(4_000, 7_000)
        sos = scipy.signal.butter(8, cutoff_hz, fs=SAMPLE_RATE_HZ, output='sos')
        samples = scipy.signal.sosfilt(sos, samples)
    return np.asarray(samples, np.float32)


@functools.cache
def load_answers() -> dict[str, Answer]:
    """answers.yaml beside this file, by category."""
    data = yaml.safe_load((Path(__file__).parent / 'answers.yaml').read_text())
    return {category: Answer(row['emotion'], tuple(row['sentences'])) for category, row in data.items()}


RENDERS_WEIGH = 0.5  # of a recording, however many they are: one synthesiser made them all
ENOUGH_RECORDINGS = 30  # more of them do not make a category more important


def category_weight(sources: Iterable[str]) -> float:
    """How often to draw a category, by the recordings and renders it has: as there is something to learn from it.

    Near-proportional: a category of one recording, drawn as often as one of thirty, is learnt by heart, and whatever
    resembles that recording then counts as it.
    """
    distinct = set(sources)
    recorded = sum(not source.startswith(MADE) for source in distinct)
    weight = recorded + (RENDERS_WEIGH if recorded < len(distinct) else 0.0)
    return float(min(weight, ENOUGH_RECORDINGS) ** 0.7)


class SoundPool:
    """Draws sounds so that rare categories are heard too, each as often as there is something to learn from it."""

    def __init__(self, sounds: Iterable[Sound]) -> None:
        self.sounds = list(sounds)
        self._groups: dict[tuple[str, bool], list[Sound]] = {}
        for sound in self.sounds:
            self._groups.setdefault((sound.category, sound.respond), []).append(sound)
        self.categories = sorted({category for category, _ in self._groups})
        self._weights = {
            key: category_weight(sound.source_id for sound in group) for key, group in self._groups.items()
        }

    def draw(self, rng: np.random.Generator, respond: bool | None = None) -> Sound:
        """A random sound; of those that deserve an answer or not, if `respond` is given."""
        keys = [key for key in self._groups if respond is None or key[1] == respond]
        weights = np.array([self._weights[key] for key in keys])
        group = self._groups[keys[int(rng.choice(len(keys), p=weights / weights.sum()))]]
        return group[int(rng.integers(len(group)))]
