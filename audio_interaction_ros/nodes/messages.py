"""Between our dataclasses and ROS messages. Imports neither PyTorch nor a model: not every node needs them."""

from __future__ import annotations

import json
import math
import re
from array import array
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.events.log import LogEntry
from audio_interaction_ros.msg import Answer as AnswerMessage
from audio_interaction_ros.msg import Decision as DecisionMessage
from audio_interaction_ros.msg import LoggedEvent, SafetyAlert
from audio_interaction_ros.msg import Response as ResponseMessage
from audio_interaction_ros.safety.policy import Alert

if TYPE_CHECKING:
    from audio_interaction_ros.streaming.asking import Reply
    from audio_interaction_ros.streaming.loop import Decision, Response

URGENT = 'urgent'
_RESPONSE_ID = re.compile(r'(\d{1,20})-(\d{1,20})', re.ASCII)


def stamp_of(time_ns: int) -> Time:
    """Return nanoseconds since 1970 as a ROS stamp."""
    return Time(sec=time_ns // NS_PER_S, nanosec=time_ns % NS_PER_S)


def nanoseconds_of(stamp: Time) -> int:
    """Return a ROS stamp as nanoseconds since 1970."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def bytes_array(data: bytes) -> array[int]:
    """Return bytes in the form in which rclpy takes uint8[] without checking every element in Python."""
    return array('B', data)


def decision_message(
    decision: Decision, frame_id: str, queue_depth: int, chunks_lost: int, checkpoint_digest: str
) -> DecisionMessage:
    """Return the message of a decision, stamped with the capture time of its newest chunk."""
    chunk = decision.chunk
    return DecisionMessage(
        header=Header(stamp=stamp_of(chunk.stamp_ns), frame_id=frame_id),
        stream_id=chunk.stream_id,
        chunk_index=chunk.index,
        chunks_drained=decision.chunks_drained,
        decision=DecisionMessage.RESPONSE if decision.respond else DecisionMessage.SILENT,
        probability=decision.probability,
        queue_depth=queue_depth,
        compute_time_s=decision.compute_time_s,
        level_dbfs=chunk.level_dbfs,
        chunks_lost=chunks_lost,
        checkpoint_digest=checkpoint_digest,
    )


def wire_text(text: str) -> str:
    """Return a text without NULs: ROS strings end there, and a byte-level tokenizer can produce one."""
    return text.replace('\0', '')


def response_id(stream_id: int, trigger_chunk: int) -> str:
    """Return the id of the response to this chunk."""
    return f'{stream_id}-{trigger_chunk}'


def trigger_of(response_id: str) -> tuple[int, int] | None:
    """Return the stream and the chunk that an id of a response names; None for an id of anything else."""
    found = _RESPONSE_ID.fullmatch(response_id)
    return None if found is None else (int(found[1]), int(found[2]))


def response_message(response: Response, frame_id: str, now_ns: int) -> ResponseMessage:
    """Return the message of a response; `now_ns`, on the clock of the stamps, is when it is sent."""
    chunk = response.decision.chunk
    return ResponseMessage(
        header=Header(stamp=stamp_of(chunk.stamp_ns), frame_id=frame_id),
        id=response_id(chunk.stream_id, chunk.index),
        stream_id=chunk.stream_id,
        trigger_chunk=chunk.index,
        text=wire_text(response.text),
        emotion=response.emotion,
        urgent=response.emotion == URGENT,
        final=response.final,
        cancelled=response.cancelled,
        probability=response.decision.probability,
        latency_s=(now_ns - chunk.stamp_ns) / NS_PER_S - CHUNK_S,
    )


def answer_message(reply: Reply, frame_id: str, now_s: float) -> AnswerMessage:
    """Return the message of a reply to a question; `now_s`, on the clock of its `asked_s`, is when it is sent."""
    asked = reply.asked
    return AnswerMessage(
        header=Header(stamp=stamp_of(asked.newest.stamp_ns), frame_id=frame_id),
        id=asked.id,
        question=wire_text(asked.text),
        state=int(reply.state),
        reason=reply.reason,
        text=wire_text(reply.answer.text),
        emotion=reply.answer.emotion,
        complete=reply.answer.complete,
        options=[wire_text(option.text) for option in reply.options],
        probabilities=[option.share for option in reply.options],
        log_likelihoods=[option.log_likelihood for option in reply.options],
        heard_s=asked.heard_s,
        latency_s=now_s - asked.asked_s,
    )


def alert_message(alert: Alert, header: Header) -> SafetyAlert:
    """Return the message of an alert, with the header of what was heard last."""
    return SafetyAlert(
        header=header,
        id=alert.id,
        hazard=alert.hazard,
        severity=int(alert.severity),
        state=int(alert.state),
        message=alert.message,
        confidence=alert.confidence,
        response_id=alert.response_id,
        heard_by=int(alert.heard_by),
        acknowledged=alert.acknowledged,
        escalations=alert.escalations,
    )


def event_message(event: LogEntry) -> LoggedEvent:
    """Return the message of an entry of the event log."""
    return LoggedEvent(
        header=Header(stamp=stamp_of(event.stamp_ns), frame_id=wire_text(event.frame_id)),
        id=event.id,
        kind=int(event.kind),
        source_id=wire_text(event.source_id),
        text=wire_text(event.text),
        probability=math.nan if event.probability is None else event.probability,
        evidence=json.dumps(event.evidence, ensure_ascii=False),
        verdict=int(event.verdict),
        heard=wire_text(event.heard),
        has_sound=event.has_sound,
    )
