"""The language model in transformers' own class, for training and for tests to compare with. No node imports this."""

from __future__ import annotations

from typing import TypeAlias

from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.shapes import Family, TextConfig
from audio_interaction_ros.model.tied import tie

StockConfig: TypeAlias = Qwen2Config | LlamaConfig | Qwen3Config
StockModel: TypeAlias = Qwen2ForCausalLM | LlamaForCausalLM | Qwen3ForCausalLM
_CLASSES: dict[Family, tuple[type[StockConfig], type[StockModel]]] = {
    'qwen2': (Qwen2Config, Qwen2ForCausalLM),
    'llama': (LlamaConfig, LlamaForCausalLM),
    'qwen3': (Qwen3Config, Qwen3ForCausalLM),
}
# What only some of the classes have, or have under other names.
_OWN = {'model_type', 'rope_theta', 'rope_scaling', 'head_dim', 'attention_bias', 'sliding_window', 'layer_types'}


def stock_config(text: TextConfig) -> StockConfig:
    """Return the same shape as transformers describes it."""
    given = text.model_dump(mode='json', exclude=_OWN)
    scaling = text.rope_scaling.model_dump(exclude_none=True) if text.rope_scaling else {'rope_type': 'default'}
    given['rope_parameters'] = {'rope_theta': text.rope_theta} | scaling
    if text.model_type != 'qwen2':
        given |= {'attention_bias': text.attention_bias, 'head_dim': text.head_size}
    elif text.head_dim is not None:
        given['head_dim'] = text.head_dim
    if text.model_type != 'llama':
        given |= {'use_sliding_window': text.sliding_window is not None, 'sliding_window': text.sliding_window}
        given['layer_types'] = list(text.layer_types)
    return _CLASSES[text.model_type][0](**given)


def stock_network(text: TextConfig) -> StockModel:
    """Return a new network of this shape, on the default device, which stores a tied head as ours does."""
    network = _CLASSES[text.model_type][1](stock_config(text))
    if text.tie_word_embeddings:
        tie(network)
    return network


def stock_model(ours: LanguageModel) -> StockModel:
    """Return a copy of the weights in transformers' class, which has no event head."""
    model = stock_network(ours.config)
    model.load_state_dict(ours.stock_state())
    return model.to(ours.device, ours.dtype).eval().requires_grad_(False)


def lean_model(stock: StockModel) -> LanguageModel:
    """Return a copy of the weights of transformers' class in ours."""
    model = LanguageModel(TextConfig(**stock.config.to_diff_dict()))
    model.load_state_dict(stock.state_dict())
    return model.to(stock.device, stock.dtype).eval().requires_grad_(False)
