"""Levels in dBFS: decibels relative to full scale, which is 1.0."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio.formats import Samples

_LOWEST_POWER = 1e-12  # −120 dBFS, what digital silence is said to have


def level_dbfs(samples: Samples) -> float:
    """Return the root-mean-square level of samples in dBFS; −120 for digital silence."""
    return power_dbfs(float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0)


def power_dbfs(mean_square: float) -> float:
    """Return the level in dBFS of what has this mean square; −120 for digital silence."""
    return 10.0 * float(np.log10(max(mean_square, _LOWEST_POWER)))
