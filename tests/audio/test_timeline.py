"""Contract 1: what stamps say about a stream of pieces, and the stamps we give ourselves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio.timeline import (
    GAP_NS,
    NS_PER_S,
    NS_PER_SAMPLE,
    RESTART_NS,
    CaptureClock,
    Join,
    StreamTimeline,
)

START_NS = 1_700_000_000 * NS_PER_S
BLOCK = 640  # 40 ms at 16 kHz
BLOCK_NS = BLOCK * NS_PER_SAMPLE
MS = 1_000_000


def playing(blocks: int, rate_hz: int = 16_000) -> StreamTimeline:
    timeline = StreamTimeline(START_NS)
    for i in range(blocks):
        assert timeline.place(START_NS + i * BLOCK_NS).join is Join.CONTINUES
        timeline.advance(BLOCK * rate_hz // 16_000, rate_hz)
    return timeline


@given(st.lists(st.integers(-45 * MS, 45 * MS), min_size=1, max_size=300))
def test_jitter_is_no_gap_and_moves_the_clock_little(jitters):
    timeline = StreamTimeline(START_NS)
    timeline.advance(BLOCK, 16_000)
    for i, jitter_ns in enumerate(jitters, start=1):
        assert timeline.place(START_NS + i * BLOCK_NS + jitter_ns).join is Join.CONTINUES
        timeline.advance(BLOCK, 16_000)
    assert abs(timeline.stamp_ns(0) - START_NS) <= 45 * MS


@pytest.mark.parametrize('parts_per_million', [-200, 0, 200])
def test_a_drifting_sound_card_is_followed_for_hours_without_a_gap(parts_per_million):
    timeline, stamp_ns = StreamTimeline(START_NS), START_NS
    for _ in range(20_000):  # with 40 ms blocks 13 minutes: 160 ms of drift, more than a gap
        assert timeline.place(stamp_ns).join is Join.CONTINUES
        timeline.advance(BLOCK, 16_000)
        stamp_ns += BLOCK_NS + BLOCK_NS * parts_per_million // 1_000_000
    assert abs(timeline.expected_ns - stamp_ns) < 2 * MS


@given(st.integers(GAP_NS + MS, RESTART_NS), st.sampled_from([16_000, 48_000]))
def test_missing_sound_is_a_gap_of_its_length(lost_ns, rate_hz):
    timeline = playing(10, rate_hz)
    placement = timeline.place(START_NS + 10 * BLOCK_NS + lost_ns)
    assert placement.join is Join.GAP
    assert placement.position == 10 * BLOCK + lost_ns // NS_PER_SAMPLE
    timeline.advance(BLOCK, rate_hz)
    # What follows the gap continues it.
    assert timeline.place(START_NS + 11 * BLOCK_NS + lost_ns).join is Join.CONTINUES


@given(st.integers(RESTART_NS + MS, 10**15) | st.integers(-(10**15), -GAP_NS - MS))
def test_a_long_gap_or_a_stamp_that_goes_back_breaks_the_stream(error_ns):
    assert playing(10).place(START_NS + 10 * BLOCK_NS + error_ns).join is Join.BREAKS


def test_a_known_loss_of_one_block_is_a_gap():
    timeline = playing(10)
    assert timeline.place(START_NS + 11 * BLOCK_NS).join is Join.CONTINUES
    timeline = playing(10)
    timeline.note_loss()
    assert timeline.place(START_NS + 11 * BLOCK_NS).join is Join.GAP


@given(st.lists(st.integers(0, 30 * MS), min_size=10, max_size=300))
def test_capture_stamps_neither_jump_nor_stand_with_a_late_scheduler(delays):
    clock = CaptureClock(16_000)
    stamps = [clock.stamp_ns(START_NS + i * BLOCK_NS + delay, BLOCK) for i, delay in enumerate(delays)]
    for earlier, later in itertools.pairwise(stamps):
        assert abs(later - earlier - BLOCK_NS) < 60_000  # 60 µs


def test_capture_stamps_follow_a_drifting_sound_card():
    clock = CaptureClock(16_000)
    for i in range(20_000):
        captured_ns = START_NS + i * BLOCK_NS + i * BLOCK_NS // 10_000  # 100 ppm slow
        stamp_ns = clock.stamp_ns(captured_ns, BLOCK)
    assert abs(stamp_ns - captured_ns) < 2 * MS


def test_an_overflow_shows_in_the_stamps():
    clock = CaptureClock(16_000)
    clock.stamp_ns(START_NS, BLOCK)
    assert clock.stamp_ns(START_NS + 5 * BLOCK_NS, BLOCK, lost=True) == START_NS + 5 * BLOCK_NS
    assert clock.stamp_ns(START_NS + 6 * BLOCK_NS, BLOCK) == START_NS + 6 * BLOCK_NS
