"""Any rate and channel count → 16 kHz mono, piece by piece, without clicks at the joints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples


class MonoResampler:
    """A `MonoResampler` mixes down and resamples to 16 kHz, piece by piece (soxr's streaming mode).

    The pieces joined equal the whole.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Begin afresh: what follows does not continue what came."""
        self._stream = (
            None
            if self._sample_rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(self._sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype='float32', quality='HQ')
        )

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """Return float32 [frames, channels] as float32 [frames at 16 kHz]; `last` flushes the filter's delay."""
        mono = np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
        if self._stream is None:
            return mono
        return np.asarray(self._stream.resample_chunk(mono, last=last), np.float32)

    def rest(self) -> Samples:
        """Return what the filter's delay holds back, float32 [frames at 16 kHz]; `reset` before anything follows."""
        return self.push(np.empty((0, 1), np.float32), last=True)


def pieces_at_16k(pieces: Iterable[Samples], sample_rate_hz: int) -> Iterator[Samples]:
    """Yield a recording that comes in pieces, float32 [frames, channels], in pieces of float32 [frames at 16 kHz]."""
    resampler = MonoResampler(sample_rate_hz)
    for piece in pieces:
        yield resampler.push(piece)
    yield resampler.rest()


def to_mono_16k(samples: Samples, sample_rate_hz: int) -> Samples:
    """Return a whole recording, float32 [frames, channels], as float32 [frames at 16 kHz]."""
    return MonoResampler(sample_rate_hz).push(samples, last=True)
