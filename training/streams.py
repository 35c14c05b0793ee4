"""A stream's record: its events, replies and drains, when each reply is due, and how streams are read from shards."""

from __future__ import annotations

import enum
import gzip
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.errors import BuildError


class Role(str, enum.Enum):
    """A role says what a part is to the scene, loudest first (paper B.1)."""

    FOREGROUND = 'foreground'
    BACKGROUND = 'background'
    AMBIENT = 'ambient'


_CHARACTERS_A_SECOND = {'english': 15.0, 'chinese': 4.5}  # of unhurried speech


class Reply(BaseModel):
    """A `Reply` is one thing to say, with the samples of the stream that call for it."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    onset: int = Field(ge=0, description='first sample of what calls for the reply')
    due: int = Field(ge=1, description='how many samples must have been heard before it can be given')
    text: str
    emotion: str = 'normal'
    language: str = 'english'

    @property
    def chunk(self) -> int:
        """Return the chunk after which it is due, from zero: Algorithm 4's ⌈(offset + d) / c⌉, less one."""
        return self.chunk_of(CHUNK_SAMPLES)

    def chunk_of(self, chunk_samples: int) -> int:
        """Return the chunk after which it is due where chunks are `chunk_samples` long."""
        return (self.due - 1) // chunk_samples

    @property
    def speaking_s(self) -> float:
        """Return how many seconds the reply takes to say aloud."""
        return speaking_s(self.text, self.language)


def speaking_s(text: str, language: str) -> float:
    """Return how many seconds a text takes to say in a language."""
    return len(text) / _CHARACTERS_A_SECOND.get(language, 15.0)


class Drain(BaseModel):
    """A `Drain` takes chunks `first` … `last` from the queue at once.

    `reply` is the index of the reply that follows, if any.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    first: int
    last: int
    reply: int | None = None


def schedule(replies: Sequence[Reply], chunks: int, aloud: bool, chunk_samples: int = CHUNK_SAMPLES) -> list[Drain]:
    """Return the drains that Algorithm 3 makes of a stream whose replies are said aloud, or written at once.

    One reply a drain, in the order in which they fall due. Replies due after the last of `chunks` find no place. Chunks
    of another length than the runtime's are for ablations (paper, Table 7).
    """
    waiting = sorted(range(len(replies)), key=lambda index: (replies[index].chunk_of(chunk_samples), index))
    drains: list[Drain] = []
    first, arrived = 0, 1
    while first < chunks:
        last = min(first + arrived, chunks) - 1
        due = waiting[0] if waiting and replies[waiting[0]].chunk_of(chunk_samples) <= last else None
        drains.append(Drain(first=first, last=last, reply=due))
        arrived = 1
        if due is not None:
            waiting.pop(0)
            if aloud:
                arrived = max(1, int(replies[due].speaking_s / (chunk_samples / SAMPLE_RATE_HZ)))
        first = last + 1
    return drains


class Event(BaseModel):
    """An `Event` sounds in samples `onset` … `end` of a stream, and is known once it was heard until `known`."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    onset: int
    end: int
    known: int
    role: Role
    clip: str
    category: str
    respond: bool | None
    text: str = ''


class Turned(BaseModel):
    """A stream has `Turned` to another ability at the sample `onset`."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    category: str
    task: str
    onset: int


class Stream(BaseModel):
    """A `Stream` is everything about a stream but its samples."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    id: str
    split: str
    category: str
    task: str
    instruction: str
    made_by: str
    mixed_in: tuple[str, ...]
    chunks: int
    aloud: bool
    event_snr_db: float
    ambient_snr_db: float
    events: tuple[Event, ...]
    replies: tuple[Reply, ...]
    drains: tuple[Drain, ...]
    behind: tuple[str, ...] = Field(default=(), description='the clips of the two noise tracks and of a measured room')
    credits: tuple[tuple[str, str, str], ...] = Field(
        default=(), description='source, licence and attribution of texts that others wrote'
    )
    lines_left_out: int = Field(default=0, description='at the end, because they did not fit')
    abilities: tuple[Turned, ...] = Field(
        default=(), description='those that follow one another, of which the first is its category and task; or none'
    )

    @model_serializer(mode='wrap')
    def _without_what_most_have_not(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that corpora without heterogeneous streams keep their bytes.
        return {name: value for name, value in dump(self).items() if name != 'abilities' or value}

    def recut(self, chunk_samples: int) -> Stream:
        """Return the stream in chunks of another length (paper, Table 7), the last of them filled up with silence."""
        chunks = -(-self.chunks * CHUNK_SAMPLES // chunk_samples)
        drains = schedule(self.replies, chunks, self.aloud, chunk_samples)
        return self.model_copy(update={'chunks': chunks, 'drains': tuple(drains)})

    def delayed(self, by_chunks: int, chunk_samples: int = CHUNK_SAMPLES) -> Stream:
        """Return the stream, no longer, with everything later by so many chunks.

        Replies that then fall after its end stay out.
        """
        later = by_chunks * chunk_samples
        events = (
            e.model_copy(update={name: getattr(e, name) + later for name in ('onset', 'end', 'known')})
            for e in self.events
        )
        replies = [r.model_copy(update={'onset': r.onset + later, 'due': r.due + later}) for r in self.replies]
        turned = tuple(t.model_copy(update={'onset': t.onset + later}) for t in self.abilities)
        drains = schedule(replies, self.chunks, self.aloud, chunk_samples)
        moved = {'events': tuple(events), 'replies': tuple(replies), 'drains': tuple(drains), 'abilities': turned}
        return self.model_copy(update=moved)


def read_streams(out: Path, audio: bool = True, only: Collection[int] | None = None):
    """Yield (Stream, float32 [chunks × 6400] or None) of every shard in order, lazily.

    `only`: the places, counted from zero, of the streams to decode and yield. Raises BuildError without shards.
    """
    from lhotse import CutSet

    cuts = sorted((out / 'shar').glob('cuts.*.jsonl.gz'))
    if not cuts:
        raise BuildError(f"no shards under '{out}/shar'; make them with 'python -m training corpus build'")
    if not audio:
        for path in cuts:
            with gzip.open(path, 'rt') as file:
                for line in file:
                    yield Stream.model_validate(json.loads(line)['custom']['stream']), None
        return
    tars = [path.with_name(path.name.replace('cuts.', 'recording.').replace('.jsonl.gz', '.tar')) for path in cuts]
    for number, cut in enumerate(CutSet.from_shar(fields={'cuts': cuts, 'recording': tars})):
        if only is not None and number not in only:
            continue
        samples: Samples = cut.load_audio()[0]
        yield Stream.model_validate(cut.custom['stream']), samples
