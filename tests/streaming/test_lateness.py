"""Sound that waited behind something that stood still."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from audio_interaction_ros.streaming import fifo
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.lateness import LATE_S, Drift, Lateness

HOUR_S = 3_600.0


def chunk(index, stamp_s=None, stream_id=1):
    stamp_ns = round((0.4 * index if stamp_s is None else stamp_s) * 1e9)
    return EncodedChunk(stream_id, index, index * 6_400, 0, stamp_ns, -30.0, torch.zeros(10, 4))


def late_s(chunks_and_arrivals_s):
    lateness = Lateness()
    return [lateness.late_s(*each) for each in chunks_and_arrivals_s]


def test_what_comes_at_its_time_is_not_late_whatever_the_clocks_say():
    for offset_s in (-HOUR_S, 0.0, 5 * HOUR_S):
        assert max(late_s((chunk(n), 0.4 * n + offset_s) for n in range(50))) < 1e-3


def test_what_waited_five_seconds_is_late_until_it_has_caught_up():
    on_time = [(chunk(n), 0.4 * n) for n in range(20)]
    waited = [(chunk(n), 8.0 + 5.0 + 0.01 * n) for n in range(20, 34)]  # all that was heard until then
    after = [(chunk(n), 0.4 * n) for n in range(34, 40)]
    found = late_s([*on_time, *waited, *after])
    assert found[20] == pytest.approx(5.0, abs=0.3)
    assert [late > LATE_S for late in found[20:34]] == [True] * 10 + [False] * 4
    assert max(found[34:]) < 0.5


def test_a_way_that_stays_longer_becomes_the_usual_one():
    found = late_s((chunk(n), 0.4 * n + (3.0 if n >= 10 else 0.0)) for n in range(1_000))
    assert found[10] > LATE_S
    assert found[-1] < LATE_S


def test_a_clock_that_drifts_is_not_late():
    found = late_s((chunk(n, stamp_s=0.4 * n * (1 - 1e-3)), 0.4 * n) for n in range(10_000))
    assert max(found) < 0.1


def test_a_new_stream_may_have_another_clock():
    found = late_s([(chunk(0), 0.0), (chunk(0, stamp_s=-HOUR_S, stream_id=2), 0.4)])
    assert found == [0.0, 0.0]


def test_a_new_stream_may_begin_with_what_waited():
    found = late_s(
        [(chunk(0), 0.0), (chunk(0, stamp_s=0.4, stream_id=2), 5.4), (chunk(1, stamp_s=5.2, stream_id=2), 5.6)]
    )
    assert found[1] == pytest.approx(5.0, abs=0.1)
    assert found[2] < 0.5


def test_what_is_too_slow_is_told_from_what_stood_still():
    slow, stood = Lateness(), Lateness()
    for n in range(40):
        slow.late_s(chunk(n), 0.52 * n)
        stood.late_s(chunk(n), 0.4 * n if n < 30 else max(0.4 * n, 17.0))
    assert slow.growth == pytest.approx(0.12 / 0.52, rel=0.1)
    assert stood.growth == 0.0


@pytest.mark.parametrize('ppm', [-1_000, 0, 1_000])
def test_the_drift_of_a_sound_card_is_measured_over_minutes(ppm):
    drift, rng = Drift(), np.random.default_rng(0)
    for n in range(5_000):  # 40 ms each
        arrived_s = 0.04 * n + rng.exponential(0.02)
        drift.told(round(0.04 * n * (1 - ppm * 1e-6) * 1e9) + 10**18, arrived_s)
    assert drift.slow_s * 1e6 == pytest.approx(ppm, abs=50)


def test_the_queue_keeps_what_is_late_until_something_newer_comes(monkeypatch):
    monkeypatch.setattr(fifo, '_NEXT_WITHIN_S', 600.0)  # which no machine takes for it
    queue = ChunkQueue(10)
    queue.push(chunk(0), late=True)
    queue.push(chunk(1), late=True)
    assert queue.drain() == []
    assert len(queue) == 2
    newest = chunk(2)
    queue.push(newest)
    assert [each.index for each in queue.drain()] == [0, 1, 2]
    assert queue.drain() == []


def test_the_queue_gives_what_is_late_when_nothing_newer_comes():
    queue = ChunkQueue(10)
    pushed_s = time.monotonic()
    queue.push(chunk(0), late=True)
    while not (drained := queue.drain()):
        assert time.monotonic() - pushed_s < 30.0
        time.sleep(0.01)
    assert time.monotonic() - pushed_s >= 0.4
    assert [each.index for each in drained] == [0]
