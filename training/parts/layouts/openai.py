"""Whisper as OpenAI publishes it: a `.pt` with sizes and a state dictionary, read as data only (`weights_only`)."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from training.parts import PartsError

_BLOCK = re.compile(r'(encoder|decoder)\.blocks\.(\d+)\.([\w.]+)\.(weight|bias)')
_ATTENTION = {'query': 'q_proj', 'key': 'k_proj', 'value': 'v_proj', 'out': 'out_proj'}
_IN_BLOCK = {
    **{f'attn.{old}': f'self_attn.{new}' for old, new in _ATTENTION.items()},
    **{f'cross_attn.{old}': f'encoder_attn.{new}' for old, new in _ATTENTION.items()},
    'attn_ln': 'self_attn_layer_norm',
    'cross_attn_ln': 'encoder_attn_layer_norm',
    'mlp.0': 'fc1',
    'mlp.2': 'fc2',
    'mlp_ln': 'final_layer_norm',
}
_OUTSIDE = {
    'encoder.positional_embedding': 'encoder.embed_positions.weight',
    'decoder.positional_embedding': 'decoder.embed_positions.weight',
    'decoder.token_embedding.weight': 'decoder.embed_tokens.weight',
    'encoder.ln_post.weight': 'encoder.layer_norm.weight',
    'encoder.ln_post.bias': 'encoder.layer_norm.bias',
    'decoder.ln.weight': 'decoder.layer_norm.weight',
    'decoder.ln.bias': 'decoder.layer_norm.bias',
}


def read(path: Path) -> dict[str, Tensor]:
    """Return all tensors under the names of `WhisperModel`, as stored; a tensor of unknown name keeps it.

    Raises PartsError for a file that is cut off, that wants code to be run, or that is no Whisper.
    """
    try:
        stored = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise PartsError(
            f"'{path}' holds more than tensors, and code in it is never run; take the weights as safetensors"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        first = str(error).partition('\n')[0]
        raise PartsError(f"'{path}' cannot be read ({first}); fetch it again") from error
    state = stored.get('model_state_dict') if isinstance(stored, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise PartsError(f"'{path}' has no model_state_dict of tensors, so it is no Whisper of OpenAI's; give one")
    return {_renamed(name): tensor for name, tensor in state.items()}


def _renamed(name: str) -> str:
    if match := _BLOCK.fullmatch(name):
        half, layer, module, kind = match.groups()
        return f'{half}.layers.{layer}.{_IN_BLOCK.get(module, module)}.{kind}'
    return _OUTSIDE.get(name, name)
