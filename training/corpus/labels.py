"""When to speak and what to say, as chunks, drains and tokens (paper B.2, Algorithm 2; B.3 for the drains).

A reply follows the chunk that holds the last sample it needs. While it is being said, chunks queue up, and the next
decision is made over all of them at once: training then looks like FIFO inference (contract 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK, Protocol

MASK = -100
_CHARACTERS_A_SECOND = {'english': 15.0, 'chinese': 4.5}  # of unhurried speech


class Reply(BaseModel):
    """One thing to say, and the samples of the stream that call for it."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    onset: int = Field(ge=0, description='first sample of what calls for the reply')
    due: int = Field(ge=1, description='how many samples must have been heard before it can be given')
    text: str
    emotion: str = 'normal'
    language: str = 'english'

    @property
    def chunk(self) -> int:
        """The chunk after which it is due, from zero: Algorithm 4's ⌈(offset + d) / c⌉, less one."""
        return (self.due - 1) // CHUNK_SAMPLES

    @property
    def speaking_s(self) -> float:
        """How long it takes to say aloud."""
        return speaking_s(self.text, self.language)


def speaking_s(text: str, language: str) -> float:
    """Seconds that a text takes to say."""
    return len(text) / _CHARACTERS_A_SECOND.get(language, 15.0)


class Drain(BaseModel):
    """Chunks `first` … `last` taken from the queue at once, and the index of the reply that follows, if any."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    first: int
    last: int
    reply: int | None = None


def schedule(replies: Sequence[Reply], chunks: int, aloud: bool) -> list[Drain]:
    """What Algorithm 3 does with a stream of `chunks` whose replies are said aloud, or written at once.

    One reply a drain, in the order in which they fall due. Replies due after the last chunk find no place.
    """
    waiting = sorted(range(len(replies)), key=lambda index: (replies[index].chunk, index))
    drains: list[Drain] = []
    first, arrived = 0, 1
    while first < chunks:
        last = min(first + arrived, chunks) - 1
        due = waiting[0] if waiting and replies[waiting[0]].chunk <= last else None
        drains.append(Drain(first=first, last=last, reply=due))
        arrived = 1
        if due is not None:
            waiting.pop(0)
            if aloud:
                arrived = max(1, int(replies[due].speaking_s / CHUNK_S))
        first = last + 1
    return drains


@dataclass(frozen=True)
class Tokens:
    """A stream as the language model sees it. Targets stand at the position that must predict them, else MASK.

    `ids` hold the `audio` placeholder where encoder vectors go; `chunk_ends` are the positions of `chunk_end`.
    """

    ids: list[int]
    stream_targets: list[int]
    lm_targets: list[int]
    chunk_ends: list[int]


def tokenise(
    drains: Sequence[Drain],
    replies: Sequence[Reply],
    prefix: Sequence[int],
    tokenizer: Tokenizer,
    protocol: Protocol,
    undecided: Collection[int] = (),
) -> Tokens:
    """Algorithm 2. A silence that ends in one of the `undecided` chunks is not supervised.

    The position of the last `chunk_end` of a drain predicts `silent` or `response`; the one of `response` and those of
    the text predict emotion, text and `eos`. Nothing else is supervised, and no position twice.
    """
    ids, stream_targets, lm_targets = list(prefix), [MASK] * len(prefix), [MASK] * len(prefix)
    chunk_ends: list[int] = []

    def extend(tokens: Sequence[int]) -> None:
        ids.extend(tokens)
        stream_targets.extend([MASK] * len(tokens))
        lm_targets.extend([MASK] * len(tokens))

    for drain in drains:
        for _ in range(drain.first, drain.last + 1):
            extend([protocol.chunk_begin, *[protocol.audio] * AUDIO_TOKENS_PER_CHUNK, protocol.chunk_end])
            chunk_ends.append(len(ids) - 1)
        if drain.reply is None:
            stream_targets[-1] = MASK if drain.last in undecided else protocol.silent
            extend([protocol.silent])
            continue
        stream_targets[-1] = protocol.response
        reply = replies[drain.reply]
        words = [protocol.emotions[reply.emotion], *tokenizer.encode(reply.text).ids, protocol.eos]
        said_from = len(ids)
        extend([protocol.response, *words])
        lm_targets[said_from : said_from + len(words)] = words
    return Tokens(ids, stream_targets, lm_targets, chunk_ends)
