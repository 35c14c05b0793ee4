"""The directory in which Audio-Interaction was released.

The language model lies in safetensors under the names of its training library, queries, keys and values packed into
one projection; the encoder is a state dict of transformers' audio tower, in a pickle.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from transformers import Qwen2Config

from audio_interaction_ros.model.convert_source import Tensors, WeightsSource, chunkwise, read_omni_config
from audio_interaction_ros.model.weights import CheckpointError, open_weights

ENCODER, MODEL_CONFIG, OMNI_CONFIG = 'audiointeraction_ChunkwisedEncoder.pth', 'model_config.yaml', 'qwen25OmniConfig'

_PLAIN = {
    'transformer.wte.weight': 'model.embed_tokens.weight',
    'transformer.ln_f.weight': 'model.norm.weight',
    'lm_head.weight': 'lm_head.weight',
}
_IN_LAYER = {
    'norm_1': 'input_layernorm',
    'norm_2': 'post_attention_layernorm',
    'attn.proj': 'self_attn.o_proj',
    'mlp.fc_1': 'mlp.gate_proj',
    'mlp.fc_2': 'mlp.up_proj',
    'mlp.proj': 'mlp.down_proj',
}
_LAYER = re.compile(r'transformer\.h\.(\d+)\.(.+)\.(weight|bias)')
_CONCATENATED, _INTERLEAVED = 'attn.qkv', 'attn.attn'  # newer files, older files


class _ModelConfig(BaseModel):
    """This is what of model_config.yaml says the shape; other architectures of that library are refused."""

    model_config = ConfigDict(extra='ignore', protected_namespaces=())

    n_layer: int = Field(gt=0)
    n_head: int = Field(gt=0)
    n_query_groups: int = Field(gt=0)
    n_embd: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    padded_vocab_size: int = Field(gt=0)
    block_size: int = 32_768
    norm_eps: float = 1e-6
    rope_base: int = 1_000_000
    rotary_percentage: float = Field(default=1.0, ge=1.0, le=1.0)


def is_release(directory: Path) -> bool:
    """Return whether a directory is of the layout in which Audio-Interaction was released."""
    return (directory / MODEL_CONFIG).is_file() or (directory / ENCODER).is_file()


def open_release(directory: Path) -> WeightsSource:
    """Open the directory and leave the weights on disk; raise CheckpointError for files that are missing or damaged."""
    text_config = _text_config(directory / MODEL_CONFIG)
    audio_config = chunkwise(read_omni_config(directory / OMNI_CONFIG).thinker_config.audio_config)

    def rename(tensors: Mapping[str, Tensor]) -> Tensors:
        for name in tensors:
            yield from _renamed(name, tensors[name], text_config)

    return WeightsSource(
        layout='Audio-Interaction, as released',
        audio_config=audio_config,
        text_config=text_config,
        tokenizer=directory / 'tokenizer.json',
        # It was trained with a control token after every chunk.
        silent_between_chunks=True,
        control_tokens='as trained',
        encoder=_read_encoder(directory / ENCODER),
        language=open_weights(directory),
        rename=rename,
    )


def _text_config(path: Path) -> Qwen2Config:
    try:
        given = _ModelConfig.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise CheckpointError(f"'{path}' does not describe Audio-Interaction's model; restore it: {error}") from error
    return Qwen2Config(
        vocab_size=given.padded_vocab_size,
        hidden_size=given.n_embd,
        intermediate_size=given.intermediate_size,
        num_hidden_layers=given.n_layer,
        num_attention_heads=given.n_head,
        num_key_value_heads=given.n_query_groups,
        max_position_embeddings=given.block_size,
        rms_norm_eps=given.norm_eps,
        rope_parameters={'rope_theta': float(given.rope_base), 'rope_type': 'default'},
        tie_word_embeddings=False,
    )


def _read_encoder(path: Path) -> dict[str, Tensor]:
    """Return the pickle's tensors, mapped from the file; nothing but tensors is unpickled."""
    try:
        encoder: dict[str, Tensor] = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
        return {name: tensor.detach() for name, tensor in encoder.items()}
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        raise CheckpointError(f"'{path}' is no state dict of an audio encoder; restore it: {error}") from error


def _renamed(name: str, tensor: Tensor, config: Qwen2Config) -> Tensors:
    """Yield a released tensor under its name in `Qwen2ForCausalLM`; unknown names stay, for the shape check to name."""
    match = _LAYER.fullmatch(name)
    if match is None:
        yield _PLAIN.get(name, name), tensor
        return
    layer, part, kind = match.groups()
    prefix = f'model.layers.{layer}'
    if part not in (_CONCATENATED, _INTERLEAVED):
        yield f'{prefix}.{_IN_LAYER.get(part, part)}.{kind}', tensor
        return
    parts = unpack(tensor, config.num_attention_heads, config.num_key_value_heads, part == _INTERLEAVED)
    for projection, rows in zip('qkv', parts, strict=True):
        yield f'{prefix}.self_attn.{projection}_proj.{kind}', rows


def unpack(packed: Tensor, query_heads: int, key_value_heads: int, interleaved: bool) -> tuple[Tensor, Tensor, Tensor]:
    """[(queries + 2 × keys) × head, …] → rows of queries, keys and values.

    Concatenated: all queries, all keys, all values. Interleaved: for each key-value head its queries, key and value.
    Raises CheckpointError when the rows cannot be so divided.
    """
    heads = query_heads + 2 * key_value_heads
    if len(packed) % heads or query_heads % key_value_heads:
        raise CheckpointError(
            f'a packed projection of {len(packed)} rows found, a multiple of {heads} expected for {query_heads} query '
            f'and {key_value_heads} key-value heads; take the {MODEL_CONFIG} that came with the weights'
        )
    by_head = packed.unflatten(0, (heads, -1))
    if not interleaved:
        queries, keys, values = by_head.split([query_heads, key_value_heads, key_value_heads])
        return queries.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    groups = by_head.unflatten(0, (key_value_heads, -1))
    return groups[:, :-2].flatten(0, 2), groups[:, -2].flatten(0, 1), groups[:, -1].flatten(0, 1)
