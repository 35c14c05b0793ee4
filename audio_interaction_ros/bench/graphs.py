"""Whether captured graphs give the logits of the plain path: every fixed shape beside it, on a GPU or not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from audio_interaction_ros.model.engine import Engine, KvCache
from audio_interaction_ros.model.graphs import GraphEngine
from audio_interaction_ros.model.network import LanguageModel

_CONTEXT = (5, 17, 9, 30)  # positions that the sessions have read before, in turn; none is a fixed shape


def run(model: LanguageModel, sessions: int, capacity: int) -> dict[str, Any]:
    """Compare every fixed shape, captured on a GPU, with the plain engine and with the same passes not captured.

    Returns how many `shapes` there are and how many were `captured`, and the largest difference of a logit,
    `from_plain` and `from_not_captured`, as a share of the largest logit. `capacity`: positions of a session.
    """
    captured = GraphEngine(model, sessions, capacity)
    captured.warm_up()
    own = [captured.new_cache(capacity) for _ in range(sessions)]

    def difference_from(other: Engine) -> float:
        theirs = [other.new_cache(capacity) for _ in range(sessions)]
        return _largest_difference([(captured, own), (other, theirs)], captured.shapes)

    return {
        'shapes': len(captured.shapes),
        'captured': captured.graphs,
        'from_plain': difference_from(Engine(model)),
        'from_not_captured': difference_from(GraphEngine(model, sessions, capacity)),
    }


def _largest_difference(
    engines: Sequence[tuple[Engine, Sequence[KvCache]]], shapes: Sequence[tuple[int, int]]
) -> float:
    """The largest difference between two engines' logits over passes of these shapes, behind contexts of all lengths.

    With each engine, a cache for every session.
    """
    one = engines[0][0]
    generator = torch.Generator().manual_seed(0)

    def logits(sessions: slice, length: int) -> list[Tensor]:
        count = len(range(*sessions.indices(len(engines[0][1]))))
        embedded = torch.randn(count, length, one.config.hidden_size, generator=generator).to(one.device, one.dtype)
        return [engine.forward(caches[sessions], embedded) for engine, caches in engines]

    lengths = [length for _, length in zip(engines[0][1], itertools.cycle(_CONTEXT), strict=False)]
    for number, length in enumerate(lengths):
        for _, caches in engines:
            caches[number].truncate(0)
        logits(slice(number, number + 1), length)
    worst = 0.0
    for batch, length in shapes:
        ours, theirs = logits(slice(batch), length)
        worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
        for _, caches in engines:
            for cache, before in zip(caches, lengths, strict=True):
                cache.truncate(before)
    return worst
