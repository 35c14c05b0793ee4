"""Low-rank updates in training: a matrix that stays as it began, and two thin ones beside it that learn."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from audio_interaction_ros.model.low_rank import LowRankUpdate
from training.recipe import LowRank

if TYPE_CHECKING:  # which uses this module
    from training.stages.model import StreamModel


class UpdatedLinear(nn.Linear):
    """An `UpdatedLinear` is a linear layer with a low-rank update, W + scale · B A, under PEFT's names.

    B begins as zeros, so that it computes what the layer did, to the bit. While `is_on` is False it does so again.
    `held` is a weight to compute with in place of its own.
    """

    is_on = True
    held: Tensor | None = None

    def __init__(self, layer: nn.Linear, rank: int, scale: float) -> None:
        """Take over a layer's weight and bias."""
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.scale = layer.in_features, layer.out_features, scale
        self.weight, self.bias = layer.weight, layer.bias
        with layer.weight.device:
            self.lora_A = nn.Linear(layer.in_features, rank, bias=False)
            self.lora_B = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for [..., in]."""
        begun = nn.functional.linear(x, self.weight if self.held is None else self.held, self.bias)
        return begun + self.scale * self.lora_B(self.lora_A(x)) if self.is_on else begun

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return a plain layer with the update in its weight."""
        with self.weight.device:
            layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, dtype=self.weight.dtype)
        layer.weight.copy_(LowRankUpdate(self.lora_A.weight, self.lora_B.weight, self.scale).added_to(self.weight))
        if self.bias is not None:
            layer.bias.copy_(self.bias)
        return layer


def add_updates(model: StreamModel, low_rank: LowRank) -> None:
    """Give the matrices that a recipe names their updates, in all layers of encoder and language model."""
    layers = {'encoder': model.audio_tower.layers, 'language_model': model.language_model.model.layers}
    for part, updates in low_rank.parts.items():
        rank, matrices, scale = updates.rank, updates.matrices, updates.settings().scale

        def updated(name: str, layer: nn.Linear) -> nn.Linear:
            return UpdatedLinear(layer, rank, scale) if name in matrices else layer  # noqa: B023 (called at once)

        _replace(layers[part], updated)


@contextlib.contextmanager
def without_updates(model: nn.Module) -> Iterator[None]:
    """Have a network compute what it did before it had updates, while this lasts."""
    layers = [layer for layer in model.modules() if isinstance(layer, UpdatedLinear) and layer.is_on]
    try:
        for layer in layers:
            layer.is_on = False
        yield
    finally:
        for layer in layers:
            layer.is_on = True


@contextlib.contextmanager
def weights_held(model: nn.Module) -> Iterator[None]:
    """Have the layers with updates keep their weights in bfloat16, for autocast, while this lasts.

    Autocast would make the same of them in every pass, so nothing changes, to the bit; but where a layer's update does
    not learn it is merged before.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, UpdatedLinear)]
    try:
        for layer in layers:
            layer.is_on = layer.lora_B.weight.requires_grad
            layer.held = (layer if layer.is_on else layer.merged()).weight.detach().to(torch.bfloat16)
        yield
    finally:
        for layer in layers:
            layer.is_on, layer.held = True, None


def merge_updates(model: nn.Module) -> None:
    """Merge all updates of a network into its matrices: from then on it has none."""
    _replace(model, lambda _, layer: layer.merged() if isinstance(layer, UpdatedLinear) else layer)


def _replace(module: nn.Module, instead: Callable[[str, nn.Linear], nn.Linear]) -> None:
    """Put what `instead` gives for the name of each linear layer, and the layer, into its place."""
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(parent, name, instead(name, layer))
