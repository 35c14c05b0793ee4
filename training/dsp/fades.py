"""Fades and seams: what keeps a junction from clicking."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.errors import MixingError

FADE_SAMPLES = 320  # ω = 20 ms (paper B.1, Table 11)


def fade(samples: Samples) -> Samples:
    """Fade both ends with half a Hann window of ω, so that they do not click: float32 [n] → float32 [n].

    A part shorter than 2 ω fades over half of itself.
    """
    length = min(FADE_SAMPLES, len(samples) // 2)
    ramp = np.hanning(2 * length + 1)[:length].astype(np.float32)
    faded = samples.copy()
    faded[:length] *= ramp
    faded[len(faded) - length :] *= ramp[::-1]
    return faded


def tile(noise: Samples, length: int, start: int) -> Samples:
    """Repeat `noise` from sample `start` to `length` samples; the seams cross-fade over ω at constant power.

    float32 [n] → float32 [length]. Raises MixingError for less than 4 ms of noise.
    """
    overlap = min(FADE_SAMPLES, len(noise) // 4)
    if len(noise) < 64:
        raise MixingError(f'a noise track of {len(noise)} samples cannot be tiled; give at least 4 ms')
    ramp = np.sin(np.linspace(0, np.pi / 2, overlap, dtype=np.float32))
    # A loop without a seam: its last ω samples are already the beginning fading in.
    loop = noise[: len(noise) - overlap].copy()
    loop[:overlap] = loop[:overlap] * ramp + noise[len(noise) - overlap :] * ramp[::-1]
    begin = start % len(loop)
    rounds = -(-(begin + length) // len(loop))
    return np.tile(loop, rounds)[begin : begin + length]


FADE_SAMPLES = 320  # 20 ms Hann taper (paper B.1, ω)
