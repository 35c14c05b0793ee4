"""What a checkpoint directory is, told from its configuration and file headers; no weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from audio_interaction_ros.model.checkpoint import (
    PROTOCOL,
    RECIPE,
    CheckpointConfig,
    CheckpointError,
)
from audio_interaction_ros.model.convert import is_checkpoint, open_source
from audio_interaction_ros.model.convert_source import RELEASED_PROTOCOL
from audio_interaction_ros.model.protocol import Protocol, ProtocolError
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, open_weights

OURS = 'audio_interaction_ros'
_ENCODER_SHAPE = ('encoder_layers', 'd_model', 'encoder_attention_heads', 'num_mel_bins', 'output_dim')
# Settings of this package's own, with what they are where a checkpoint, older or foreign, does not name them.
_ENCODER_SETTINGS = {name: AudioConfig.model_fields[name].default for name in ('layer_mix', 'left_context_chunks')}
_LANGUAGE_SETTINGS = {name: TextConfig.model_fields[name].default for name in ('model_type', 'tie_word_embeddings')}
_LANGUAGE_SHAPE = (
    'num_hidden_layers',
    'hidden_size',
    'intermediate_size',
    'num_attention_heads',
    'num_key_value_heads',
    'vocab_size',
)


def describe(directory: Path) -> dict[str, Any]:
    """Return what `directory` is, as JSON; raise CheckpointError for one of an unknown kind, or damaged.

    A foreign directory is described as what it would be converted to.
    """
    if is_checkpoint(directory):
        return _describe_ours(directory)
    source = open_source(directory)
    outlines = source.outlines()
    return {
        'layout': source.layout,
        'encoder': _encoder(source.audio_config.to_dict(), outlines),
        'language_model': _language_model(source.text_config.to_dict(), outlines),
        'bytes_on_disk': _bytes_on_disk(directory),
        'protocol': RELEASED_PROTOCOL.model_dump(),
        'control_tokens': source.control_tokens,
    }


def _describe_ours(directory: Path) -> dict[str, Any]:
    config = CheckpointConfig.load(directory)
    try:
        protocol = Protocol.load(directory / PROTOCOL)
        recipe = directory / RECIPE
        made = yaml.safe_load(recipe.read_text()) if recipe.is_file() else None
    except (ProtocolError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"'{directory}' is damaged; restore it: {error}") from error
    outlines = open_weights(directory).outlines
    return {
        'layout': OURS,
        'format_version': config.format_version,
        'encoder': _encoder(config.audio_config, outlines),
        'language_model': _language_model(config.text_config, outlines),
        'bytes_on_disk': _bytes_on_disk(directory),
        'encoder_digest': config.encoder_digest,
        'language_digest': config.language_digest,
        'log_mel': config.log_mel,
        'events': config.events.model_dump(mode='json') if config.events else None,
        'streaming': config.streaming.model_dump(),
        'protocol': protocol.model_dump(),
        'recipe': made,
    }


def _encoder(config: Mapping[str, Any], outlines: Mapping[str, Tensor]) -> dict[str, Any]:
    settings = {name: config.get(name, usual) for name, usual in _ENCODER_SETTINGS.items()}
    return _half(config, _ENCODER_SHAPE, outlines, ENCODER_PREFIX) | settings


def _language_model(config: Mapping[str, Any], outlines: Mapping[str, Tensor]) -> dict[str, Any]:
    settings = {name: config.get(name, usual) for name, usual in _LANGUAGE_SETTINGS.items()}
    return _half(config, _LANGUAGE_SHAPE, outlines, LANGUAGE_PREFIX) | settings


def _half(
    config: Mapping[str, Any], shape: tuple[str, ...], outlines: Mapping[str, Tensor], prefix: str
) -> dict[str, Any]:
    tensors = [outline for name, outline in outlines.items() if name.startswith(prefix)]
    return {name: config.get(name) for name in shape} | {
        'parameters': sum(tensor.numel() for tensor in tensors),
        'dtype': ', '.join(sorted({str(tensor.dtype).removeprefix('torch.') for tensor in tensors})),
    }


def _bytes_on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob('*') if path.is_file())
