"""When to speak and what to say, as chunks, drains and tokens (paper B.2, Algorithm 2; B.3 for the drains).

A reply follows the chunk that holds the last sample it needs. While it is being said, chunks queue up, and the next
decision is made over all of them at once: training then looks like FIFO inference (contract 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK, Protocol

MASK = -100
VECTOR_SAMPLES = CHUNK_SAMPLES // AUDIO_TOKENS_PER_CHUNK  # 25 vectors a second, however long a chunk is
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
        return self.chunk_of(CHUNK_SAMPLES)

    def chunk_of(self, chunk_samples: int) -> int:
        """The same for chunks of another length."""
        return (self.due - 1) // chunk_samples

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


def schedule(replies: Sequence[Reply], chunks: int, aloud: bool, chunk_samples: int = CHUNK_SAMPLES) -> list[Drain]:
    """What Algorithm 3 does with a stream of `chunks` whose replies are said aloud, or written at once.

    One reply a drain, in the order in which they fall due. Replies due after the last chunk find no place. Chunks of
    another length than the runtime's are for ablations (paper, Table 7).
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


def early(
    drains: Sequence[Drain], replies: Sequence[Reply], warnings: Collection[int], chunk_samples: int = CHUNK_SAMPLES
) -> set[int]:
    """The chunks up to which one of the `warnings` could be given already, though nobody has to know yet.

    How much of a sound is enough to know it by is a guess; silence until just then would be learnt as a rule, and so
    would doubt at the moment itself.
    """
    undecided = set[int]()
    for at, drain in enumerate(drains):
        if drain.reply is None or drain.reply not in warnings:
            continue
        begins = replies[drain.reply].onset // chunk_samples
        undecided |= {before.last for before in drains[:at] if before.reply is None and before.last >= begins}
    return undecided


def late(drains: Sequence[Drain], share: float, rng: np.random.Generator) -> tuple[list[Drain], set[int]]:
    """(drains with a `share` of the replies one to three later, chunks until which either is right).

    A network that is only shown replies at the first possible moment never learns to speak after it missed that one.
    """
    moved, undecided = list(drains), set[int]()
    for at, drain in enumerate(drains):
        if drain.reply is None or rng.random() >= share:
            continue
        to = at + int(rng.integers(1, 4))
        if to < len(drains) and all(later.reply is None for later in moved[at + 1 : to + 1]):
            moved[at] = drain.model_copy(update={'reply': None})
            moved[to] = moved[to].model_copy(update={'reply': drain.reply})
            undecided |= {missed.last for missed in moved[at:to]}
    return moved, undecided


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
    chunk_samples: int = CHUNK_SAMPLES,
    slips: Collection[int] = (),
) -> Tokens:
    """Algorithm 2. A silence that ends in one of the `undecided` chunks is not supervised, nor a reply among `slips`.

    The position of the last `chunk_end` of a drain predicts `silent` or `response`; the one of `response` and those of
    the text predict emotion, text and `eos`. Nothing else is supervised, and no position twice.
    """
    ids, stream_targets, lm_targets = list(prefix), [MASK] * len(prefix), [MASK] * len(prefix)
    chunk_ends: list[int] = []

    def extend(tokens: Sequence[int]) -> None:
        ids.extend(tokens)
        stream_targets.extend([MASK] * len(tokens))
        lm_targets.extend([MASK] * len(tokens))

    vectors = [protocol.audio] * (chunk_samples // VECTOR_SAMPLES)
    for drain in drains:
        for _ in range(drain.first, drain.last + 1):
            extend([protocol.chunk_begin, *vectors, protocol.chunk_end])
            chunk_ends.append(len(ids) - 1)
        if drain.reply is None:
            stream_targets[-1] = MASK if drain.last in undecided else protocol.silent
            extend([protocol.silent])
            continue
        reply = replies[drain.reply]
        words = [protocol.emotions[reply.emotion], *tokenizer.encode(reply.text).ids, protocol.eos]
        learnt = drain.reply not in slips
        stream_targets[-1] = protocol.response if learnt else MASK
        said_from = len(ids)
        extend([protocol.response, *words])
        if learnt:
            lm_targets[said_from : said_from + len(words)] = words
    return Tokens(ids, stream_targets, lm_targets, chunk_ends)
