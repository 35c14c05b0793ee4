"""Corpus streams laid out by hand, and what a session may have said in them."""

from __future__ import annotations

import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.streaming.fifo import EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, Response
from training.evaluate.hearing import Heard
from training.streams import Event, Reply, Role, Stream, schedule

SECOND = 16_000


def event(start_s: float, end_s: float, category: str = 'speech', text: str = '', respond: bool | None = None) -> Event:
    onset, end = int(start_s * SECOND), int(end_s * SECOND)
    return Event(
        onset=onset,
        end=end,
        known=end,
        role=Role.FOREGROUND,
        clip='clip',
        category=category,
        respond=respond,
        text=text,
    )


def reply(
    to: Event, text: str, due_s: float | None = None, language: str = 'english', emotion: str = 'normal'
) -> Reply:
    due = to.end if due_s is None else int(due_s * SECOND)
    return Reply(onset=to.onset, due=due, text=text, language=language, emotion=emotion)


def stream(
    events: list[Event],
    replies: list[Reply],
    chunks: int = 30,
    category: str = 'voice chatting',
    task: str = 'fact',
    **changes,
) -> Stream:
    made = Stream(
        id='stream-1',
        split='test',
        category=category,
        task=task,
        instruction='',
        made_by='hand',
        mixed_in=(),
        chunks=chunks,
        aloud=False,
        event_snr_db=12.0,
        ambient_snr_db=17.0,
        events=tuple(events),
        replies=tuple(replies),
        drains=tuple(schedule(replies, chunks, aloud=False)),
    )
    return made.model_copy(update=changes)


def heard(said: dict[int, str], chunks: int = 30, probabilities: dict[int, float] | None = None) -> Heard:
    """A session that always kept up and said `said[chunk]` after a chunk."""
    decisions = {
        index: Decision(
            EncodedChunk(0, index, index * CHUNK_SAMPLES, 0, 0, -30.0, torch.empty(0)),
            1,
            index in said,
            (probabilities or {}).get(index, 0.9 if index in said else 0.1),
            0.0,
        )
        for index in range(chunks)
    }
    responses = tuple(Response(decisions[index], text, 'normal', True) for index, text in sorted(said.items()))
    return Heard(tuple(decisions.values()), responses)
