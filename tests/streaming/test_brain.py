"""Sessions that share passes say what they would say alone, and none waits for another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.brain import Brain, ModelFailure
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, make_session
from tests.tiny_checkpoint import DIM


def chunk(ear, index):
    vectors = torch.randn(10, DIM, generator=torch.Generator().manual_seed(100 * ear + index))
    return EncodedChunk(ear, index, index * 6_400, 0, index * 400_000_000, -30.0, vectors)


def ears(half, count, engine=None, threshold=0.5):
    queues = [ChunkQueue(8) for _ in range(count)]
    loops = [ListeningLoop(queue, make_session(half, threshold, engine=engine), half) for queue in queues]
    return queues, loops


def told(event):
    if isinstance(event, Decision):
        return event.chunk.index, event.chunks_drained, event.respond, pytest.approx(event.probability, abs=1e-5)
    return event.text, event.emotion, event.final


def emitted_as(event):
    decision = isinstance(event, Decision)
    return (*told(event)[:3], event.probability) if decision else told(event)


def test_every_session_emits_what_it_would_alone(decoder_half):
    """Different sounds, begun at different times, one of them falling behind; long enough to forget."""
    alone_queues, alone_loops = ears(decoder_half, 4)
    engine = Engine(decoder_half.language_model)
    queues, loops = ears(decoder_half, 4, engine)
    brain = Brain(engine, dict(enumerate(loops)))
    alone, together = [[] for _ in range(4)], [[] for _ in range(4)]
    for moment in range(16):
        for ear in range(4):
            if moment >= ear and (ear != 3 or moment % 4 == 3):
                late = range(moment - 3, moment + 1) if ear == 3 else range(moment, moment + 1)
                for index in late:
                    queues[ear].push(chunk(ear, index))
                    alone_queues[ear].push(chunk(ear, index))
                alone[ear] += [told(event) for event in alone_loops[ear].run_until_idle()]
        while emitted := brain.round():
            for ear, event in emitted.items():
                together[ear].append(emitted_as(event))
    assert together == alone
    assert all(loop.session.compactions for loop in loops)
    assert any(len(event) == 3 for event in together[0]), 'the tiny checkpoint should have said something'


def test_a_round_gives_each_one_step_however_long_another_speaks(decoder_half):
    engine = Engine(decoder_half.language_model)
    queues, loops = ears(decoder_half, 1, engine, threshold=1e-9)
    more_queues, more_loops = ears(decoder_half, 1, engine, threshold=1 - 1e-9)
    queues += more_queues
    brain = Brain(engine, {'talker': loops[0], 'listener': more_loops[0]})
    queues[0].push(chunk(0, 0))
    queues[1].push(chunk(1, 0))
    first = brain.round()
    assert set(first) == {'talker', 'listener'} and first['talker'].respond
    queues[1].push(chunk(1, 1))
    second = brain.round()
    assert not isinstance(second['talker'], Decision)
    assert second['listener'].chunk.index == 1


class FailingEngine(Engine):
    """An engine whose forward pass raises where a chunk of NaN is read, or any pass while it is `broken`."""

    broken = False

    def forward(self, caches, embedded):
        if self.broken or embedded.isnan().any():
            raise RuntimeError('the device is gone')
        return super().forward(caches, embedded)


def unreadable(ear, index):
    return replace(chunk(ear, index), vectors=torch.full((10, DIM), torch.nan))


def test_a_failed_pass_ends_the_responses_under_way_and_keeps_what_others_emitted(decoder_half):
    """Two speak; two drains of different lengths, so different passes, of which one cannot be read."""
    engine = FailingEngine(decoder_half.language_model)
    queues, loops = ears(decoder_half, 4, engine, threshold=1e-9)
    brain = Brain(engine, dict(zip(('one', 'two', 'three', 'four'), loops, strict=True)))
    queues[0].push(chunk(0, 0))
    assert set(brain.round()) == {'one'}
    queues[1].push(chunk(1, 0))
    assert set(brain.round()) == {'one', 'two'}
    said = loops[0].step()
    queues[2].push(chunk(2, 0))
    queues[3].push(unreadable(3, 0))
    queues[3].push(unreadable(3, 1))
    with pytest.raises(ModelFailure) as failure:
        brain.round()
    assert str(failure.value.__cause__) == 'the device is gone'
    assert failure.value.failed == ['four']
    assert set(failure.value.emitted) == {'one', 'two', 'three'}
    assert failure.value.emitted['three'].respond
    assert not failure.value.emitted['one'].final
    assert queues[3].dropped == 2  # nobody decided on them
    engine.broken = True
    with pytest.raises(ModelFailure) as failure:
        brain.round()
    assert set(failure.value.failed) == {'one', 'two', 'three'}  # four has nothing to do
    assert all(event.final and event.cancelled for event in failure.value.emitted.values())
    assert failure.value.emitted['one'].text.startswith(said.text)
    engine.broken = False
    assert brain.round() == {}
    queues[0].push(chunk(0, 5))
    fresh_queues, fresh_loops = ears(decoder_half, 1, threshold=1e-9)
    fresh_queues[0].push(chunk(0, 5))
    assert brain.round()['one'].probability == pytest.approx(fresh_loops[0].step().probability, abs=1e-5)
