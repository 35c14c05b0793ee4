"""A short, dry sound is heard in rooms and through narrow bands too, so that neither tells a hazard."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.dsp.augment import vary


def share_above(samples: np.ndarray, frequency_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ) > frequency_hz].sum() / power.sum())


def test_short_sounds_get_rooms_and_other_bandwidths():
    dry = np.random.default_rng(1).uniform(-0.5, 0.5, int(0.4 * SAMPLE_RATE_HZ)).astype(np.float32)
    copies = [vary(dry, np.random.default_rng(seed)) for seed in range(120)]
    longest = len(dry) / 0.8 + 2  # without a room's tail, at the lowest speed
    assert 0.15 < np.mean([len(copy) > longest for copy in copies]) < 0.5
    telephone = np.mean([share_above(copy, 4_500) < 0.02 for copy in copies])
    narrow = np.mean([share_above(copy, 7_400) < 0.01 for copy in copies])
    assert 0.1 < telephone < narrow < 0.7
