"""Contract 1: what stamps say about a stream of pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio.clock_model import GAP_NS, RESTART_NS, Belief, ClockModel, Join
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE

START_NS = 1_700_000_000 * NS_PER_S
BLOCK = 640  # 40 ms at 16 kHz
BLOCK_NS = BLOCK * NS_PER_SAMPLE
MS = 1_000_000


class Driver:
    """Sends blocks of 40 ms, each when it is captured; `place` says with which stamp."""

    def __init__(self, rate_hz=16_000):
        self.frames = BLOCK * rate_hz // 16_000
        self.clock, self.sent = ClockModel(START_NS, rate_hz), 0
        self.lost, self.joins = 0, []

    def place(self, stamp_ns):
        placement = self.clock.place(stamp_ns, self.frames)
        self.lost += placement.lost
        self.joins.append(placement.join)
        self.sent += 1
        return placement

    def plays(self, blocks, late_ns=lambda _: 0):
        for _ in range(blocks):
            self.place(START_NS + self.sent * BLOCK_NS + late_ns(self.sent))
        return self


@pytest.mark.parametrize('seed', range(5))
def test_jitter_is_no_loss_and_moves_the_clock_little(seed):
    rng = np.random.default_rng(seed)
    driver = Driver().plays(3_000, lambda _: int(rng.integers(-45 * MS, 45 * MS)))
    assert driver.lost == 0
    assert set(driver.joins) == {Join.CONTINUES}
    assert abs(driver.clock.stamp_ns(0) - START_NS) <= 46 * MS


@pytest.mark.parametrize('burst', [2, 4, 10, 25])
@pytest.mark.parametrize('first', [0, 1])
def test_bursts_stamped_on_arrival_lose_nothing_wherever_they_are_joined(burst, first):
    """Each block is stamped when the last one of its burst is complete; sent within a millisecond or two."""
    late_ns = lambda n: (burst - 1 - (n + first) % burst) * BLOCK_NS + (n + first) % burst * 200_000  # noqa: E731
    driver = Driver()
    driver.clock = ClockModel(START_NS + late_ns(0), 16_000)
    driver.plays(500, late_ns)
    assert driver.lost == 0
    assert not {Join.GAP, Join.BREAKS} & set(driver.joins)
    expected_ns = START_NS + 500 * BLOCK_NS
    assert abs(driver.clock.expected_ns - expected_ns) < 10 * MS, 'the least late stamp tells the time'


@pytest.mark.parametrize('burst', [2, 4, 10])
def test_what_is_lost_between_bursts_is_counted(burst):
    late_ns = lambda n: (burst - 1 - n % burst) * BLOCK_NS  # noqa: E731
    driver = Driver().plays(200, late_ns)
    driver.sent += burst  # one burst never comes
    driver.plays(200, late_ns)
    assert driver.lost == burst * BLOCK


@pytest.mark.parametrize('lost', [1, 2])
@pytest.mark.parametrize('jitter_ms', [0.0, 2.0])
def test_a_lost_block_shorter_than_a_gap_is_counted_within_three_seconds(lost, jitter_ms):
    rng = np.random.default_rng(0)
    late_ns = lambda _: int(rng.uniform(0, jitter_ms) * MS)  # noqa: E731
    driver = Driver().plays(100, late_ns)
    driver.sent += lost
    driver.plays(75, late_ns)
    assert driver.lost == pytest.approx(lost * BLOCK, abs=1 + jitter_ms * 16)
    assert Join.BREAKS not in driver.joins


def test_a_stamp_that_is_late_once_is_no_gap():
    """As after a stall: what waited comes at once."""
    driver = Driver().plays(100)
    for late in (600, 565, 530, 480, 440, 400, 360, 320, 280, 240, 200, 160, 120, 80, 40):
        driver.place(START_NS + driver.sent * BLOCK_NS + late * MS)
    driver.plays(100)
    assert driver.lost == 0
    assert not {Join.GAP, Join.BREAKS} & set(driver.joins)


@pytest.mark.parametrize('parts_per_million', [-200, 0, 200])
def test_a_drifting_sound_card_is_followed_for_hours_without_a_loss(parts_per_million):
    driver, stamp_ns = Driver(), START_NS
    for _ in range(20_000):  # 13 minutes: 160 ms of drift, more than a gap
        driver.place(stamp_ns)
        stamp_ns += BLOCK_NS + BLOCK_NS * parts_per_million // 1_000_000
    assert driver.lost == 0
    assert set(driver.joins) == {Join.CONTINUES}
    assert abs(driver.clock.expected_ns - stamp_ns) < 2 * MS


@given(st.integers(GAP_NS + MS, RESTART_NS), st.sampled_from([16_000, 48_000]))
def test_missing_sound_is_a_gap_of_its_length_once_a_chunk_of_it_agrees(lost_ns, rate_hz):
    driver = Driver(rate_hz).plays(10)
    placements = [driver.place(START_NS + (10 + n) * BLOCK_NS + lost_ns) for n in range(11)]
    assert [placement.join for placement in placements] == [Join.WAITS] * 9 + [Join.GAP, Join.CONTINUES]
    assert abs(driver.lost - lost_ns / NS_PER_SAMPLE) <= 1


def test_what_waits_is_placed_by_what_is_known_when_it_ends():
    driver = Driver().plays(10)
    assert driver.place(START_NS + 15 * BLOCK_NS).join is Join.WAITS
    settled = driver.clock.settle()
    assert (settled.join, settled.lost) == (Join.GAP, 5 * BLOCK)


@given(st.integers(RESTART_NS + MS, 10**15) | st.integers(-(10**15), -GAP_NS - BLOCK_NS - MS))
def test_a_long_gap_or_a_stamp_that_goes_back_breaks_the_stream(error_ns):
    driver = Driver().plays(10)
    assert driver.place(START_NS + 10 * BLOCK_NS + error_ns).join is Join.BREAKS


def test_a_clock_that_is_set_back_a_little_is_followed_and_nothing_is_lost():
    driver = Driver().plays(100).plays(100, lambda _: -60 * MS)
    assert driver.lost == 0
    assert set(driver.joins) == {Join.CONTINUES}
    assert abs(driver.clock.expected_ns - (START_NS + 200 * BLOCK_NS - 60 * MS)) < 2 * MS


def test_a_known_loss_of_one_block_is_a_gap():
    driver = Driver().plays(10)
    driver.clock.note_loss()
    driver.sent += 1
    driver.plays(10)
    assert driver.joins[10:] == [Join.WAITS] * 9 + [Join.GAP]
    assert driver.lost == BLOCK


@pytest.mark.parametrize('belief', [Belief.NONE, Belief.FOLLOW])
def test_stamps_that_are_not_believed_place_nothing(belief):
    driver, rng = Driver(), np.random.default_rng(0)
    driver.clock.believe(belief)
    for _ in range(500):
        driver.place(START_NS + int(rng.integers(0, 10**14)))
    assert driver.lost == 0
    assert set(driver.joins) == {Join.CONTINUES}
    if belief is Belief.NONE:
        assert driver.clock.expected_ns == START_NS + 500 * BLOCK_NS
