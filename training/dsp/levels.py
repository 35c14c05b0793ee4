"""Levels: mean power, root mean square, and bringing a sound to one."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.dsp.activity import FRAME_SAMPLES
from training.dsp.fades import FADE_SAMPLES
from training.errors import MixingError


def mean_power(samples: Samples, mask: np.ndarray | None = None) -> float:
    """Return the mean square of float32 [n], of the samples where `mask` is true if one is given."""
    chosen = samples if mask is None else samples[mask]
    return float(np.square(chosen, dtype=np.float64).mean()) if len(chosen) else 0.0


def to_rms(samples: Samples, level_dbfs: float) -> Samples:
    """Scale float32 [n] to a root mean square in dBFS. Raises MixingError for silence."""
    power = mean_power(samples)
    if power < 1e-12:
        raise MixingError('a part is silent: leave it out, or find out why its file holds nothing')
    return samples * np.float32(10 ** (level_dbfs / 20) / np.sqrt(power))


def scale(piece: Samples, frames: np.ndarray, level_dbfs: float) -> Samples:
    """Return the piece with its active frames at a level (root mean square), without clipping, its ends tapered.

    `piece` float32 [n] at 16 kHz stays as it is; `frames` as from `activity`. The taper is 5 ms long at the
    start and 20 ms at the end.
    """
    mask = np.repeat(frames, FRAME_SAMPLES)[: len(piece)]
    rms = float(np.sqrt(np.square(piece[mask] if mask.any() else piece).mean())) + 1e-9
    gain = min(10 ** (level_dbfs / 20) / rms, 0.98 / (float(np.abs(piece).max(initial=0)) + 1e-9))
    taper = np.hanning(2 * FADE_SAMPLES).astype(np.float32)
    piece = piece * gain
    if len(piece) > 4 * FADE_SAMPLES:
        piece[: FADE_SAMPLES // 4] *= taper[:FADE_SAMPLES:4]
        piece[-FADE_SAMPLES:] *= taper[FADE_SAMPLES:]
    return piece
