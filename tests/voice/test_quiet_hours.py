"""Quiet hours of a day, also over midnight."""

from __future__ import annotations

from datetime import time

import pytest

from audio_interaction_ros.voice.quiet_hours import QuietHours


@pytest.mark.parametrize(
    ('hours', 'quiet', 'loud'),
    [
        ('22:00-07:00', ['22:00', '23:59', '00:00', '06:59'], ['07:00', '12:00', '21:59']),
        ('13:30 - 15:00', ['13:30', '14:59'], ['15:00', '13:29', '00:00']),
        ('0:00-7:05', ['00:00', '07:04'], ['07:05', '23:59']),
    ],
)
def test_it_is_quiet_from_the_first_time_up_to_the_second(hours, quiet, loud):
    found = QuietHours.parse(hours)
    assert all(found.at(time.fromisoformat(now)) for now in quiet)
    assert not any(found.at(time.fromisoformat(now)) for now in loud)


def test_without_a_text_there_are_none():
    assert QuietHours.parse('') is None


@pytest.mark.parametrize('text', ['night', '22-7', '24:00-07:00', '22:60-07:00', '07:00-07:00', '22:00-07:00-08:00'])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match='as 22:00-07:00, or nothing'):
        QuietHours.parse(text)
