"""Decisions and responses as rows of text: the same numbers from files, bags and runs, byte for byte."""

from __future__ import annotations

from typing import Any

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.streaming.loop import Decision, Response

DECISION_FIELDS = (
    'stream',
    'chunk',
    'stamp_ns',
    't_s',
    'dropped_before',
    'level_dbfs',
    'chunks_drained',
    'decision',
    'probability',
)


def decision_row(decision: Decision) -> tuple[object, ...]:
    """Return one row under DECISION_FIELDS; `t_s` is the end of the newest chunk, from the start of its stream."""
    chunk = decision.chunk
    return (
        chunk.stream_id,
        chunk.index,
        chunk.stamp_ns,
        f'{_end_s(decision):.4f}',
        chunk.dropped_before,
        f'{chunk.level_dbfs:.2f}',
        decision.chunks_drained,
        'response' if decision.respond else 'silent',
        f'{decision.probability:.6f}',
    )


def response_report(response: Response) -> dict[str, Any]:
    """Return what `listen` prints of a response; `t_s` is the end of its trigger chunk."""
    return {
        't_s': round(_end_s(response.decision), 4),
        'text': response.text,
        'emotion': response.emotion,
        'probability': round(response.decision.probability, 6),
    }


def _end_s(decision: Decision) -> float:
    return (decision.chunk.first_sample + CHUNK_SAMPLES) / SAMPLE_RATE_HZ


def replay_report(response: Response) -> dict[str, Any]:
    """Return what `replay` writes of a response: also where in which stream its trigger chunk lies."""
    chunk = response.decision.chunk
    return {
        'stream': chunk.stream_id,
        'chunk': chunk.index,
        'stamp_ns': chunk.stamp_ns,
        **response_report(response),
    }
