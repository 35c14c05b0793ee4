"""A language model whose output matrix is its table of embeddings: one parameter, stored once by the table's name."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

_HEAD, _TABLE = 'lm_head.weight', 'model.embed_tokens.weight'


def tie(language_model: nn.Module) -> None:
    """Tie the two, in this package's class or in transformers', for good: whatever is loaded, they stay one.

    `state_dict` leaves the head out, and `load_state_dict` neither needs nor believes one.
    """
    _make_one(language_model)
    language_model.register_state_dict_post_hook(_leave_out)
    language_model.register_load_state_dict_pre_hook(_put_in)
    language_model.register_load_state_dict_post_hook(_make_one)


def _make_one(module: Any, _: object = None) -> None:
    module.lm_head.weight = module.model.embed_tokens.weight


def _leave_out(module: Any, state: dict[str, Tensor], prefix: str, _: object) -> None:
    if module.lm_head.weight is module.model.embed_tokens.weight:  # else it was replaced, by one of eight bits
        state.pop(prefix + _HEAD, None)


def _put_in(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    if prefix + _TABLE in state:
        state[prefix + _HEAD] = state[prefix + _TABLE]
