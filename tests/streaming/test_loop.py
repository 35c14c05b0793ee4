"""Contract 5: drain all when listening, leave the queue alone while speaking, never mix streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.gap_counter import GapCounter
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, listen, make_session, tokens_spoken
from tests.tiny_checkpoint import DIM

ALWAYS, NEVER = 1e-9, 1.0 - 1e-9


def chunk(index, stream_id=1, dropped_before=0):
    generator = torch.Generator().manual_seed(index)
    vectors = torch.randn(10, DIM, generator=generator)
    return EncodedChunk(stream_id, index, index * 6_400, dropped_before, index * 400_000_000, -30.0, vectors)


def make_loop(half, threshold, max_chunks=4):
    queue = ChunkQueue(max_chunks)
    return queue, ListeningLoop(queue, make_session(half, threshold), half)


def test_everything_queued_is_drained_into_one_decision(decoder_half):
    queue, loop = make_loop(decoder_half, NEVER)
    for index in range(3):
        queue.push(chunk(index))
    decision = loop.step()
    assert isinstance(decision, Decision)
    assert (decision.chunk.index, decision.chunks_drained, decision.respond) == (2, 3, False)
    assert loop.step() is None


def test_while_speaking_the_queue_is_left_alone(decoder_half):
    queue, loop = make_loop(decoder_half, ALWAYS)
    queue.push(chunk(0))
    assert loop.step().respond
    queue.push(chunk(1))
    events = []
    while not (events and events[-1].final):
        events.append(loop.step())
        assert isinstance(events[-1], Response)
        assert len(queue) == 1
    assert all(event.decision.chunk.index == 0 for event in events)
    assert isinstance(loop.step(), Decision)


def test_a_new_stream_begins_a_new_context(decoder_half):
    queue, loop = make_loop(decoder_half, NEVER)
    queue.push(chunk(5, stream_id=1))
    loop.step()
    queue.push(chunk(6, stream_id=1))
    queue.push(chunk(0, stream_id=2))
    decision = loop.step()
    assert (decision.chunk.stream_id, decision.chunks_drained) == (2, 1)
    fresh_queue, fresh_loop = make_loop(decoder_half, NEVER)
    fresh_queue.push(chunk(0, stream_id=2))
    assert decision.probability == fresh_loop.step().probability


def test_what_is_forgotten_in_the_middle_of_a_response_ends_it_and_leaves_nothing(decoder_half):
    queue, loop = make_loop(decoder_half, ALWAYS)
    assert loop.forget() is None
    queue.push(chunk(3))
    decision = loop.step()
    said = [loop.step() for _ in range(3)][-1]
    last = loop.forget()
    assert (last.decision, last.text, last.final, last.cancelled) == (decision, said.text, True, True)
    assert loop.forget() is None
    queue.push(chunk(4))
    fresh_queue, fresh_loop = make_loop(decoder_half, ALWAYS)
    fresh_queue.push(chunk(4))
    assert loop.step().probability == fresh_loop.step().probability
    assert loop.step().text == fresh_loop.step().text


def test_a_full_queue_drops_its_oldest_chunk_and_counts():
    queue = ChunkQueue(2)
    for index in range(5):
        queue.push(chunk(index))
    assert [queued.index for queued in queue.flush()] == [3, 4]
    assert queue.dropped == 3
    assert not queue.wait(0.0)


@pytest.mark.parametrize('limit', [8, 9])
def test_what_a_decision_cannot_read_is_dropped_and_counted_for_odd_limits_too(decoder_half, limit):
    streaming = decoder_half.config.streaming.model_copy(update={'max_context_chunks': limit})
    half = replace(decoder_half, config=decoder_half.config.model_copy(update={'streaming': streaming}))
    queue, loop = make_loop(half, NEVER, max_chunks=20)
    counter = GapCounter()
    for index in range(7):
        assert counter.arrived(chunk(index), queue.dropped)
        queue.push(chunk(index))
    decision = loop.step()
    assert (decision.chunk.index, decision.chunks_drained, loop.session.context_chunks) == (6, 4, 4)
    assert queue.dropped == counter.lost(queue.dropped) == 3
    # Four is what a rebuilt context has room for, too.
    for index in range(7, 20, 4):
        for more in range(index, index + 4):
            queue.push(chunk(more))
        assert loop.step().chunks_drained == 4
    assert loop.session.compactions
    assert queue.dropped == 3


def test_listening_to_a_recording_is_deterministic(encoder_half, decoder_half):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 30_000).astype(np.float32)

    def hear():
        events = listen(encoder_half, decoder_half, sound)
        return [
            (event.chunk.index, event.respond, event.probability) if isinstance(event, Decision) else event.text
            for event in events
        ]

    assert hear() == hear()
    assert sum(isinstance(event, tuple) for event in hear()) == 5  # 4.7 chunks: the last is filled up


def test_losses_are_counted_wherever_they_happen():
    losses = GapCounter()
    assert losses.arrived(chunk(3), queue_dropped=0)  # a late start is no loss
    assert losses.lost(0) == 0
    assert losses.arrived(chunk(6), queue_dropped=0)  # 4 and 5 never came
    assert losses.lost(0) == 2
    assert losses.arrived(chunk(7, dropped_before=100), queue_dropped=0)  # a short gap at capture counts as one
    assert losses.lost(0) == 3
    assert losses.lost(2) == 5  # and two dropped from the queue
    assert not losses.arrived(chunk(7), queue_dropped=2)  # twice
    assert losses.arrived(chunk(0, stream_id=2), queue_dropped=2)
    assert losses.lost(2) == 0


def test_a_response_ends_within_a_token_when_it_is_cancelled_and_the_context_stays(decoder_half):
    queue, loop = make_loop(decoder_half, ALWAYS)
    assert loop.cancel() is None
    queue.push(chunk(3))
    decision = loop.step()
    said = [loop.step() for _ in range(3)][-1]
    last = loop.cancel()
    assert (last.decision, last.text, last.final, last.cancelled) == (decision, said.text, True, True)
    queue.push(chunk(4))
    fresh_queue, fresh_loop = make_loop(decoder_half, ALWAYS)
    fresh_queue.push(chunk(4))
    assert loop.step().probability != fresh_loop.step().probability


def test_a_response_that_takes_too_long_is_ended(decoder_half):
    queue = ChunkQueue(4)
    loop = ListeningLoop(queue, make_session(decoder_half, ALWAYS), decoder_half, max_response_s=0.0)
    queue.push(chunk(0))
    assert loop.step().respond
    last = loop.step()
    assert (last.text, last.final, last.cancelled) == ('', True, True)
    assert loop.step() is None


@pytest.mark.parametrize('urgent', [False, True])
def test_something_urgent_ends_a_response_that_is_not_and_is_answered_next(decoder_half, monkeypatch, urgent):
    queue = ChunkQueue(4)
    session = make_session(decoder_half, ALWAYS)
    loop = ListeningLoop(queue, session, decoder_half, preempt=True)
    asked = []

    def would_interrupt(waiting):
        asked.append(len(waiting))
        yield from ()
        return urgent

    monkeypatch.setattr(session, 'would_interrupt_request', would_interrupt)
    queue.push(chunk(0))
    loop.step()
    loop.step()
    assert not asked  # nothing is waiting
    queue.push(chunk(1))
    event = loop.step()
    assert (event.final, event.cancelled) == (urgent, urgent)
    assert len(queue) == 1
    if urgent:
        assert loop.step().chunk.index == 1
    else:
        loop.step()
        assert asked == [1]  # once a chunk


def test_after_a_failed_pass_the_response_gets_its_last_message_and_the_loop_goes_on(decoder_half, monkeypatch):
    queue, loop = make_loop(decoder_half, ALWAYS)
    queue.push(chunk(3))
    decision = loop.step()
    said = [loop.step() for _ in range(3)][-1]
    forward = Engine.forward

    def fails(*_):
        raise RuntimeError('the device is gone')

    monkeypatch.setattr(Engine, 'forward', fails)
    with pytest.raises(RuntimeError, match='is gone'):
        loop.step()
    last = loop.forget()
    assert (last.decision, last.text, last.final, last.cancelled) == (decision, said.text, True, True)
    for index in (4, 5):
        queue.push(chunk(index))
    with pytest.raises(RuntimeError, match='is gone'):
        loop.step()
    assert loop.forget() is None
    assert queue.dropped == 2  # the decision on them never came
    monkeypatch.setattr(Engine, 'forward', forward)
    queue.push(chunk(6))
    assert loop.step().chunks_drained == 1
    assert queue.dropped == 2


@pytest.mark.parametrize(
    ('said', 'kept'),
    [
        ('Fire! I', '<|urgent|>Fire! I'),
        ('Fire', '<|urgent|>Fire!'),
        ('Fire! I hear flames, 3.5 m away.', '<|urgent|>Fire! I hear flames, 3.5 m away.'),
        ('', ''),
        ('Dinner', None),
    ],
)
def test_what_was_spoken_is_found_among_the_tokens_whatever_was_done_to_its_spaces_and_signs(decoder_half, said, kept):
    tokenizer = decoder_half.tokenizer
    tokens = tokenizer.encode('<|urgent|>Fire!  I hear flames, 3.5 m away.').ids
    spoken = tokens_spoken(tokenizer, tokens, said)
    text = None if spoken is None else tokenizer.decode(tokens[:spoken], skip_special_tokens=False)
    assert (text and ' '.join(text.split())) == kept


def test_a_response_that_is_broken_off_while_it_is_written_ends_and_is_kept_as_far_as_it_was_spoken(decoder_half):
    queue, loop = make_loop(decoder_half, ALWAYS)
    queue.push(chunk(3))
    loop.step()
    while not (said := loop.step().text):
        pass
    loop.broken_off(1, 2, 'of another response')
    while len(loop.step().text) < 12:
        pass
    loop.broken_off(1, 3, said)
    last = loop.step()
    assert last.final and last.cancelled and len(last.text) >= 12
    loop.step()
    kept = decoder_half.tokenizer.decode(loop.session.written((1, 3)))
    assert kept.startswith(said) and len(kept) < 12
