"""Exact 400 ms chunks out of pieces of any length (contract 1: one clock)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples


@dataclass(frozen=True)
class AudioChunk:
    """An `AudioChunk` holds 6400 samples of a stream, float32.

    `index` counts chunks from 0; `first_sample` is the 16 kHz position of samples[0] from the start of the
    stream; `dropped_before` is how many samples at 16 kHz were lost just before it.
    """

    index: int
    first_sample: int
    dropped_before: int
    samples: Samples


class Chunker:
    """A `Chunker` carries the remainder between pieces, so any split of the input gives the same chunks."""

    def __init__(self) -> None:
        self._carry = np.empty(0, np.float32)
        self._next_index = 0
        self._next_sample = 0
        self._dropped = 0

    @property
    def position(self) -> int:
        """Return the 16 kHz position of the next sample that `push` expects, gaps included."""
        return self._next_sample + len(self._carry)

    @property
    def pending(self) -> int:
        """Return how many samples wait for the next chunk to become complete."""
        return len(self._carry)

    def push(self, samples: Samples) -> Iterator[AudioChunk]:
        """Add float32 [n] and yield the chunks that are now complete."""
        self._carry = np.concatenate([self._carry, samples])
        while len(self._carry) >= CHUNK_SAMPLES:
            chunk = AudioChunk(self._next_index, self._next_sample, self._dropped, self._carry[:CHUNK_SAMPLES].copy())
            self._carry = self._carry[CHUNK_SAMPLES:]
            self._next_index += 1
            self._next_sample += CHUNK_SAMPLES
            self._dropped = 0
            yield chunk

    def declare_gap(self, lost_samples: int) -> None:
        """Declare that samples are missing: drop the incomplete chunk before the gap and restart after it.

        The next chunk's `dropped_before` counts both, so positions stay true to the clock.
        """
        lost = lost_samples + len(self._carry)
        self._carry = np.empty(0, np.float32)
        self._next_sample += lost
        self._dropped += lost

    def count_lost(self, lost_samples: int) -> None:
        """Declare that samples were missing somewhere in the last seconds, and go on: it is too late to cut there.

        The next chunk's `dropped_before` counts them, so positions stay true to the clock.
        """
        self._next_sample += lost_samples
        self._dropped += lost_samples

    def pad_last(self) -> Iterator[AudioChunk]:
        """Yield the remainder at the end of a recording, filled up with zeros to a whole chunk."""
        if len(self._carry):
            yield from self.push(np.zeros(CHUNK_SAMPLES - len(self._carry), np.float32))


def chunk_waveform(samples: Samples | Iterable[Samples]) -> Iterator[AudioChunk]:
    """Yield the chunks of a recording, float32 [n] at 16 kHz or pieces of it; the last is filled up with zeros."""
    chunker = Chunker()
    for piece in [samples] if isinstance(samples, np.ndarray) else samples:
        yield from chunker.push(piece)
    yield from chunker.pad_last()
