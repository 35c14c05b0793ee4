"""The streams of a step are a function of seed, stage and step, and reading them ahead changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from training.stages.loader import read_ahead
from training.stages.sampler import BUCKET_STEPS, Hard, StreamSampler


def sampler(count: int = 37, a_step: int = 8, seed: int = 1, stage: int = 1) -> StreamSampler:
    return StreamSampler(np.arange(100, 100 + count), np.arange(count) % 13 + 4, a_step, seed, stage)


def test_an_epoch_draws_every_stream_once_and_so_does_the_next():
    drawn = np.concatenate([sampler(32 * 8).batches(step, 0, 1, 8)[0] for step in range(64)])
    for epoch in (drawn[:256], drawn[256:]):
        assert sorted(epoch) == list(range(100, 356))
    assert (drawn[:256] != drawn[256:]).any()


@pytest.mark.parametrize(('devices', 'batch'), [(1, 8), (1, 2), (2, 4), (4, 1)])
def test_however_a_step_is_divided_it_has_the_same_streams(devices, batch):
    for step in (0, 5, BUCKET_STEPS, 3 * BUCKET_STEPS + 1):
        parts = [part for rank in range(devices) for part in sampler().batches(step, rank, devices, batch)]
        assert all(len(part) == batch for part in parts)
        assert sorted(np.concatenate(parts)) == sorted(sampler().batches(step, 0, 1, 8)[0])


def test_a_batch_depends_on_seed_stage_and_step_alone():
    there = sampler()
    later = [there.batches(step, 0, 1, 8)[0].tolist() for step in range(70)]
    assert sampler().batches(69, 0, 1, 8)[0].tolist() == later[69]
    assert later != [sampler(seed=2).batches(step, 0, 1, 8)[0].tolist() for step in range(70)]
    assert later != [sampler(stage=2).batches(step, 0, 1, 8)[0].tolist() for step in range(70)]


def test_streams_of_a_batch_are_about_equally_long():
    many = sampler(2_000)
    spread = [np.ptp(many.chunks[many.batches(step, 0, 1, 8)[0] - 100]) for step in range(64)]
    assert np.mean(spread) < 1.0 < np.ptp(many.chunks)


@pytest.mark.parametrize(('share', 'hard_streams', 'drawn'), [(0.25, 60, 64), (0.25, 10, 20), (0.5, 200, 128)])
def test_hard_streams_take_their_share_and_none_is_drawn_more_than_twice_in_their_place(share, hard_streams, drawn):
    easy = sampler(3_000)
    hard = Hard(np.arange(2_000, 2_000 + hard_streams), share)
    steps = range(BUCKET_STEPS)
    plain = np.concatenate([easy.batches(step, 0, 1, 8)[0] for step in steps])
    with_hard = np.concatenate([easy.batches(step, 0, 1, 8, hard)[0] for step in steps])
    as_before = np.intersect1d(plain, with_hard)
    assert len(plain) == len(with_hard) == 256
    of_hard = np.isin(with_hard, 100 + hard.places).sum() - np.isin(as_before, 100 + hard.places).sum()
    assert drawn - 10 <= of_hard <= drawn  # some are among those of the epoch as well
    assert np.unique(with_hard, return_counts=True)[1].max() <= 3


def test_hard_streams_are_drawn_alike_by_any_number_of_devices_and_after_a_restart():
    places, step = np.arange(5, 30), BUCKET_STEPS + 3
    whole = sampler(300).batches(step, 0, 1, 8, Hard(places, 0.5))[0]
    parts = [part for rank in (0, 1) for part in sampler(300).batches(step, rank, 2, 2, Hard(places, 0.5))]
    assert sorted(np.concatenate(parts)) == sorted(whole)
    assert sorted(whole) != sorted(sampler(300).batches(step, 0, 1, 8)[0])


@pytest.mark.parametrize('first', [0, 3])
def test_reading_ahead_gives_every_step_once_and_in_order(first):
    asked = []
    ahead = list(read_ahead(lambda step: asked.append(step) or 10 * step, first, 6))
    assert ahead == [(step, 10 * step) for step in range(first, 6)]
    assert asked == list(range(first, 6))


def test_what_goes_wrong_while_reading_ahead_is_raised_at_its_step():
    steps = read_ahead(lambda step: 6 // (3 - step), 0, 6)
    assert [next(steps) for _ in range(3)] == [(0, 2), (1, 3), (2, 6)]
    with pytest.raises(ZeroDivisionError):
        next(steps)
