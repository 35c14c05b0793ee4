"""When to speak and what to say, as chunks, drains and tokens (paper B.2, Algorithm 2; B.3 for the drains).

A reply follows the chunk that holds the last sample it needs. While it is being said, chunks queue up, and the next
decision is made over all of them at once: training then looks like FIFO inference (contract 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK, Protocol
from training.streams import Drain, Reply

MASK = -100


VECTOR_SAMPLES = CHUNK_SAMPLES // AUDIO_TOKENS_PER_CHUNK  # 25 vectors a second, however long a chunk is


def early(
    drains: Sequence[Drain], replies: Sequence[Reply], warnings: Collection[int], chunk_samples: int = CHUNK_SAMPLES
) -> set[int]:
    """Return the chunks up to which one of the `warnings` could be given already, though nobody has to know yet.

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
    """Move a `share` of the replies by one to three drains: (drains, the chunks until which either decision is right).

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
    """`Tokens` are a stream as the language model sees it.

    Targets stand at the position that must predict them, else MASK. `ids` hold the `audio` placeholder where encoder
    vectors go; `chunk_ends` are the positions of `chunk_end`.
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
    """Turn drains and replies into tokens and targets (Algorithm 2).

    The position of the last `chunk_end` of a drain predicts `silent` or `response`; the one of `response` and those of
    the text predict emotion, text and `eos`. Nothing else is supervised, and no position twice. A silence that ends in
    one of the `undecided` chunks is not supervised, nor a reply among `slips`.
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
        text = tokenizer.encode(reply.text, add_special_tokens=False).ids
        words = [protocol.emotions[reply.emotion], *text, protocol.eos]
        learnt = drain.reply not in slips
        stream_targets[-1] = protocol.response if learnt else MASK
        said_from = len(ids)
        extend([protocol.response, *words])
        if learnt:
            lm_targets[said_from : said_from + len(words)] = words
    return Tokens(ids, stream_targets, lm_targets, chunk_ends)
