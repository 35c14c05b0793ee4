"""Messages carry everything there and back, and what cannot be used is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from audio_interaction_ros.events.log import EntryKind, FlagVerdict, LogEntry
from audio_interaction_ros.msg import AudioEmbedding, LoggedEvent, Response, SafetyAlert
from audio_interaction_ros.nodes.embeddings import EmbeddingError, EmbeddingSpec, chunk_of, embedding_message
from audio_interaction_ros.nodes.messages import (
    alert_message,
    bytes_array,
    decision_message,
    event_message,
    nanoseconds_of,
    response_message,
    stamp_of,
)
from audio_interaction_ros.safety.hazards import Severity
from audio_interaction_ros.safety.policy import Alert, AlertState, HeardBy
from audio_interaction_ros.streaming.fifo import EncodedChunk
from audio_interaction_ros.streaming.loop import Decision
from audio_interaction_ros.streaming.loop import Response as LoopResponse

STAMP_NS = 1_700_000_000_123_456_789
SPEC = EmbeddingSpec('abc', 16)


def make_chunk(dtype=torch.float32):
    vectors = torch.randn(10, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    return EncodedChunk(2**63, 5, 32_000, 17, STAMP_NS, -31.5, vectors)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_an_embedding_survives_the_wire(dtype):
    chunk = make_chunk(dtype)
    message = over_the_wire(embedding_message(chunk, 'abc', 'mic'))
    assert message.header.frame_id == 'mic'
    assert message.dtype == ('float16' if dtype is torch.float16 else 'float32')
    back = chunk_of(message, SPEC)
    assert torch.equal(back.vectors, chunk.vectors.float())
    for name in ('stream_id', 'index', 'first_sample', 'dropped_before', 'stamp_ns', 'level_dbfs'):
        assert getattr(back, name) == getattr(chunk, name)


def test_stamps_survive():
    assert nanoseconds_of(stamp_of(STAMP_NS)) == STAMP_NS


@pytest.mark.parametrize(
    ('field', 'value', 'kind', 'sentence'),
    [
        ('encoder_digest', 'xyz', 'digest', "'xyz' found, 'abc' expected"),
        ('dtype', 'int8', 'dtype', "'int8' found"),
        ('tokens', 11, 'shape', '11 × 16 found, 10 × 16 expected'),
        ('dim', 32, 'shape', '10 × 32 found'),
        ('data', bytes_array(bytes(7)), 'size', '7 bytes of embedding found, 640 expected'),
        ('data', bytes_array(np.full(160, np.nan, '<f4').tobytes()), 'not_finite', 'NaN'),
    ],
)
def test_an_embedding_that_does_not_fit_is_refused(field, value, kind, sentence):
    message = embedding_message(make_chunk(), 'abc', 'mic')
    setattr(message, field, value)
    with pytest.raises(EmbeddingError, match=sentence) as refused:
        chunk_of(message, SPEC)
    assert refused.value.kind == kind


def test_decisions_and_responses_carry_the_trigger():
    decision = Decision(make_chunk(), 3, True, 0.75, 0.01)
    message = over_the_wire(decision_message(decision, 'mic', queue_depth=2, chunks_lost=4, checkpoint_digest='a-b'))
    assert (message.chunk_index, message.chunks_drained, message.queue_depth, message.chunks_lost) == (5, 3, 2, 4)
    assert message.decision == message.RESPONSE
    assert message.checkpoint_digest == 'a-b'
    assert nanoseconds_of(message.header.stamp) == STAMP_NS
    response = LoopResponse(decision, 'Glass is breaking.', 'urgent', final=True)
    message = over_the_wire(response_message(response, 'mic', STAMP_NS + 500_000_000))
    assert (message.text, message.urgent, message.final, message.trigger_chunk) == ('Glass is breaking.', True, True, 5)
    assert message.latency_s == pytest.approx(0.1)  # the chunk's sound ended 400 ms after its stamp
    assert isinstance(message, Response)


def test_the_enumerations_are_those_of_the_messages():
    for value in Severity:
        assert getattr(SafetyAlert, value.name) == value
    for value in AlertState:
        assert getattr(SafetyAlert, value.name) == value
    for name, value in HeardBy.__members__.items():
        assert getattr(SafetyAlert, name) == value
    for value in (*EntryKind, *FlagVerdict):
        assert getattr(LoggedEvent, value.name) == value
    alert = Alert('fire-1', 'fire', Severity.DANGER, AlertState.UPDATED, 'Fire!', 0.5, '1', HeardBy.BOTH)
    message = over_the_wire(alert_message(alert, Header(frame_id='mic')))
    assert (message.id, message.severity, message.state) == ('fire-1', SafetyAlert.DANGER, SafetyAlert.UPDATED)
    assert message.heard_by == SafetyAlert.BOTH
    assert isinstance(embedding_message(make_chunk(), 'abc', ''), AudioEmbedding)


def test_a_logged_event_survives_the_wire():
    evidence = {'stream_id': 2**64 - 1, 'hazard': 'fire\x1b'}
    event = LogEntry(
        7, EntryKind.ALERT, 'fire-1', STAMP_NS, 'mic', 'Fire!\0', None, evidence, FlagVerdict.FALSE_ALARM, 'kettle',
        True,
    )  # fmt: skip
    message = over_the_wire(event_message(event))
    assert (message.id, message.kind, message.verdict) == (7, LoggedEvent.ALERT, LoggedEvent.FALSE_ALARM)
    assert (message.source_id, message.text, message.heard) == ('fire-1', 'Fire!', 'kettle')
    assert json.loads(message.evidence) == evidence
    assert message.has_sound and np.isnan(message.probability)
    assert nanoseconds_of(message.header.stamp) == STAMP_NS
