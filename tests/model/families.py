"""Small random language models of each family, as transformers makes them, one for each thing that they differ in."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

WIDTH, VOCABULARY, WINDOW = 48, 50, 7
_SHAPE = {
    'hidden_size': WIDTH, 'intermediate_size': 96, 'num_hidden_layers': 3, 'num_attention_heads': 6,
    'num_key_value_heads': 2, 'vocab_size': VOCABULARY, 'max_position_embeddings': 256, 'initializer_range': 0.3,
}  # fmt: skip
_WINDOWS = {
    'use_sliding_window': True, 'sliding_window': WINDOW,
    'layer_types': ['sliding_attention', 'full_attention', 'sliding_attention'],
}  # fmt: skip
_LLAMA3 = {
    'rope_type': 'llama3', 'rope_theta': 1_000.0, 'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0,
    'original_max_position_embeddings': 32,
}  # fmt: skip
_FAST = {'rope_type': 'default', 'rope_theta': 1e5}
_LINEAR = {'rope_type': 'linear', 'rope_theta': 1e6, 'factor': 4.0}
_QWEN2 = (Qwen2Config, Qwen2ForCausalLM)
_LLAMA = (LlamaConfig, LlamaForCausalLM)
_QWEN3 = (Qwen3Config, Qwen3ForCausalLM)
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    'qwen2': (_QWEN2, _WINDOWS),
    'qwen2, upper layers windowed': (_QWEN2, {'use_sliding_window': True, 'sliding_window': 5, 'max_window_layers': 1}),
    'qwen2, tied, other heads': (_QWEN2, {'tie_word_embeddings': True, 'head_dim': 10, 'num_key_value_heads': 6}),
    'llama': (_LLAMA, {'num_key_value_heads': 6, 'rms_norm_eps': 1e-5}),
    'llama, tied as SmolLM2': (_LLAMA, {'tie_word_embeddings': True, 'rope_parameters': _FAST}),
    'llama, biases, llama3': (_LLAMA, {'attention_bias': True, 'rope_parameters': _LLAMA3}),
    'qwen3': (_QWEN3, {'head_dim': 16, 'rope_parameters': _LINEAR}),
    'qwen3, biases, windows': (_QWEN3, {'attention_bias': True, 'head_dim': 8} | _WINDOWS),
    'qwen3, tied': (_QWEN3, {'tie_word_embeddings': True, 'head_dim': 6}),
}  # fmt: skip


def stock_of(name: str, seed: int = 3) -> PreTrainedModel:
    """A network of one of FAMILIES, in which no bias is 0 and no gain 1."""
    (config, network), settings = FAMILIES[name]
    torch.manual_seed(seed)
    stock = network(config(**(_SHAPE | settings))).eval().requires_grad_(False)
    for parameter in stock.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return stock
