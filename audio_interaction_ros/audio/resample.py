"""Any rate and channel count → 16 kHz mono, piece by piece, without clicks at the joints."""

from __future__ import annotations

import numpy as np
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples


class MonoResampler:
    """A `MonoResampler` mixes down and resamples to 16 kHz, piece by piece (soxr's streaming mode).

    The pieces joined equal the whole.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._stream = (
            None
            if sample_rate_hz == SAMPLE_RATE_HZ
            else soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype='float32', quality='HQ')
        )

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """Return float32 [frames, channels] as float32 [frames at 16 kHz]; `last` flushes the filter's delay."""
        mono = np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
        if self._stream is None:
            return mono
        return np.asarray(self._stream.resample_chunk(mono, last=last), np.float32)


def to_mono_16k(samples: Samples, sample_rate_hz: int) -> Samples:
    """Return a whole recording, float32 [frames, channels], as float32 [frames at 16 kHz]."""
    return MonoResampler(sample_rate_hz).push(samples, last=True)
