"""How far a clause came."""

from __future__ import annotations

import pytest

from audio_interaction_ros.voice.pace import Pace

STORY = 'Once upon a time there was a robot.'


def test_words_that_had_sounded_are_kept_whole_and_the_one_that_was_begun_is_not():
    pace = Pace()
    for _ in range(20):
        pace.learn(STORY, len(STORY) / 10.0)
    assert pace.part(STORY, 0.9) == 'Once upon'
    assert pace.part(STORY, 1.2) == 'Once upon a'
    assert pace.part(STORY, 60.0) == STORY
    assert pace.part(STORY, 0.2) == pace.part(STORY, -1.0) == ''


def test_where_no_spaces_are_written_every_character_may_be_the_last():
    pace = Pace()
    assert pace.part('\u6211\u542c\u5230\u72d7\u53eb', 3.1 / 14.0) == '\u6211\u542c\u5230'


@pytest.mark.parametrize('slow', [1.0, 2.0])
def test_the_pace_is_learnt_from_what_was_said_to_its_end(slow):
    pace = Pace()
    for _ in range(20):
        pace.learn(STORY, slow * len(STORY) / 14.0)
    assert pace.part(STORY, slow * 1.0) == 'Once upon a'
