"""How much of a click a junction of two clips is."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio.formats import Samples

FRAME = 160  # samples, 10 ms under a Hann window
HOP = FRAME // 2
REACH = 3 * FRAME  # either side of the junction: a 20 ms taper and one frame
FLOOR = 1e-3  # −60 dBFS: what is below does not count as a rise


def spectral_flux_at(samples: Samples, position: int) -> float:
    """The sharpest spectral rise within 30 ms of sample `position`, in dB a bin.

    Half-wave rectified spectral flux: 10 ms Hann frames 5 ms apart, magnitudes relative to a full-scale sine and at
    least −60 dBFS; the rise from one frame to the next in dB, falls counted as none, is averaged over the bins, and the
    greatest of the averages returned. A click raises all bins at once, a sound that fades in only its own, and slowly.
    `samples` float32 [n] at 16 kHz; beyond its ends there is silence. Levels matter: compare like with like.
    """
    around = np.pad(samples, REACH)[position : position + 2 * REACH]
    frames = np.lib.stride_tricks.sliding_window_view(around, FRAME)[::HOP] * np.hanning(FRAME)
    magnitude = np.abs(np.fft.rfft(frames)) / (np.hanning(FRAME).sum() / 2)
    rise_db = np.diff(20 * np.log10(np.maximum(magnitude, FLOOR)), axis=0)
    return float(np.maximum(rise_db, 0).mean(axis=1).max())
