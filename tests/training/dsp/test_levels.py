"""A level is reached where a sound is active, and nobody else's samples change on the way."""

from __future__ import annotations

import numpy as np
import pytest

from training.dsp.levels import mean_power, scale, to_rms
from training.errors import MixingError


def test_the_active_part_gets_the_level_and_the_argument_stays_as_it_was():
    rng = np.random.default_rng(1)
    piece = np.concatenate([0.2 * rng.standard_normal(16_000), np.zeros(16_000)]).astype(np.float32)
    before = piece.copy()
    frames = np.arange(100) < 50
    scaled = scale(piece, frames, -30.0)
    assert np.array_equal(piece, before)
    active = 10 * np.log10(mean_power(scaled[320:15_680]))
    assert active == pytest.approx(-30.0, abs=0.2)
    assert scaled[0] == 0.0 and abs(scaled[-1]) < 1e-9


def test_a_level_that_would_clip_is_not_reached():
    piece = np.zeros(3_200, np.float32)
    piece[1_600] = 0.5  # a click: its peak is far above its root mean square
    assert np.abs(scale(piece, np.ones(10, bool), -10.0)).max() == pytest.approx(0.98, abs=1e-3)


def test_silence_has_no_level():
    with pytest.raises(MixingError, match='silent'):
        to_rms(np.zeros(1_600, np.float32), -20.0)
