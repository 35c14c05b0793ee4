"""Turns follow one another as ProVoice-Bench has them: after a pause, at times before the other has finished."""

from __future__ import annotations

import numpy as np
import pytest

from training.scripts.script import Line, Say, Script, Sound, Speech
from training.scripts.turns import turn_gap_s, with_turn_gaps


def test_turn_gaps_follow_their_clipped_gaussian():
    rng = np.random.default_rng(14)
    gaps = np.array([turn_gap_s(rng) for _ in range(4_000)])
    assert gaps.mean() == pytest.approx(0.75, abs=0.03) and gaps.std() == pytest.approx(0.35, abs=0.02)
    assert -1.5 <= gaps.min() < 0 < gaps.max() <= 2.5


def test_people_interrupt_each_other_and_neither_themselves_nor_what_is_written_down():
    word = Say(text='hello', due='word', word=0)
    lines = [
        Line(hear=Speech(text='hello', speaker=0)),
        Line(hear=Speech(text='hello', speaker=1), gap_s=1.0),  # another speaks
        Line(hear=Speech(text='hello', speaker=1), say=(word,), gap_s=1.0),  # the same goes on
        Line(hear=Speech(text='hello', speaker=0), gap_s=1.0),  # after what is written down
        Line(hear=Sound(clip='door'), gap_s=1.0),
        Line(hear=Speech(text='hello', speaker=1), gap_s=1.0),
    ]
    script = Script(category='voice chatting', task='fact', lines=tuple(lines))
    rng = np.random.default_rng(3)
    gaps = np.array([[line.gap_s for line in with_turn_gaps(script, rng).lines] for _ in range(2_000)])
    assert (gaps[:, 0] == 0.0).all() and (gaps[:, 4:] == 1.0).all()
    assert gaps[:, 1].min() < 0 < gaps[:, 1].mean()
    assert gaps[:, 2:4].min() == pytest.approx(0.1)
