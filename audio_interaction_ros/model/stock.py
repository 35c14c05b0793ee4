"""The language model in transformers' own class, for training and for tests to compare with. No node imports this."""

from __future__ import annotations

from transformers import Qwen2Config, Qwen2ForCausalLM

from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.shapes import TextConfig


def stock_config(text: TextConfig) -> Qwen2Config:
    """Return the same shape as transformers describes it."""
    given = text.model_dump(mode='json', exclude={'rope_theta', 'sliding_window'})
    window = {'use_sliding_window': text.sliding_window is not None, 'sliding_window': text.sliding_window}
    rope = {'rope_theta': text.rope_theta, 'rope_type': 'default'}
    return Qwen2Config(**given, **window, rope_parameters=rope)


def stock_model(ours: LanguageModel) -> Qwen2ForCausalLM:
    """Return a copy of the weights in transformers' class, which has no event head."""
    model = Qwen2ForCausalLM(stock_config(ours.config))
    model.load_state_dict(ours.stock_state())
    stock: Qwen2ForCausalLM = model.to(ours.device, ours.dtype).eval().requires_grad_(False)
    return stock


def lean_model(stock: Qwen2ForCausalLM) -> LanguageModel:
    """Return a copy of the weights of transformers' class in ours."""
    model = LanguageModel(TextConfig(**stock.config.to_diff_dict()))
    model.load_state_dict(stock.state_dict())
    return model.to(stock.device, stock.dtype).eval().requires_grad_(False)
