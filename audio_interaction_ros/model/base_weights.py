"""Weights that a checkpoint stands on: a pretrained network's, under the names of the two here, and by their SHA-256.

Whisper's encoder and the tower of Qwen2.5-Omni have the same convolutions and layers under nearly the same names, and a
language model that transformers wrote has the names of `LanguageModel`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from audio_interaction_ros.model.weights import Weights, open_weights

WHISPER_PREFIXES = ('encoder.', 'model.encoder.')
OMNI_PREFIXES = ('thinker.audio_tower.', 'audio_tower.')  # as Hugging Face has it, and in a checkpoint of this package
WHISPER_POSITIONS = 'encoder.embed_positions.weight'  # sinusoids: a formula, which layouts round in their own ways
NORM = 'ln_post.'
EMBEDDINGS, LM_HEAD = 'model.embed_tokens.weight', 'lm_head.weight'
_WHISPERS_NORM = 'layer_norm.'


def open_tower(directory: Path) -> Weights | None:
    """Open the audio tower of a directory under the names of `AudioTower`, None where it has none.

    What Whisper has and `AudioTower` has not keeps its name. Raises CheckpointError for files that are damaged.
    """
    for prefix in (*WHISPER_PREFIXES, *OMNI_PREFIXES):
        weights = open_weights(directory, prefix)
        if 'conv1.weight' in weights.outlines:
            return weights.renamed(_our_name)
    return None


def _our_name(stored: str) -> str:
    return NORM + stored.removeprefix(_WHISPERS_NORM) if stored.startswith(_WHISPERS_NORM) else stored


def sha256_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and float16 values in the order of names, without Whisper's sinusoids."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        if name != WHISPER_POSITIONS:
            tensor = tensors[name].to(torch.float16).contiguous()
            total.update(f'{name} {list(tensor.shape)}\n'.encode())
            total.update(tensor.numpy().data)
    return total.hexdigest()


def fitted_table(stored: Tensor, rows: int) -> Tensor:
    """Return a table, float32 [rows, width], that has the first rows of a stored one, and zeros where it has none."""
    table = torch.zeros(rows, stored.shape[1])
    kept = min(rows, len(stored))
    table[:kept] = stored[:kept].float()
    return table
