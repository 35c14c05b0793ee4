"""Many ears, one brain: the passes of many sessions, batched where they are equally long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response

Name = TypeVar('Name')


class Brain(Generic[Name]):
    """Runs listening loops over one engine, each with a queue, a context and limits of its own.

    Fair: in a round every loop makes one step, whatever the others have to do.
    """

    def __init__(self, engine: Engine, loops: Mapping[Name, ListeningLoop]) -> None:
        """The loops' sessions must have been made with this engine."""
        self._engine = engine
        self._loops = dict(loops)

    def round(self) -> dict[Name, Decision | Response]:
        """One step of every loop; what those emitted that had something to do."""
        works = {name: loop.step_work() for name, loop in self._loops.items()}
        emitted: dict[Name, Decision | Response] = {}
        logits: dict[Name, Tensor] = {}
        while works:
            asked: dict[int, dict[Name, Tensor]] = defaultdict(dict)  # by the number of positions
            for name, work in list(works.items()):
                try:
                    embedded = work.send(logits[name]) if name in logits else next(work)
                    asked[len(embedded)][name] = embedded
                except StopIteration as done:
                    del works[name]
                    if done.value is not None:
                        emitted[name] = done.value
            logits = {}
            for batch in asked.values():
                caches = [self._loops[name].session.cache for name in batch]
                read = self._engine.forward(caches, torch.stack(list(batch.values())))
                logits |= dict(zip(batch, read, strict=True))
        return emitted
