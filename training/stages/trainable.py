"""What each stage trains, by parameter name (paper B.2, Table 11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from training.recipe import TrainablePart

EMBEDDINGS = 'language_model.model.embed_tokens.weight'
_ADAPTER = 'audio_tower.proj.'  # lies in the tower
_NO_ENCODER = (_ADAPTER, 'audio_tower.audio_bos_eos_token.')  # the tower's own begin and end of audio are never used
_PREFIXES: dict[TrainablePart, str | tuple[str, ...]] = {
    'lm_head': 'language_model.lm_head.',
    'embeddings': EMBEDDINGS,
    'new_token_embeddings': EMBEDDINGS,
    'adapter': _ADAPTER,
    'language_model': 'language_model.',
    'encoder': 'audio_tower.',
}


def is_trainable(name: str, parts: Collection[TrainablePart], with_events: bool) -> bool:
    """Return whether a stage that trains `parts` trains a parameter; `with_events`: and the auxiliary head."""
    if name.startswith('event_head.'):
        return with_events
    return any(
        name.startswith(_PREFIXES[part]) and not (part == 'encoder' and name.startswith(_NO_ENCODER)) for part in parts
    )


def set_trainable(
    module: nn.Module, parts: Collection[TrainablePart], with_events: bool
) -> list[tuple[str, nn.Parameter]]:
    """Freeze all but what the stage trains, and return that, in the order of the module."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(is_trainable(name, parts, with_events))
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def only_rows(embeddings: nn.Parameter, rows: Sequence[int]) -> torch.utils.hooks.RemovableHandle:
    """Let gradients reach these rows alone; the caller sees to it that weight decay does not reach the others."""

    def keep_rows(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[rows] = gradient[rows]
        return kept

    return embeddings.register_hook(keep_rows)


def parameter_groups(
    trainable: Sequence[tuple[str, nn.Parameter]], parts: Collection[TrainablePart], weight_decay: float
) -> Iterator[dict[str, object]]:
    """Yield matrices with weight decay; gains, biases, and embeddings of which only rows are trained, without."""

    def decays(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim > 1 and not (name == EMBEDDINGS and 'new_token_embeddings' in parts)

    for wanted, decay in ((True, weight_decay), (False, 0.0)):
        group = [parameter for name, parameter in trainable if decays(name, parameter) == wanted]
        if group:
            yield {'params': group, 'weight_decay': decay}
