"""Batches are a function of seed, stage and step, and hold what Algorithm 2 says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.protocol import Protocol
from tests.training.stages import micro
from training.recipe import StageData
from training.stages.batches import BUCKET_STEPS, Plan, Reader, after_quiet, event_targets, first_exchange, read_ahead
from training.streams import Role
from training.tokens import make_tokenizer


def plan(count: int = 37, a_step: int = 8, seed: int = 1, stage: int = 1) -> Plan:
    return Plan(np.arange(100, 100 + count), np.arange(count) % 13 + 4, a_step, seed, stage)


def test_an_epoch_draws_every_stream_once_and_so_does_the_next():
    drawn = np.concatenate([plan(32 * 8).batches(step, 0, 1, 8)[0] for step in range(64)])
    for epoch in (drawn[:256], drawn[256:]):
        assert sorted(epoch) == list(range(100, 356))
    assert (drawn[:256] != drawn[256:]).any()


@pytest.mark.parametrize(('devices', 'batch'), [(1, 8), (1, 2), (2, 4), (4, 1)])
def test_however_a_step_is_divided_it_has_the_same_streams(devices, batch):
    for step in (0, 5, BUCKET_STEPS, 3 * BUCKET_STEPS + 1):
        parts = [part for rank in range(devices) for part in plan().batches(step, rank, devices, batch)]
        assert all(len(part) == batch for part in parts)
        assert sorted(np.concatenate(parts)) == sorted(plan().batches(step, 0, 1, 8)[0])


def test_a_batch_depends_on_seed_stage_and_step_alone():
    there = plan()
    later = [there.batches(step, 0, 1, 8)[0].tolist() for step in range(70)]
    assert plan().batches(69, 0, 1, 8)[0].tolist() == later[69]
    assert later != [plan(seed=2).batches(step, 0, 1, 8)[0].tolist() for step in range(70)]
    assert later != [plan(stage=2).batches(step, 0, 1, 8)[0].tolist() for step in range(70)]


def test_streams_of_a_batch_are_about_equally_long():
    many = plan(2_000)
    spread = [np.ptp(many.chunks[many.batches(step, 0, 1, 8)[0] - 100]) for step in range(64)]
    assert np.mean(spread) < 1.0 < np.ptp(many.chunks)


def test_targets_are_exclusive_and_stand_where_they_are_predicted(reader):
    protocol = reader.protocol
    batch = reader.read(range(6))
    ids = batch.ids.flatten()
    assert not set(batch.stream_at.tolist()) & set(batch.lm_at.tolist())
    assert torch.equal(ids[batch.stream_at + 1], batch.stream_targets)
    assert torch.equal(ids[batch.lm_at + 1], batch.lm_targets)
    assert set(batch.stream_targets.tolist()) == {protocol.silent, protocol.response}
    # Neither audio nor the instruction is ever a target, and controls are decided where a chunk ends.
    assert not {protocol.audio, protocol.chunk_begin, protocol.chunk_end} & set(batch.lm_targets.tolist())
    assert set(batch.stream_at.tolist()) <= set(batch.ends_at.tolist())
    assert (ids[batch.ends_at] == protocol.chunk_end).all() and (ids[batch.audio_at] == protocol.audio).all()


def test_a_batch_holds_every_chunk_and_every_decision_of_its_streams(reader):
    batch = reader.read([0, 1, 2])
    streams = [reader.shards.record(place) for place in range(3)]
    assert batch.heard.sum(dim=1).tolist() == [stream.chunks for stream in streams]
    assert len(batch.audio_at) == 10 * len(batch.ends_at) == 10 * sum(stream.chunks for stream in streams)
    assert torch.bincount(batch.stream_of).tolist() == [len(stream.drains) for stream in streams]
    for row, stream in enumerate(streams):
        said = reader.tokenizer.decode(batch.lm_targets[batch.lm_of == row].tolist(), skip_special_tokens=True)
        assert said == ''.join(stream.replies[d.reply].text for d in stream.drains if d.reply is not None)
        assert torch.all(batch.waveforms[row, stream.chunks * CHUNK_SAMPLES :] == 0)
        assert len(batch.ids[row]) >= int(batch.lengths[row]) == int(reader.shards.rows['positions'][row])


def test_offline_everything_is_heard_before_the_one_decision(reader):
    offline = Reader(
        reader.shards, StageData(form='offline'), reader.tokenizer, reader.protocol, reader.instruction, []
    )
    batch = offline.read(range(8))
    assert torch.bincount(batch.stream_of).tolist() == [1] * 8
    assert (batch.ids[:, 0] == reader.protocol.offline).all()
    assert batch.lengths.tolist() == reader.shards.rows['exchange_positions'][:8].tolist()
    for row in range(8):
        stream = reader.shards.record(row)
        (drain,), chunks = first_exchange(stream)
        first = next((d for d in stream.drains if d.reply is not None), None)
        assert int(batch.heard[row].sum()) == chunks == (first.last + 1 if first else stream.chunks)
        wanted = reader.protocol.silent if drain.reply is None else reader.protocol.response
        assert int(batch.stream_targets[row]) == wanted


def test_what_sounded_lately_is_shared_among_what_sounded(reader):
    stream = reader.shards.record(0)
    targets = event_targets(stream, stream.chunks, reader.event_classes)
    assert np.allclose(targets.sum(axis=1), 1.0)
    for event in stream.events:
        column = 1 + list(reader.event_classes).index(event.category)
        assert (targets[event.onset // CHUNK_SAMPLES : (event.end - 1) // CHUNK_SAMPLES + 1, column] > 0).all()
    quiet = np.flatnonzero(targets[:, 0])
    for event in stream.events:
        assert not set(quiet) & set(range(event.onset // CHUNK_SAMPLES, (event.end - 1) // CHUNK_SAMPLES + 1))


def test_reading_ahead_changes_nothing(reader):
    chosen = np.arange(20)
    drawn = Plan(chosen, reader.shards.rows['chunks'][chosen], 4, 1, 1)
    for first in (0, 3):
        ahead = list(read_ahead(reader, drawn, first, 6, 0, 1, 2))
        assert [step for step, _ in ahead] == list(range(first, 6))
        for step, batches in ahead:
            for batch, places in zip(batches, drawn.batches(step, 0, 1, 2), strict=True):
                assert batch.places.tolist() == places.tolist()
                assert torch.equal(batch.waveforms, reader.read(places).waveforms)


def test_a_step_draws_noise_and_lateness_and_no_step_leaves_the_streams_alone(reader):
    noisy = replace(reader, data=reader.data.model_copy(update={'noise_share': 1.0, 'late_share': 1.0}))
    as_they_are, first, again, other = (noisy.read(range(6), step) for step in (None, 1, 1, 2))
    assert torch.equal(as_they_are.waveforms, reader.read(range(6)).waveforms)
    assert torch.equal(as_they_are.stream_targets, reader.read(range(6)).stream_targets)
    assert torch.equal(first.waveforms, again.waveforms) and torch.equal(first.ids, again.ids)
    assert not torch.equal(first.waveforms, other.waveforms)
    for row in range(6):
        samples = int(as_they_are.heard[row].sum()) * CHUNK_SAMPLES
        clean, added = as_they_are.waveforms[row, :samples], (first.waveforms - as_they_are.waveforms)[row, :samples]
        assert 4.0 < 10 * float(torch.log10(clean.square().mean() / added.square().mean())) < 36.0
    assert len(first.stream_targets) <= len(as_they_are.stream_targets)


def test_after_a_quiet_everything_comes_later_and_what_no_longer_fits_stays_out(reader):
    moved = 0
    for place in range(len(reader.shards.rows)):
        stream = reader.shards.record(place)
        samples = reader.shards.samples(place, stream.chunks)
        first = min(event.onset for event in stream.events if event.role is not Role.AMBIENT)
        later, heard = after_quiet(stream, samples, np.random.default_rng(place))
        by = later.events[0].onset - stream.events[0].onset
        moved += by > 0
        assert heard.shape == samples.shape and by % CHUNK_SAMPLES == 0
        assert np.array_equal(heard[by:], samples[: len(samples) - by])
        assert by == 0 or np.abs(heard[:by]).max() <= np.abs(samples[:first]).max()
        replied = [drain for drain in later.drains if drain.reply is not None]
        assert bool(replied) == any(drain.reply is not None for drain in stream.drains)
        assert all(later.replies[d.reply].due <= (d.last + 1) * CHUNK_SAMPLES <= len(heard) for d in replied)
        assert [chunk for d in later.drains for chunk in range(d.first, d.last + 1)] == list(range(stream.chunks))
    assert moved > len(reader.shards.rows) // 4


def test_a_step_draws_quiet(reader):
    quiet = replace(reader, data=reader.data.model_copy(update={'quiet_share': 1.0}))
    assert torch.equal(quiet.read(range(6)).waveforms, reader.read(range(6)).waveforms)
    first, again = (quiet.read(range(6), step=3) for _ in range(2))
    assert torch.equal(first.waveforms, again.waveforms) and torch.equal(first.ids, again.ids)
    assert not torch.equal(first.waveforms, reader.read(range(6), step=3).waveforms)


def test_a_slip_is_in_the_history_and_nowhere_in_the_targets(reader):
    slipping = replace(reader, data=reader.data.model_copy(update={'slip_share': 1.0}))
    as_they_are, slipped = reader.read(range(6), step=2), slipping.read(range(6), step=2)
    assert torch.equal(as_they_are.lm_targets, slipped.lm_targets)
    fewer = torch.bincount(as_they_are.stream_of) - torch.bincount(slipped.stream_of)
    assert set(fewer.tolist()) == {0, 1} or fewer.tolist() == 6 * [1]
    said = [int((batch.ids == reader.protocol.response).sum()) for batch in (as_they_are, slipped)]
    assert said[1] - said[0] == int((slipped.lengths > as_they_are.lengths).sum()) > 0
    assert torch.equal(slipped.ids.reshape(-1)[slipped.ends_at], as_they_are.ids.reshape(-1)[as_they_are.ends_at])


def test_the_learnt_tokenizer_writes_both_languages():
    tokenizer, protocol = make_tokenizer(micro.SAID.values(), 320)
    assert isinstance(tokenizer, Tokenizer) and isinstance(protocol, Protocol)
    for text in (*micro.SAID.values(), '完全没见过的字', 'never seen: 42 °C'):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
