"""A field recording as a robot hears it, a chunk at a time: what is said, how long computing takes, what it costs.

Words are asked for apart: each labelled stretch of speech is heard under an instruction to write it down.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.streaming.loop import Decision, Response, listen
from training.evaluate.hearing import Heard, Listener, language_of
from training.evaluate.language import edits
from training.field.recordings import FieldRecording

INSTRUCTION = 'Write down what I say.'  # one of the instructions for dictation that training has
BIN_CHUNKS = 5  # 2 s, the bins of A.1
_BEFORE_S, _AFTER_S = 0.4, 2.0  # of a stretch of speech: what is heard around it


@dataclass(frozen=True)
class Timed:
    """A `Timed` is what was heard of a recording and what that took.

    `computing_s`: of each response, from its chunk being there to its first words; `cpu_s`: CPU time of all of it.
    """

    heard: Heard
    computing_s: tuple[float, ...]
    cpu_s: float


class Ears(Protocol):
    """`Ears` are whatever hears recordings of the field: a checkpoint, or what it is compared with, by its `name`."""

    name: str

    def hear(self, samples: Samples) -> Timed:
        """Hear a waveform, float32 [chunks × 6400] at 16 kHz."""

    def write(self, samples: Samples) -> str:
        """Return what is written down of speech, float32 [n] at 16 kHz."""


class CheckpointEars:
    """`CheckpointEars` are a checkpoint's, a chunk at a time; speech is written down under an `instruction`."""

    name = 'this checkpoint'

    def __init__(self, listener: Listener, instruction: str) -> None:
        self._listener, self._instruction = listener, instruction

    def hear(self, samples: Samples) -> Timed:
        """Hear a waveform, float32 [chunks × 6400], in a fresh session."""
        return hear(self._listener, samples)

    def write(self, samples: Samples) -> str:
        """Return all that is said while speech, float32 [n], is heard in a session of its own."""
        heard = self._listener.hear(self._listener.encode(samples), instruction=self._instruction)
        return ' '.join(response.text for response in heard.responses)


def hear(listener: Listener, samples: Samples) -> Timed:
    """Hear a waveform, float32 [chunks × 6400], one chunk after another, in a fresh session."""
    computing_s: list[float] = []
    given_s = 0.0

    def chunks() -> Iterator[Samples]:
        nonlocal given_s
        for first in range(0, len(samples), CHUNK_SAMPLES):
            given_s = time.perf_counter()
            yield samples[first : first + CHUNK_SAMPLES]

    def timed() -> Iterator[Decision | Response]:
        waiting = False  # for the first words of a response
        for event in listen(listener.encoder, listener.decoder, chunks()):
            if isinstance(event, Decision):
                waiting = event.respond
            elif waiting:
                computing_s.append(time.perf_counter() - given_s)
                waiting = False
            yield event

    before_s = time.process_time()
    heard = Heard.of(timed())
    return Timed(heard, tuple(computing_s), time.process_time() - before_s)


def silence_rates(heard: Heard, chunks: int) -> np.ndarray:
    """Return the share of chunks after which nothing was begun to be said, in bins of 2 s: float64 [chunks // 5]."""
    silent = np.ones(chunks)
    for decision in heard.decisions:
        silent[decision.chunk.index] = not decision.respond
    return _bins(silent)


def silence_probabilities(heard: Heard, chunks: int) -> np.ndarray:
    """Return the mean P(silent) in bins of 2 s, float64 [chunks // 5]; it tells more where hardly anything is said."""
    probabilities = np.ones(chunks)
    for decision in heard.decisions:
        probabilities[decision.chunk.index] = 1.0 - decision.probability
    return _bins(probabilities)


def _bins(values: np.ndarray) -> np.ndarray:
    whole = len(values) // BIN_CHUNKS * BIN_CHUNKS
    return values[:whole].reshape(-1, BIN_CHUNKS).mean(axis=1)


@dataclass(frozen=True)
class Written:
    """A `Written` stretch of speech: what was said in it, what was written down, and the edits between them.

    `words` counts those of `wanted`, in Chinese its characters.
    """

    unit: str
    language: str
    wanted: str
    written: str
    errors: int
    words: int


def write_down(ears: Ears, recording: FieldRecording) -> list[Written]:
    """Have each stretch of speech whose words are known written down."""
    found = []
    for event in recording.spoken:
        first = max(0, round((event.onset_s - _BEFORE_S) * SAMPLE_RATE_HZ))
        piece = recording.samples[first : round((event.end_s + _AFTER_S) * SAMPLE_RATE_HZ)]
        written = ears.write(piece)
        language = language_of(event.text)
        errors, words = edits(event.text, written, language)
        if words:
            unit = f'{recording.name}:{event.onset_s:g}'
            found.append(Written(unit, language, event.text, written, errors, words))
    return found


def of_language(written: Sequence[Written], language: str) -> list[Written]:
    """Return the stretches in one language."""
    return [one for one in written if one.language == language]
