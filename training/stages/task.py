"""What the training loop asks of a stage: batches, a module, losses and figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from training.recipe import ListeningStage, Stage
from training.stages.generated import Said


class Movable(Protocol):
    """A batch is `Movable` to another device."""

    def to(self, device: torch.device) -> Self:
        """Return the same on another device."""


B = TypeVar('B', bound=Movable)


class TrainingTask(ABC, Generic[B]):
    """A `TrainingTask` is one stage of a run: the module it trains, on which batches and for which loss.

    `settings` have its steps, its learning rate and its batch; `accumulation`: batches of one process a step;
    `memory_cure`: what to change where memory runs out; `looks`: the steps before which to look at the module;
    `hears`: those after which to hear what it says.
    """

    name: str
    settings: Stage | ListeningStage
    module: nn.Module
    accumulation: int
    memory_cure: ClassVar[str]
    looks: Sequence[int] = ()
    hears: Sequence[int] = ()

    @abstractmethod
    def trainable(self) -> AbstractContextManager[Iterable[dict[str, object]]]:
        """Freeze all but what the stage trains, and give that, as parameter groups of an optimiser, while it lasts."""

    def look(self, step: int, folder: Path) -> None:
        """Look at the module as it is before a step, for what to read from then on; what was seen is kept in a folder.

        Called by every process at `looks`, and where a run begins or goes on; no later step was read yet.
        """
        return

    def hear(self, done: int, folder: Path) -> Said | None:
        """Return to the first process what the module says after `done` steps; called by every process at `hears`."""
        return None

    def finish(self, folder: Path) -> None:
        """Do what remains of the stage after its last step, with what its folder holds; called by every process."""
        return

    @abstractmethod
    def read(self, step: int) -> list[B]:
        """Return this process's batches of a step, on the CPU."""

    @abstractmethod
    def counts(self, batches: Sequence[B]) -> list[float]:
        """Return what is counted in batches; the sums over all processes are what `loss` and `figures` are given."""

    @abstractmethod
    def inputs(self, batch: B) -> tuple[Any, ...]:
        """Return what the module is called with, in float32."""

    @abstractmethod
    def loss(self, outputs: Any, batch: B, counts: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Return the batch's share of the step's loss, and its parts, detached, as sums over the batch: float64 [m]."""

    @abstractmethod
    def figures(self, parts: Sequence[float], counts: Sequence[float], seconds: float) -> dict[str, float]:
        """Return what is reported of a step that took so long; parts and counts are those of all processes."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return figures of the module as it is, on the validation side; none where the corpus has nothing for it.

        Called by every process at the same step, without gradients and with the module in evaluation mode.
        """
