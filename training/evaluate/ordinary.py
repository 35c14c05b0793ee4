"""A long recording of sounds that deserve no answer, and what is said in it nonetheless: the false responses."""

from __future__ import annotations

import bisect
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, to_int16
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.evaluate.clip_sets import ClipSet, Scored
from training.evaluate.hearing import Heard, Listener, end_s
from training.evaluate.trials import Listened
from training.random_streams import Purpose, random_stream

_LONGEST_S, _LONGEST_PAUSE_S = 6.0, 4.0
_BEFORE_S, _AFTER_S = 6.0, 1.2  # of a false response: what is kept to listen to


@dataclass(frozen=True)
class Placed:
    """A `Placed` sound lies in samples `onset` … `end` of a recording; `start` is where the pause before it begins."""

    set_name: str
    scored: Scored
    start: int
    onset: int
    end: int


@dataclass(frozen=True)
class OrdinaryAudio:
    """An `OrdinaryAudio` is a recording of ordinary sounds in a row, float32 [n] at 16 kHz, and what lies where."""

    samples: Samples
    placed: tuple[Placed, ...]

    def sounding(self, at_s: float) -> int:
        """Return the number of the sound that a response at `at_s` is about: the last that had begun before."""
        return max(0, bisect.bisect_left(self._onsets_s, at_s) - 1)

    @functools.cached_property
    def _onsets_s(self) -> list[float]:
        return [place.onset / SAMPLE_RATE_HZ for place in self.placed]

    def listened(self, moments_s: Sequence[float]) -> list[tuple[str, Listened]]:
        """Return a stretch for each sound with what was said about it, and the name of its set.

        The unit of a stretch is its recording's family, which a bootstrap draws whole.
        """
        counts = Counter(self.sounding(moment_s) for moment_s in moments_s)
        return [
            (
                place.set_name,
                Listened(place.scored.recording, (place.end - place.start) / SAMPLE_RATE_HZ / 3_600, counts[number]),
            )
            for number, place in enumerate(self.placed)
        ]


@dataclass(frozen=True)
class FalseResponse:
    """A `FalseResponse` is what was said about an ordinary sound, and how it came to that.

    `samples`: int16 [n] at 16 kHz, from `first_s` of the recording on; `probabilities` are P(response) of the decisions
    in that time, each (second from `first_s` on, probability), and `at_s` is the second of the response, counted alike.
    """

    place: Placed
    said: str
    probability: float
    recording_s: float
    samples: np.ndarray
    at_s: float
    probabilities: tuple[tuple[float, float], ...]
    spans: tuple[tuple[float, float, str], ...]


def ordinary_audio(sets: Sequence[ClipSet], seconds: float, seed: int) -> OrdinaryAudio:
    """Return a long recording of those sounds of some sets that deserve no answer, in random order.

    Families of recordings are drawn, all equally often, and one of their sounds: a family of a hundred files counts no
    more than one of a single file. The sounds are 0 … 4 s apart, at random levels over noise.
    """
    families: dict[str, list[tuple[str, Scored]]] = {}
    for one in sets:
        for scored in one.sounds:
            if not scored.sound.respond:
                families.setdefault(scored.recording, []).append((one.name, scored))
    names = sorted(families)
    rng = random_stream(Purpose.ORDINARY_AUDIO, seed)
    pieces: list[Samples] = []
    placed: list[Placed] = []
    at, length = 0, int(seconds * SAMPLE_RATE_HZ)
    while at < length:
        family = families[names[int(rng.integers(len(names)))]]
        set_name, scored = family[int(rng.integers(len(family)))]
        level_dbfs = rng.uniform(-36.0, -14.0)
        piece = scale(*scored.sound.excerpt(0, _LONGEST_S), level_dbfs)
        pause = int(rng.uniform(0.0, _LONGEST_PAUSE_S) * SAMPLE_RATE_HZ)
        stretch = noise_bed(len(piece) + pause, level_dbfs - rng.uniform(5.0, 25.0), rng)
        stretch[pause:] += piece
        pieces.append(stretch)
        placed.append(Placed(set_name, scored, at, min(at + pause, length), min(at + len(stretch), length)))
        at += len(stretch)
    return OrdinaryAudio(np.clip(np.concatenate(pieces)[:length], -1, 1), tuple(placed))


def hear_long(listener: Listener, samples: Samples, threshold: float | None, title: str) -> Heard:
    """Hear one long recording, float32 [n] at 16 kHz, at one threshold or as the checkpoint ships; `title`: a bar."""
    chunks = len(samples) // CHUNK_SAMPLES
    return listener.hear(tqdm(listener.encode(samples), desc=title, total=chunks, unit='chunk'), threshold)


def false_responses(audio: OrdinaryAudio, heard: Heard) -> list[FalseResponse]:
    """Return every response to an ordinary recording, with what can be heard around it."""
    moments_s = [end_s(decision) for decision in heard.decisions]
    found = []
    for response in heard.responses:
        at_s = end_s(response.decision)
        place = audio.placed[audio.sounding(at_s)]
        first_s = max(0.0, min(at_s - 2.0, max(place.onset / SAMPLE_RATE_HZ - 0.5, at_s - _BEFORE_S)))
        first = int(first_s * SAMPLE_RATE_HZ)
        first_s, last_s = first / SAMPLE_RATE_HZ, at_s + _AFTER_S
        near = slice(bisect.bisect_right(moments_s, first_s), bisect.bisect_right(moments_s, last_s))
        spans = (
            (p.onset / SAMPLE_RATE_HZ - first_s, p.end / SAMPLE_RATE_HZ - first_s, p.scored.label) for p in audio.placed
        )
        found.append(
            FalseResponse(
                place=place,
                said=response.text,
                probability=response.decision.probability,
                recording_s=at_s,
                samples=to_int16(audio.samples[first : int(last_s * SAMPLE_RATE_HZ)]),
                at_s=at_s - first_s,
                probabilities=tuple(
                    (moment_s - first_s, decision.probability)
                    for moment_s, decision in zip(moments_s[near], heard.decisions[near], strict=True)
                ),
                spans=tuple(span for span in spans if span[1] > 0 and span[0] < last_s - first_s),
            )
        )
    return found
