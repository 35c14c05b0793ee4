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


class TextConfig(BaseModel):
    """A `TextConfig` is what has an effect of `Qwen2Config`, with transformers' defaults."""

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
    tie_word_embeddings: Literal[False] = False

    @model_validator(mode='before')
    @classmethod
    def _as_transformers_writes_it(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        rope = data.pop('rope_parameters', None) or {}
        if rope.get('rope_type', 'default') != 'default':
            raise ValueError(f"rope_type is '{rope['rope_type']}', 'default' expected")
        if 'rope_theta' in rope:
            data['rope_theta'] = rope['rope_theta']
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
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ValueError(f'hidden_size {self.hidden_size} has no even share for {self.num_attention_heads} heads')
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(f'{self.num_attention_heads} heads do not share {self.num_key_value_heads} keys evenly')
        if len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(f'layer_types names {len(self.layer_types)} layers of {self.num_hidden_layers}')
        if 'sliding_attention' in self.layer_types and self.sliding_window is None:
            raise ValueError('layer_types has sliding_attention, and sliding_window is not set')
        return self

    @property
    def head_dim(self) -> int:
        """Return the width of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Return how many positions back each layer looks; None for all of them."""
        return tuple(self.sliding_window if kind == 'sliding_attention' else None for kind in self.layer_types)
