"""Batches hold what Algorithm 2 says, and what is drawn for them depends on what it is drawn for alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.protocol import Protocol
from tests.training.stages import micro
from training.random_streams import Purpose, random_stream
from training.recipe import StageData
from training.stages.augmentation import after_quiet
from training.stages.collator import StreamCollator, event_targets, first_exchange, warnings
from training.streams import Role
from training.tokens import make_tokenizer


def drawn(step: int, seed: int = 1, stage: int = 1):
    """The random numbers of each stream in a step."""
    return partial(random_stream, Purpose.STREAM_AUGMENTATION, seed, stage, step)


def test_targets_are_exclusive_and_stand_where_they_are_predicted(collator):
    protocol = collator.protocol
    batch = collator.collate(range(6))
    ids = batch.ids.flatten()
    assert not set(batch.stream_at.tolist()) & set(batch.lm_at.tolist())
    assert torch.equal(ids[batch.stream_at + 1], batch.stream_targets)
    assert torch.equal(ids[batch.lm_at + 1], batch.lm_targets)
    assert set(batch.stream_targets.tolist()) == {protocol.silent, protocol.response}
    # Neither audio nor the instruction is ever a target, and controls are decided where a chunk ends.
    assert not {protocol.audio, protocol.chunk_begin, protocol.chunk_end} & set(batch.lm_targets.tolist())
    assert set(batch.stream_at.tolist()) <= set(batch.ends_at.tolist())
    assert (ids[batch.ends_at] == protocol.chunk_end).all() and (ids[batch.audio_at] == protocol.audio).all()


def test_a_batch_holds_every_chunk_and_every_decision_of_its_streams(collator):
    batch = collator.collate([0, 1, 2])
    streams = [collator.dataset.record(place) for place in range(3)]
    assert batch.heard.sum(dim=1).tolist() == [stream.chunks for stream in streams]
    assert len(batch.audio_at) == 10 * len(batch.ends_at) == 10 * sum(stream.chunks for stream in streams)
    assert torch.bincount(batch.stream_of).tolist() == [len(stream.drains) for stream in streams]
    for row, stream in enumerate(streams):
        said = collator.tokenizer.decode(batch.lm_targets[batch.lm_of == row].tolist(), skip_special_tokens=True)
        assert said == ''.join(stream.replies[d.reply].text for d in stream.drains if d.reply is not None)
        assert torch.all(batch.waveforms[row, stream.chunks * CHUNK_SAMPLES :] == 0)
        assert len(batch.ids[row]) >= int(batch.lengths[row]) == int(collator.dataset.rows['positions'][row])


def test_offline_everything_is_heard_before_the_one_decision(collator):
    offline = StreamCollator(
        collator.dataset, StageData(form='offline'), collator.tokenizer, collator.protocol, collator.instruction, []
    )
    batch = offline.collate(range(8))
    assert torch.bincount(batch.stream_of).tolist() == [1] * 8
    assert (batch.ids[:, 0] == collator.protocol.offline).all()
    assert batch.lengths.tolist() == collator.dataset.rows['exchange_positions'][:8].tolist()
    for row in range(8):
        stream = collator.dataset.record(row)
        (drain,), chunks = first_exchange(stream)
        first = next((d for d in stream.drains if d.reply is not None), None)
        assert int(batch.heard[row].sum()) == chunks == (first.last + 1 if first else stream.chunks)
        wanted = collator.protocol.silent if drain.reply is None else collator.protocol.response
        assert int(batch.stream_targets[row]) == wanted


@pytest.fixture(scope='module')
def half_silent(collator) -> StreamCollator:
    return replace(collator, data=StageData(form='offline', silent_share=0.5))


def test_offline_a_share_of_the_streams_is_decided_on_where_silence_is_right(collator, half_silent):
    protocol, rows = collator.protocol, collator.dataset.rows
    answered = [place for place in range(40) if collator.dataset.record(place).replies]
    always = replace(half_silent, data=StageData(form='offline', silent_share=1.0)).collate(answered, drawn(1))
    for row, place in enumerate(answered):
        stream = collator.dataset.record(place)
        chunks = int(always.heard[row].sum())
        if chunks < int(rows['exchange_chunks'][place]):  # else there was no such moment
            assert int(always.stream_targets[row]) == protocol.silent
            assert all(drain.reply is None for drain in stream.drains if drain.last < chunks)
            begun = [reply.onset for number, reply in enumerate(stream.replies) if number in warnings(stream)]
            assert all(onset // CHUNK_SAMPLES >= chunks for onset in begun)  # none of them could be given already
        else:
            assert int(always.stream_targets[row]) == protocol.response
    assert (always.heard.sum(dim=1).numpy() < rows['exchange_chunks'][answered]).mean() > 0.3
    assert len(set(always.heard.sum(dim=1).tolist())) > 3


def test_then_both_decisions_are_learnt_and_validated(collator, half_silent):
    protocol, places = collator.protocol, np.arange(40)
    first, again, other = (half_silent.collate(places, drawn(step)) for step in (1, 1, 2))
    silent = float((first.stream_targets == protocol.silent).float().mean())
    assert 0.15 < silent < 0.6 and len(first.stream_targets) == 40
    assert torch.equal(first.ids, again.ids) and not torch.equal(first.heard, other.heard)
    held_out = half_silent.collate(places)
    assert set(held_out.stream_targets.tolist()) == {protocol.silent, protocol.response}
    assert torch.equal(held_out.ids, half_silent.collate(places).ids)
    # The same silences whatever else is in the batch.
    assert torch.equal(held_out.stream_targets[5:9], half_silent.collate(places[5:9]).stream_targets)


def test_whole_streams_have_silence_of_their_own():
    with pytest.raises(ValueError, match=r'silent_share is of the offline form, whole streams have silence; take it'):
        StageData(form='online', silent_share=0.5)


def test_what_sounded_lately_is_shared_among_what_sounded(collator):
    stream = collator.dataset.record(0)
    targets = event_targets(stream, stream.chunks, collator.event_classes)
    assert np.allclose(targets.sum(axis=1), 1.0)
    for event in stream.events:
        column = 1 + list(collator.event_classes).index(event.category)
        assert (targets[event.onset // CHUNK_SAMPLES : (event.end - 1) // CHUNK_SAMPLES + 1, column] > 0).all()
    quiet = np.flatnonzero(targets[:, 0])
    for event in stream.events:
        assert not set(quiet) & set(range(event.onset // CHUNK_SAMPLES, (event.end - 1) // CHUNK_SAMPLES + 1))


def test_a_step_draws_noise_and_lateness_and_no_step_leaves_the_streams_alone(collator):
    noisy = replace(collator, data=collator.data.model_copy(update={'noise_share': 1.0, 'late_share': 1.0}))
    as_they_are, first, again, other = (
        noisy.collate(range(6), rng_of) for rng_of in (None, drawn(1), drawn(1), drawn(2))
    )
    assert torch.equal(as_they_are.waveforms, collator.collate(range(6)).waveforms)
    assert torch.equal(as_they_are.stream_targets, collator.collate(range(6)).stream_targets)
    assert torch.equal(first.waveforms, again.waveforms) and torch.equal(first.ids, again.ids)
    assert not torch.equal(first.waveforms, other.waveforms)
    for row in range(6):
        samples = int(as_they_are.heard[row].sum()) * CHUNK_SAMPLES
        clean, added = as_they_are.waveforms[row, :samples], (first.waveforms - as_they_are.waveforms)[row, :samples]
        assert 4.0 < 10 * float(torch.log10(clean.square().mean() / added.square().mean())) < 36.0
    assert len(first.stream_targets) <= len(as_they_are.stream_targets)


def test_what_is_drawn_depends_on_the_recipes_seed_and_on_the_stage(collator):
    noisy = replace(collator, data=collator.data.model_copy(update={'noise_share': 1.0}))
    here, *others = (noisy.collate([0], drawn(1, *of)).waveforms for of in ((1, 1), (2, 1), (1, 2)))
    assert all(not torch.equal(here, other) for other in others)


def test_after_a_quiet_everything_comes_later_and_what_no_longer_fits_stays_out(collator):
    moved = 0
    for place in range(len(collator.dataset.rows)):
        stream = collator.dataset.record(place)
        samples = collator.dataset.samples(place, stream.chunks)
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
    assert moved > len(collator.dataset.rows) // 4


def test_a_step_draws_quiet(collator):
    quiet = replace(collator, data=collator.data.model_copy(update={'quiet_share': 1.0}))
    assert torch.equal(quiet.collate(range(6)).waveforms, collator.collate(range(6)).waveforms)
    first, again = (quiet.collate(range(6), drawn(3)) for _ in range(2))
    assert torch.equal(first.waveforms, again.waveforms) and torch.equal(first.ids, again.ids)
    assert not torch.equal(first.waveforms, collator.collate(range(6), drawn(3)).waveforms)


def test_a_slip_is_in_the_history_and_nowhere_in_the_targets(collator):
    slipping = replace(collator, data=collator.data.model_copy(update={'slip_share': 1.0}))
    as_they_are, slipped = collator.collate(range(6), drawn(2)), slipping.collate(range(6), drawn(2))
    assert torch.equal(as_they_are.lm_targets, slipped.lm_targets)
    fewer = torch.bincount(as_they_are.stream_of) - torch.bincount(slipped.stream_of)
    assert set(fewer.tolist()) == {0, 1} or fewer.tolist() == 6 * [1]
    said = [int((batch.ids == collator.protocol.response).sum()) for batch in (as_they_are, slipped)]
    assert said[1] - said[0] == int((slipped.lengths > as_they_are.lengths).sum()) > 0
    assert torch.equal(slipped.ids.reshape(-1)[slipped.ends_at], as_they_are.ids.reshape(-1)[as_they_are.ends_at])


def test_the_learnt_tokenizer_writes_both_languages():
    tokenizer, protocol = make_tokenizer(micro.SAID.values(), 320)
    assert isinstance(tokenizer, Tokenizer) and isinstance(protocol, Protocol)
    for text in (*micro.SAID.values(), '完全没见过的字', 'never seen: 42 °C'):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
