"""Stationary noise of random colours, for beneath everything."""

from __future__ import annotations

import functools

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.random_streams import Purpose, random_stream


@functools.cache
def _noise_beds() -> np.ndarray:
    """96 noises of 30 s, each with its own power law (white to brown) and band emphasis, at unit level. float32."""
    length = 30 * SAMPLE_RATE_HZ
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20.0)
    beds = np.empty((96, length), np.float32)
    for number, bed in enumerate(beds):
        rng = random_stream(Purpose.NOISE_BED, None, number)
        centre_hz, width_octaves = np.exp(rng.uniform(np.log(100), np.log(5_000))), rng.uniform(0.5, 3.0)
        emphasis = np.exp(-np.square(np.log2(frequency_hz / centre_hz) / width_octaves))
        shape = frequency_hz ** -rng.uniform(0.0, 1.1) * (1.0 + rng.uniform(0.0, 3.0) * emphasis)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * shape, length)
        bed[:] = noise / noise.std()
    return beds


def noise_bed(length: int, level_dbfs: float, rng: np.random.Generator) -> Samples:
    """Return stationary noise of a random colour, float32 [length] at 16 kHz, of at most 30 s."""
    # Cut from ready-made noise: shaping it anew for each stream would cost as much as a tenth of the model.
    beds = _noise_beds()
    start = int(rng.integers(beds.shape[1] - length + 1))
    return beds[int(rng.integers(len(beds))), start : start + length] * np.float32(10 ** (level_dbfs / 20))
