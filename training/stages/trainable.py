"""What each stage trains, by parameter name (paper B.2, Table 11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from audio_interaction_ros.model.low_rank import is_update
from training.recipe import TrainablePart, UpdatedPart

EMBEDDINGS, LM_HEAD = 'language_model.model.embed_tokens.weight', 'language_model.lm_head.weight'
_ADAPTER = 'audio_tower.proj.'  # lies in the tower
_NO_ENCODER = (_ADAPTER, 'audio_tower.audio_bos_eos_token.')  # the tower's own begin and end of audio are never used
_PREFIXES: dict[TrainablePart, str | tuple[str, ...]] = {
    'lm_head': LM_HEAD,
    'new_token_lm_head': LM_HEAD,
    'embeddings': EMBEDDINGS,
    'new_token_embeddings': EMBEDDINGS,
    'adapter': _ADAPTER,
    'language_model': 'language_model.',
    'encoder': 'audio_tower.',
}
NEW_TOKENS: dict[TrainablePart, str] = {'new_token_embeddings': EMBEDDINGS, 'new_token_lm_head': LM_HEAD}  # rows alone


def is_trainable(
    name: str, parts: Collection[TrainablePart], with_events: bool, updated: Collection[UpdatedPart] = ()
) -> bool:
    """Return whether a stage that trains `parts` trains a parameter; `with_events`: and the auxiliary head.

    Of the `updated` parts only the low-rank updates learn.
    """
    if name.startswith('event_head.'):
        return with_events

    def belongs(part: TrainablePart) -> bool:
        if part in updated and not is_update(name):
            return False
        return name.startswith(_PREFIXES[part]) and not (part == 'encoder' and name.startswith(_NO_ENCODER))

    return any(belongs(part) for part in parts)


def set_trainable(
    module: nn.Module, parts: Collection[TrainablePart], with_events: bool, updated: Collection[UpdatedPart] = ()
) -> list[tuple[str, nn.Parameter]]:
    """Freeze all but what the stage trains, and return that, in the order of the module."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(is_trainable(name, parts, with_events, updated))
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def only_rows(table: nn.Parameter, rows: Sequence[int]) -> torch.utils.hooks.RemovableHandle:
    """Let gradients reach these rows alone; the caller sees to it that weight decay does not reach the others."""

    def keep_rows(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[rows] = gradient[rows]
        return kept

    return table.register_hook(keep_rows)


def parameter_groups(
    trainable: Sequence[tuple[str, nn.Parameter]], parts: Collection[TrainablePart], weight_decay: float
) -> Iterator[dict[str, object]]:
    """Yield matrices with weight decay; gains, biases, and tables of which only rows are trained, without."""
    of_rows = {name for part, name in NEW_TOKENS.items() if part in parts}

    def decays(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim > 1 and name not in of_rows

    for wanted, decay in ((True, weight_decay), (False, 0.0)):
        group = [parameter for name, parameter in trainable if decays(name, parameter) == wanted]
        if group:
            yield {'params': group, 'weight_decay': decay}
