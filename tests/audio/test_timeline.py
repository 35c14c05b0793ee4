"""Contract 1: the stamps we give ourselves."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio.timeline import (
    NS_PER_S,
    NS_PER_SAMPLE,
    CaptureClock,
)

START_NS = 1_700_000_000 * NS_PER_S
BLOCK = 640  # 40 ms at 16 kHz
BLOCK_NS = BLOCK * NS_PER_SAMPLE
MS = 1_000_000


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
