"""A high-pass of first order, causal, piece by piece: what a microphone adds below hearing, DC first of all, goes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.audio.formats import Samples

_BLOCK = 256  # within which the recursion is a sum; its weights then stay far from the limits of float64


class HighPass:
    """A `HighPass` removes what is below its cutoff (−3 dB there; then 6 dB an octave).

    The pieces joined equal the whole.
    """

    def __init__(self, sample_rate_hz: int, cutoff_hz: float) -> None:
        """Begin in silence; the cutoff is to be well below half the rate."""
        self._pole = math.exp(-2.0 * math.pi * cutoff_hz / sample_rate_hz)
        self._weights = self._pole ** np.arange(1, _BLOCK + 1)[:, None]
        self._input: npt.NDArray[np.float64] | None = None
        self._output: npt.NDArray[np.float64] | float = 0.0

    def push(self, samples: Samples) -> Samples:
        """Return float32 [frames, channels] filtered, as float32 [frames, channels]."""
        if not len(samples):
            return samples
        if self._input is None:  # what was before the first sample was as it is: a constant begins without a click
            self._input = samples[0].astype(np.float64)
        before = np.concatenate([self._input[None], samples[:-1].astype(np.float64)])
        driven = (samples - before) * ((1.0 + self._pole) / 2.0)
        self._input = samples[-1].astype(np.float64)
        filtered = np.empty(samples.shape, np.float32)
        for first in range(0, len(samples), _BLOCK):
            # y[n] = pole · y[n − 1] + x[n], as one sum: y[n] / pole^n = y[−1] + Σ x[k] / pole^k.
            block = driven[first : first + _BLOCK]
            weights = self._weights[: len(block)]
            outputs = weights * (self._output + np.cumsum(block / weights, axis=0))
            self._output = outputs[-1]
            filtered[first : first + _BLOCK] = outputs
        return filtered
