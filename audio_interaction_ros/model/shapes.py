"""The shapes of the two networks, under the names that config.json and transformers give them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class AudioConfig(BaseModel):
    """An `AudioConfig` is what has an effect of `Qwen2_5OmniAudioEncoderConfig`, with transformers' defaults.

    Two settings are this package's own. `layer_mix`: the outputs of the convolutions and of all layers are projected,
    side by side, not the last layer's alone. `left_context_chunks`: how many chunks before its own a chunk attends to;
    0 is the paper's.
    """

    model_config = ConfigDict(frozen=True, extra='ignore')

    num_mel_bins: int = Field(default=128, ge=1)
    encoder_layers: int = Field(default=32, ge=1)
    encoder_attention_heads: int = Field(default=20, ge=1)
    encoder_ffn_dim: int = Field(default=5_120, ge=1)
    d_model: int = Field(default=1_280, ge=4, multiple_of=2)
    max_source_positions: int = Field(default=1_500, ge=1)
    n_window: int = Field(default=100, ge=1)
    output_dim: int = Field(default=3_584, ge=1)
    activation_function: Literal['gelu'] = 'gelu'
    scale_embedding: Literal[False] = False
    layer_mix: bool = False
    left_context_chunks: int = Field(default=0, ge=0)

    @model_validator(mode='after')
    def _heads_divide(self) -> AudioConfig:
        if self.d_model % self.encoder_attention_heads:
            raise ValueError(f'd_model {self.d_model} is no multiple of {self.encoder_attention_heads} heads')
        return self


Family = Literal['qwen2', 'llama', 'qwen3']
# What transformers' configuration of a family has for settings that config.json leaves out, where ours has another.
_DEFAULTS: dict[str, dict[str, Any]] = {
    'qwen2': {},
    'llama': {
        'vocab_size': 32_000,
        'intermediate_size': 11_008,
        'max_position_embeddings': 2_048,
        'num_key_value_heads': None,
    },
    'qwen3': {'head_dim': 128},
}
# Settings of these families that nothing here computes, with the values that change nothing.
_NOT_COMPUTED: dict[str, tuple[Any, ...]] = {
    'mlp_bias': (None, False),
    'partial_rotary_factor': (None, 1.0),
    'quantization_config': (None,),
}


class RopeScaling(BaseModel):
    """A `RopeScaling` says how rotary frequencies are slowed down, for contexts longer than a model began with.

    `linear`: all by `factor` (Chen et al., 2023). `llama3`: by `factor` those with fewer than `low_freq_factor` turns
    in `original_max_position_embeddings` positions, none with more than `high_freq_factor`, the others between.
    """

    model_config = ConfigDict(frozen=True, extra='forbid')

    rope_type: Literal['linear', 'llama3']
    factor: float = Field(gt=0)
    low_freq_factor: float | None = Field(default=None, gt=0)
    high_freq_factor: float | None = Field(default=None, gt=0)
    original_max_position_embeddings: int | None = Field(default=None, ge=1)

    @model_validator(mode='after')
    def _llama3_is_whole(self) -> RopeScaling:
        low, high = self.low_freq_factor, self.high_freq_factor
        if self.rope_type == 'llama3' and (low is None or high is None or low >= high):
            raise ValueError(f'llama3 needs low_freq_factor below high_freq_factor, and they are {low} and {high}')
        return self


class TextConfig(BaseModel):
    """A `TextConfig` is what has an effect of `Qwen2Config`, `LlamaConfig` and `Qwen3Config`, with Qwen2's defaults.

    It takes the config.json of each of them, in which `model_type` says whose it is. What the families differ in:
    Qwen2 has biases on queries, keys and values; the others on these and the output where `attention_bias` is set, or
    none. Qwen3 normalises each head's queries and keys. Llama has no sliding windows. `head_dim` is None where
    it is `hidden_size` over heads. Settings that would change the numbers and are not computed here are refused.
    """

    model_config = ConfigDict(frozen=True, extra='ignore')

    vocab_size: int = Field(default=151_936, ge=1)
    hidden_size: int = Field(default=4_096, ge=2)
    intermediate_size: int = Field(default=22_016, ge=1)
    num_hidden_layers: int = Field(default=32, ge=1)
    num_attention_heads: int = Field(default=32, ge=1)
    num_key_value_heads: int = Field(default=32, ge=1)
    max_position_embeddings: int = Field(default=32_768, ge=1)
    rms_norm_eps: float = Field(default=1e-6, gt=0)
    rope_theta: float = Field(default=10_000.0, gt=0)
    sliding_window: int | None = Field(default=None, ge=1)
    layer_types: tuple[Literal['full_attention', 'sliding_attention'], ...] = ()
    hidden_act: Literal['silu'] = 'silu'
    tie_word_embeddings: bool = False
    model_type: Family = 'qwen2'
    attention_bias: bool = False
    head_dim: int | None = Field(default=None, ge=2, multiple_of=2)
    rope_scaling: RopeScaling | None = None

    @model_validator(mode='before')
    @classmethod
    def _as_transformers_writes_it(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        family = data.get('model_type', 'qwen2')
        if family not in _DEFAULTS:
            raise ValueError(f"model_type is '{family}', one of {', '.join(sorted(_DEFAULTS))} expected")
        data = _DEFAULTS[family] | data
        for name, without_effect in _NOT_COMPUTED.items():
            if name in data and data.pop(name) not in without_effect:
                raise ValueError(f'{name} is set, and nothing here computes it; take a model without it')
        _read_rope(data)
        heads = data.get('num_attention_heads', 32)
        if data.get('num_key_value_heads', 32) is None:
            data['num_key_value_heads'] = heads
        width, head_dim = data.get('hidden_size', 4_096), data.get('head_dim')
        if isinstance(heads, int) and isinstance(head_dim, int) and heads * head_dim == width:
            data['head_dim'] = None
        if not data.pop('use_sliding_window', data.get('sliding_window') is not None):
            data['sliding_window'] = None
        layers = data.get('num_hidden_layers', 32)
        if not data.get('layer_types'):
            first = data.get('max_window_layers', 28) if data.get('sliding_window') is not None else layers
            data['layer_types'] = [
                'sliding_attention' if layer >= first else 'full_attention' for layer in range(layers)
            ]
        return data

    @model_validator(mode='after')
    def _numbers_fit(self) -> TextConfig:
        if self.head_dim is None and (self.hidden_size % self.num_attention_heads or self.head_size % 2):
            raise ValueError(f'hidden_size {self.hidden_size} has no even share for {self.num_attention_heads} heads')
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(f'{self.num_attention_heads} heads do not share {self.num_key_value_heads} keys evenly')
        if len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(f'layer_types names {len(self.layer_types)} layers of {self.num_hidden_layers}')
        if 'sliding_attention' in self.layer_types and self.sliding_window is None:
            raise ValueError('layer_types has sliding_attention, and sliding_window is not set')
        if self.model_type == 'llama' and 'sliding_attention' in self.layer_types:
            raise ValueError('model_type is llama, which has no sliding windows; take sliding_window out')
        if self.model_type == 'qwen2' and self.attention_bias:
            raise ValueError('attention_bias is set, and the biases of qwen2 are always the same; take it out')
        return self

    @property
    def head_size(self) -> int:
        """Return the width of one head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Return how many positions back each layer looks; None for all of them."""
        return tuple(self.sliding_window if kind == 'sliding_attention' else None for kind in self.layer_types)


def _read_rope(data: dict[str, Any]) -> None:
    """Put what transformers says of rotary positions, under its newer or its older name, where `TextConfig` has it."""
    older = data.pop('rope_scaling', None)
    rope = dict(data.pop('rope_parameters', None) or older or {})
    kinds = [rope.pop(name) for name in ('rope_type', 'type') if name in rope]
    kind = kinds[0] if kinds else 'default'
    if kind not in ('default', 'linear', 'llama3'):
        raise ValueError(f"rope_type is '{kind}', one of default, linear, llama3 expected")
    if rope.pop('partial_rotary_factor', 1.0) != 1.0:
        raise ValueError('partial_rotary_factor is set, and nothing here computes it; take a model without it')
    if 'rope_theta' in rope:
        data['rope_theta'] = rope.pop('rope_theta')
    if kind == 'llama3' and rope.get('original_max_position_embeddings') is None:
        rope['original_max_position_embeddings'] = data.get('max_position_embeddings', 32_768)
    data['rope_scaling'] = None if kind == 'default' else {'rope_type': kind, **rope}
