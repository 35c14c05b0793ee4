"""Where a sound is more than silence, and how much of it must be heard to be known."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples

FRAME_SAMPLES = 320  # 20 ms, the grain of `activity`


def activity(samples: Samples) -> np.ndarray:
    """Return which frames of 20 ms lie within 35 dB of the loudest, widened by 100 ms.

    float32 [n] at 16 kHz → bool [ceil(n / 320)]. Clips are padded with silence and have pauses; a label must count the
    sound that was there to hear.
    """
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    power = np.square(padded).mean(axis=1)
    active = power > max(float(power.max()) * 10**-3.5, 1e-10)
    return scipy.ndimage.binary_dilation(active, iterations=5)


EVIDENCE_S = 0.8  # of active sound before an answer can be expected; contract: within 2 s of the onset


def evidence_end(frames: np.ndarray, length: int) -> int:
    """Return the sample by which `EVIDENCE_S` of active sound has been heard, or all of it.

    `frames` as from `activity`; `length` is that of the sound in samples.
    """
    heard = np.cumsum(frames) * FRAME_SAMPLES / SAMPLE_RATE_HZ
    enough = min(EVIDENCE_S, float(heard[-1]))
    return min((int(np.searchsorted(heard, enough - 1e-6)) + 1) * FRAME_SAMPLES, length)
