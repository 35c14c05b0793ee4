"""When a session responds: by the kind of response, on one decision or on two, as the event head hears it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from audio_interaction_ros.model.checkpoint import DecoderHalf, StreamingDefaults
from audio_interaction_ros.model.deciding import KINDS, Threshold
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.brain import Brain
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, make_session
from tests.tiny_checkpoint import DIM, EVENTS

NEVER = 1.0 - 1e-9
ABOVE, BELOW = 1e-4, -1e-4  # of a probability that was seen


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(10, DIM, generator=generator) for _ in range(40)]


def hearing(half: DecoderHalf, name: str | None) -> DecoderHalf:
    """The same network with an event head that is sure of one class, or of nothing."""
    half = replace(half, language_model=copy.deepcopy(half.language_model))
    half.language_model.event_head.out.bias[0 if name is None else 1 + EVENTS.names.index(name)] += 1e3
    return half


def deciding(half: DecoderHalf, **changes: object) -> DecoderHalf:
    """The same checkpoint with other streaming defaults."""
    data = half.config.streaming.model_dump() | changes
    streaming = StreamingDefaults.model_validate(data)
    return replace(half, config=half.config.model_copy(update={'streaming': streaming}))


def table(at_once: float, twice: float | None = None, **others: float) -> dict[str, Threshold]:
    """Thresholds for every kind, those of `others` alike at once and twice."""
    usual = Threshold(at_once=at_once, twice=twice or at_once)
    return {kind: Threshold(at_once=others[kind], twice=others[kind]) if kind in others else usual for kind in KINDS}


def silent_probabilities(half: DecoderHalf, vectors: list[torch.Tensor]) -> list[float]:
    session = make_session(half, NEVER)
    return [session.drain([chunk])[1] for chunk in vectors]


@pytest.mark.parametrize(
    ('heard', 'instruction', 'kind'),
    [
        ('siren', None, 'warning'),
        ('doorbell', None, 'remark'),
        ('rain', None, 'asked'),
        (None, None, 'asked'),
        ('siren', 'Count the bells.', 'warning'),
        ('doorbell', 'Count the bells.', 'asked'),
        ('doorbell', 'Warn of danger.', 'remark'),  # the checkpoint's own
    ],
)
def test_what_is_heard_says_whose_threshold_decides(eventful_half, vectors, heard, instruction, kind):
    half = hearing(eventful_half, heard)
    silent = make_session(half, NEVER, instruction)
    _, probability = silent.drain(vectors[:1])
    for threshold, responds in ((probability + BELOW, True), (probability + ABOVE, False)):
        other = probability + (ABOVE if responds else BELOW)
        session = make_session(deciding(half, thresholds=table(other, **{kind: threshold})), None, instruction)
        assert session.drain(vectors[:1]) == (responds, probability)


def rising(half: DecoderHalf, vectors: list[torch.Tensor]) -> tuple[list[torch.Tensor], float, float]:
    """Chunks of which the second is answered more probably than the first, and both probabilities."""
    for chunk in vectors[1:]:
        first, second = silent_probabilities(half, [vectors[0], chunk])
        if first + 0.01 < second:
            return [vectors[0], chunk], first, second
    raise AssertionError('no such chunk')


def test_where_the_first_decision_is_unsure_the_second_has_to_be_no_less(eventful_half, vectors):
    chunks, first, second = rising(eventful_half, vectors)
    for twice, responds in ((first + BELOW, True), (first + ABOVE, False)):
        session = make_session(deciding(eventful_half, thresholds=table(second + ABOVE, twice)))
        assert not session.drain(chunks[:1])[0]
        assert session.drain(chunks[1:])[0] == responds
    sure = make_session(deciding(eventful_half, thresholds=table(second + BELOW, first + ABOVE)))
    assert not sure.drain(chunks[:1])[0]
    assert sure.drain(chunks[1:])[0]


def test_a_response_or_a_reset_lies_between_two_decisions_that_count_as_one_after_the_other(eventful_half, vectors):
    chunks, first, second = rising(eventful_half, vectors)
    session = make_session(deciding(eventful_half, thresholds=table(second + ABOVE, first + BELOW)))
    session.drain(chunks[:1])
    session.reset()
    assert not session.drain(chunks[:1])[0]
    assert session.drain(chunks[1:])[0]
    session.cancel()
    session.settings = replace(session.settings, thresholds=table(NEVER, 1e-9))
    assert not session.drain(vectors[2:3])[0]  # the one before was a response
    assert session.drain(vectors[3:4])[0]


@pytest.fixture
def urgent_half(eventful_half, vectors):
    """A checkpoint whose first word after the first chunk is the mark of an urgent response."""
    scout = make_session(eventful_half, 1e-9)
    scout.drain(vectors[:1])
    emotions = eventful_half.protocol.emotions | {'urgent': scout.next_token()}
    return replace(eventful_half, protocol=eventful_half.protocol.model_copy(update={'emotions': emotions}))


def test_an_urgent_warning_is_held_back_unless_the_event_head_hears_what_calls_for_one(urgent_half, vectors):
    silent = make_session(urgent_half, NEVER)
    silent.drain(vectors[:1])
    mass = silent.sounding.warning
    for agreement, responds in ((mass + BELOW, True), (mass + ABOVE, False)):
        session = make_session(deciding(urgent_half, response_threshold=1e-9, warning_agreement=agreement))
        assert session.drain(vectors[:1])[0] == responds
        overridden = make_session(deciding(urgent_half, warning_agreement=agreement), 1e-9)
        assert overridden.drain(vectors[:1])[0] == responds
    # Then it goes on as if it had been silent of itself.
    assert session.drain(vectors[1:2])[1] == silent.drain(vectors[1:2])[1]


def test_the_event_head_is_asked_about_urgent_warnings_only(urgent_half, vectors):
    protocol = urgent_half.protocol
    another = protocol.emotions | {'urgent': protocol.emotions['urgent'] + 1}
    half = replace(urgent_half, protocol=protocol.model_copy(update={'emotions': another}))
    session = make_session(deciding(half, response_threshold=1e-9, warning_agreement=0.999))
    assert session.drain(vectors[:1])[0]


def test_only_a_warning_that_the_event_head_agrees_with_cuts_a_response_short(eventful_half, vectors):
    scout = make_session(eventful_half, 1e-9)
    scout.drain(vectors[:1])
    scout.cancel()
    scout.drain(vectors[1:3])
    mass, first = scout.sounding.warning, scout.next_token()
    emotions = eventful_half.protocol.emotions | {'urgent': first}
    half = replace(eventful_half, protocol=eventful_half.protocol.model_copy(update={'emotions': emotions}))
    for agreement, interrupts in ((mass + BELOW, True), (mass + ABOVE, False)):
        session = make_session(deciding(half, response_threshold=1e-9))
        session.drain(vectors[:1])
        session.settings = replace(session.settings, warning_agreement=agreement)
        assert session.would_interrupt(vectors[1:3]) == interrupts


def test_sessions_that_share_passes_decide_as_they_would_alone(urgent_half, vectors):
    half = deciding(urgent_half, thresholds=table(0.6, 0.3, warning=0.4), warning_agreement=0.3)

    def decisions(streams: list[list[torch.Tensor]]) -> list[list[tuple[bool, float]]]:
        engine = Engine(half.language_model)
        queues = [ChunkQueue(max_chunks=1) for _ in streams]
        loops = {n: ListeningLoop(queue, make_session(half, engine=engine), half) for n, queue in enumerate(queues)}
        brain, made = Brain(engine, loops), [[] for _ in streams]
        for number, chunks in enumerate(zip(*streams, strict=True)):
            for queue, chunk in zip(queues, chunks, strict=True):
                queue.push(EncodedChunk.unbroken(number, chunk, -20.0))
            while emitted := brain.round():
                for name, event in emitted.items():
                    if isinstance(event, Decision):
                        made[name].append((event.respond, pytest.approx(event.probability, abs=1e-4)))
        return made

    streams = [vectors[:16], vectors[16:32]]
    alone = [decisions([stream])[0] for stream in streams]
    assert decisions(streams) == alone
    assert {respond for decided in alone for respond, _ in decided} == {True, False}


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'thresholds': {'warning': {'at_once': 0.5, 'twice': 0.5}}}, r"thresholds lack \['asked', 'remark'\]"),
        ({'thresholds': {kind: {'at_once': 0.5, 'twice': 0.6} for kind in KINDS}}, 'give twice at most at_once'),
        ({'warning_agreement': 1.5}, 'warning_agreement'),
    ],
)
def test_a_table_that_cannot_decide_is_refused(eventful_half, changes, problem):
    with pytest.raises(ValueError, match=problem):
        deciding(eventful_half, **changes)


def test_one_number_is_a_table_of_equals(eventful_half):
    plain = eventful_half.config.streaming
    assert set(plain.table.values()) == {Threshold(at_once=0.5, twice=0.5)}
    assert plain.lowest_threshold == 0.5
    assert deciding(eventful_half, thresholds=table(0.7, 0.3, asked=0.4)).config.streaming.lowest_threshold == 0.3
