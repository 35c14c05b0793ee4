"""Which attention heads decide whether to speak: each is silenced in turn (paper §5.3, Figure 8)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.metrics import Interval, interval_of_sums, ratio
from training.stages.collator import Batch
from training.stages.model import StreamModel

SILENT, RESPONSE = range(2)
TOKEN_MATCH, LOG_PROBABILITY = range(2)


@dataclass(frozen=True)
class HeadScores:
    """A `HeadScores` says how well control tokens are predicted with all heads and without each, by stream.

    Sums over drains: `intact` float64 [streams, 2, 2] and `ablated` float64 [streams, layers, heads, 2, 2], by the
    right token (SILENT, RESPONSE) and by figure. TOKEN_MATCH counts where the right token is the likeliest of the whole
    vocabulary; LOG_PROBABILITY, in nats, is the right token's in the whole vocabulary. `drains` float64 [streams, 2].
    """

    intact: np.ndarray
    ablated: np.ndarray
    drains: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[HeadScores]) -> HeadScores:
        """Return the scores of several batches as one, in their order."""
        return cls(
            np.concatenate([p.intact for p in parts]),
            np.concatenate([p.ablated for p in parts]),
            np.concatenate([p.drains for p in parts]),
        )

    def of(self, streams: np.ndarray) -> HeadScores:
        """Return the scores of some streams, given as bool or int64 indices."""
        return HeadScores(self.intact[streams], self.ablated[streams], self.drains[streams])

    def mean(self, figure: int, token: int | None = None) -> float | None:
        """Return a figure with all heads, over all drains or those with one right token.

        It is None where there are no such drains.
        """
        tokens = slice(None) if token is None else [token]
        drains = self.drains[:, tokens].sum()
        return float(self.intact[:, tokens, figure].sum() / drains) if drains else None

    def drop(self, figure: int, token: int | None = None) -> np.ndarray | None:
        """Return how much of a figure goes without each head: float64 [layers, heads].

        It is taken over all drains or those with one right token, and None where there are no such drains.
        """
        tokens = slice(None) if token is None else [token]
        lost = self.intact[:, None, None][..., tokens, figure] - self.ablated[..., tokens, figure]
        drains = self.drains[:, tokens].sum()
        return lost.sum(axis=(0, -1)) / drains if drains else None

    def interval(self, layer: int, head: int, figure: int, seed: int) -> Interval | None:
        """Return the 95 % bootstrap interval of a head's drop over all drains, over whole streams."""
        lost = self.intact[..., figure] - self.ablated[:, layer, head, :, figure]
        columns = [lost.sum(axis=1).tolist(), self.drains.sum(axis=1).tolist()]
        return interval_of_sums(range(len(lost)), columns, ratio, seed)


@contextlib.contextmanager
def without_head(attention: nn.Module, head: int) -> Iterator[None]:
    """Set what one head of an attention hands to the output projection to zero while the context lasts."""

    def zero(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        mixed = inputs[0].unflatten(-1, (-1, attention.head_dim)).clone()
        mixed[..., head, :] = 0
        return mixed.flatten(-2)

    handle = attention.o_proj.register_forward_pre_hook(zero)
    try:
        yield
    finally:
        handle.remove()


@torch.inference_mode()
def measure(model: StreamModel, mel: Tensor, batch: Batch, response: int, done: Callable[[], object]) -> HeadScores:
    """Score the heads on one batch, each drain given all that truly went before.

    `mel` is as `StreamModel.forward` takes it; `response` is the id of the response token. A head changes nothing
    before its own layer, so the layers before are not computed again. `done` is called after each head.
    """
    decoder = model.language_model.model
    with _inputs(decoder.layers) as inputs:
        intact = _scores(model(mel, batch)[0], batch, response)
    heads = model.language_model.config.num_attention_heads
    ablated = np.zeros((len(batch.ids), len(decoder.layers), heads, 2, 2))
    for number, layer in enumerate(decoder.layers):
        for head in range(heads):
            with without_head(layer.self_attn, head):
                logits = _control_logits(model, inputs, number, batch)
            ablated[:, number, head] = _scores(logits, batch, response)
            done()
    drains = torch.zeros(len(batch.ids), 2, dtype=torch.float64, device=mel.device)
    right = (batch.stream_targets == response).long()
    drains.index_put_((batch.stream_of, right), torch.ones_like(right).double(), accumulate=True)
    return HeadScores(intact, ablated, drains.cpu().numpy())


@contextlib.contextmanager
def _inputs(layers: nn.ModuleList) -> Iterator[list[tuple[Tensor, dict[str, Any]]]]:
    """Collects what each layer is called with: hidden states, and masks and positions."""
    called: list[tuple[Tensor, dict[str, Any]]] = []

    def hook(_: nn.Module, args: tuple[Tensor], kwargs: dict[str, Any]) -> None:
        called.append((args[0], kwargs))

    handles = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in layers]
    try:
        yield called
    finally:
        for handle in handles:
            handle.remove()


def _control_logits(
    model: StreamModel, inputs: Sequence[tuple[Tensor, dict[str, Any]]], first: int, batch: Batch
) -> Tensor:
    """The control logits of `StreamModel.forward`, computed from layer `first` on."""
    decoder = model.language_model.model
    hidden = inputs[first][0]
    for layer, (_, given) in zip(decoder.layers[first:], inputs[first:], strict=True):
        hidden = layer(hidden, **given)
    decided = decoder.norm(hidden).flatten(0, 1)[batch.stream_at]
    return model.language_model.lm_head(decided).float()


def _scores(logits: Tensor, batch: Batch, response: int) -> np.ndarray:
    """Control logits [targets, vocabulary] → sums by stream, right token and figure, float64 [streams, 2, 2]."""
    targets = batch.stream_targets
    scores = torch.zeros(len(batch.ids), 2, 2, dtype=torch.float64, device=logits.device)
    match = logits.argmax(dim=-1) == targets
    probable = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
    scores.index_put_(
        (batch.stream_of, (targets == response).long()),
        torch.stack([match.double(), probable.double()], dim=1),
        accumulate=True,
    )
    return scores.cpu().numpy()
