"""A Llama as GGUF stores it, by the `gguf` library: weights are dequantised, and the tokenizer is in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from training.parts import PartsError

_BLOCK = re.compile(r'blk\.(\d+)\.(\w+)\.weight')
_IN_BLOCK = {
    'attn_norm': 'input_layernorm',
    'attn_q': 'self_attn.q_proj',
    'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj',
    'ffn_norm': 'post_attention_layernorm',
    'ffn_gate': 'mlp.gate_proj',
    'ffn_up': 'mlp.up_proj',
    'ffn_down': 'mlp.down_proj',
}
_OUTSIDE = {
    'token_embd.weight': 'model.embed_tokens.weight',
    'output_norm.weight': 'model.norm.weight',
    'output.weight': 'lm_head.weight',
}
_CONTROL = 3  # the type of a special token


@dataclass(frozen=True)
class GgufModel:
    """A `GgufModel` has tensors under the names of `LlamaForCausalLM`, in float32, and the file's fields."""

    tensors: dict[str, Tensor]
    fields: dict[str, Any]


def read(path: Path) -> GgufModel:
    """Read a file; raise PartsError if it is cut off, no Llama, or quantised in a way that the library cannot undo."""
    try:
        import gguf
    except ImportError as error:
        raise PartsError(f"reading '{path}' needs the package gguf; run make setup-train") from error
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        stored = {tensor.name: (tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise PartsError(f"'{path}' is cut off or no GGUF file ({error}); fetch it again") from error
    if (network := fields.get('general.architecture')) != 'llama':
        raise PartsError(f"'{path}' is a network of kind {network}, a llama expected; give the part's own file")
    heads = {kind: fields.get(f'llama.attention.{key}') for kind, key in _HEADS.items()}
    tensors = {}
    for name, (data, kind) in tqdm(stored.items(), desc='dequantised', unit='tensor', leave=False):
        try:
            values = torch.from_numpy(np.array(gguf.dequantize(data, kind), np.float32))
        except (NotImplementedError, ValueError) as error:
            raise PartsError(f"'{path}' holds {name} as {kind.name}, which gguf cannot read; take Q8_0") from error
        new = _renamed(name)
        for projection, count in heads.items():
            if new.endswith(f'{projection}_proj.weight') and count:
                values = _halves_apart(values, count)
        tensors[new] = values
    return GgufModel(tensors, fields)


_HEADS = {'q': 'head_count', 'k': 'head_count_kv'}


def _renamed(name: str) -> str:
    if match := _BLOCK.fullmatch(name):
        layer, module = match.groups()
        return f'model.layers.{layer}.{_IN_BLOCK.get(module, module)}.weight'
    return _OUTSIDE.get(name, name)


def _halves_apart(rows: Tensor, heads: int) -> Tensor:
    """[heads × size, width] → the same rows, ordered for transformers' rotation.

    GGUF rotates rows 2i and 2i+1 of a head together, transformers i and i + size/2.
    """
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def tokenizer_of(fields: dict[str, Any], path: Path) -> Any:
    """Return the tokenizer as transformers' PreTrainedTokenizerFast; raise PartsError for one of another kind.

    `gpt2` with the pre-tokenizer `smollm` is byte-level BPE where every digit stands alone.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    found = fields.get('tokenizer.ggml.model'), fields.get('tokenizer.ggml.pre')
    if found != ('gpt2', 'smollm'):
        raise PartsError(f"'{path}' has a tokenizer of kind {found}, ('gpt2', 'smollm') expected; give SmolLM2's file")
    tokens: list[str] = fields['tokenizer.ggml.tokens']
    merges = [tuple(merge.split(' ')) for merge in fields['tokenizer.ggml.merges']]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = fields['tokenizer.ggml.token_type']
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    named = {
        f'{role}_token': tokens[fields[f'tokenizer.ggml.{key}_token_id']]
        for role, key in {'bos': 'bos', 'eos': 'eos', 'unk': 'unknown', 'pad': 'padding'}.items()
        if f'tokenizer.ggml.{key}_token_id' in fields
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=fields.get('tokenizer.chat_template'), **named
    )
