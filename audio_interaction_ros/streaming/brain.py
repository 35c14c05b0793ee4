"""Many streams, one model: the passes of many sessions, batched where they are equally long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response

Name = TypeVar('Name', bound=Hashable)


class ModelFailure(RuntimeError):
    """A forward pass raised during a round; `__cause__` is what it raised.

    `failed` names the loops whose step it ended; they have dropped their context and may go on. `emitted` is what the
    round would have returned: what the other loops emitted, and from each of the failed loops that was responding the
    final message of its response, cancelled.
    """

    def __init__(self, failed: Sequence[Any], emitted: Mapping[Any, Decision | Response]) -> None:
        super().__init__(f'the model failed in {len(failed)} of the listening loops')
        self.failed, self.emitted = list(failed), dict(emitted)


class Brain(Generic[Name]):
    """A `Brain` runs listening loops over one engine, each with a queue, a context and limits of its own.

    It is fair: in a round every loop makes one step, whatever the others have to do.
    """

    def __init__(self, engine: Engine, loops: Mapping[Name, ListeningLoop]) -> None:
        """Take the loops by name; their sessions must have been made with this engine."""
        self._engine = engine
        self._loops = dict(loops)

    def round(self) -> dict[Name, Decision | Response]:
        """Make one step of every loop and return what those emitted that had something to do.

        Raises ModelFailure, with what was emitted nevertheless, where a forward pass raised.
        """
        requests = {name: loop.step_request() for name, loop in self._loops.items()}
        emitted: dict[Name, Decision | Response] = {}
        failures: dict[Name, Exception] = {}
        logits: dict[Name, Tensor] = {}
        while requests:
            asked: dict[int, dict[Name, Tensor]] = defaultdict(dict)  # by the number of positions
            for name, request in list(requests.items()):
                try:
                    embedded = request.send(logits[name]) if name in logits else next(request)
                    asked[len(embedded)][name] = embedded
                except StopIteration as done:
                    del requests[name]
                    if done.value is not None:
                        emitted[name] = done.value
                except Exception as error:
                    failures[name] = error
            logits = {}
            for batch in asked.values():
                caches = [self._loops[name].session.cache for name in batch]
                try:
                    read = self._engine.forward(caches, torch.stack(list(batch.values())))
                except Exception as error:
                    failures |= dict.fromkeys(batch, error)
                else:
                    logits |= dict(zip(batch, read, strict=True))
            for name in failures.keys() & requests.keys():
                requests.pop(name).close()
        if not failures:
            return emitted
        for name in failures:
            if cut_short := self._loops[name].forget():
                emitted[name] = cut_short
        raise ModelFailure(list(failures), emitted) from next(iter(failures.values()))
