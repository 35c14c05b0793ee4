"""Rates: what happened in the hour before now."""

from __future__ import annotations

from audio_interaction_ros.events.rates import HourlyCount


def test_an_hour_is_counted_and_then_forgotten():
    count = HourlyCount()
    for minute in range(90):
        count.add(str(minute), 60.0 * minute)
    assert count.within_hour(89 * 60.0) == 61
    assert count.within_hour(149 * 60.0) == 1
    assert count.within_hour(1e9) == 0


def test_a_message_that_comes_twice_counts_once():
    count = HourlyCount()
    for _ in range(3):
        count.add('17-5', 0.0)
    assert count.within_hour(1.0) == 1


def test_a_flood_does_not_fill_the_memory():
    count = HourlyCount()
    for number in range(20_000):
        count.add(str(number), 0.0)
    assert count.within_hour(1.0) == 10_000
    assert count.dropped == 10_000
    count.add('later', 4_000.0)
    assert (count.within_hour(4_000.0), count.dropped) == (1, 10_000)
