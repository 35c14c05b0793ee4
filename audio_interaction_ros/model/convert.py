"""Foreign checkpoints into this package's directory: in pieces, whole or not at all, never over another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import yaml
from torch import Tensor

from audio_interaction_ros.model.checkpoint import (
    CONFIG,
    PROTOCOL,
    RECIPE,
    TOKENIZER,
    CheckpointConfig,
    CheckpointError,
    StreamingDefaults,
    digest_of,
)
from audio_interaction_ros.model.checks import read_tokenizer, require_control_tokens, require_fit
from audio_interaction_ros.model.convert_omni import is_omni, open_omni
from audio_interaction_ros.model.convert_release import is_release, open_release
from audio_interaction_ros.model.convert_source import RELEASED_PROTOCOL, WeightsSource
from audio_interaction_ros.model.new_directory import require_new, whole_or_not_at_all
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, open_weights, write_weights

SHARD_BYTES = 2 * 2**30
INSTRUCTION = 'Listen all the time. Answer what asks for attention, warn of danger, and stay silent otherwise.'
MAX_CONTEXT_CHUNKS = 60  # the longest stream of the paper's training (Table 11)

Track = Callable[[Iterator[tuple[str, Tensor]], int], Iterator[tuple[str, Tensor]]]


def is_checkpoint(directory: Path) -> bool:
    """Return whether a directory is meant as a checkpoint of this package, be it damaged."""
    path = directory / CONFIG
    if not path.is_file() or is_release(directory):
        return False
    try:
        config = json.loads(path.read_text())
    except ValueError:
        return True  # what is wrong with it is said where it is read
    return isinstance(config, dict) and 'format_version' in config


def open_source(directory: Path) -> WeightsSource:
    """Open a foreign directory by its layout; raise CheckpointError for one of an unknown kind, or damaged."""
    if is_release(directory):
        return open_release(directory)
    if is_omni(directory):
        return open_omni(directory)
    if is_checkpoint(directory):
        raise CheckpointError(f"'{directory}' is a checkpoint of this package already; use it as it is")
    raise CheckpointError(
        f"'{directory}' is no checkpoint of a known kind; expected config.json of this package, model_config.yaml of "
        'Audio-Interaction as released, or config.json of Qwen2.5-Omni (model_type qwen2_5_omni)'
    )


def convert(
    directory: Path,
    out: Path,
    dtype: torch.dtype | None = None,
    instruction: str = INSTRUCTION,
    shard_bytes: int = SHARD_BYTES,
    track: Track = lambda tensors, total: tensors,
) -> CheckpointConfig:
    """Write `directory` as a checkpoint to `out`, in `dtype` or as stored, and return its configuration.

    In memory are one file of at most `shard_bytes` being filled and what is read of the source, a tensor, or the
    encoder's file where it is a pickle. Until it is whole it is called `out`.unfinished and has no config.json.
    `track` may show progress. Raises CheckpointError: an unknown or damaged source, shapes that do not fit, a tokenizer
    without the control tokens, all before anything is written; `out` taken; no room.
    """
    require_new(out)
    source = open_source(directory)
    config = CheckpointConfig(
        audio_config=source.audio_config.to_diff_dict(),
        text_config=source.text_config.to_diff_dict(),
        encoder_digest='',
        log_mel='running_maximum',  # the weights were trained on Whisper's log-mel
        streaming=StreamingDefaults(
            instruction=instruction,
            response_threshold=0.5,
            max_context_chunks=MAX_CONTEXT_CHUNKS,
            silent_between_chunks=source.silent_between_chunks,
        ),
    )
    outlines = source.outlines()
    require_source_fits(source, config, outlines, directory)
    with whole_or_not_at_all(out) as unfinished:
        cast = ((name, tensor.to(dtype or tensor.dtype, copy=True)) for name, tensor in source.tensors())
        write_weights(unfinished, track(cast, len(outlines)), shard_bytes)
        RELEASED_PROTOCOL.save(unfinished / PROTOCOL)
        shutil.copyfile(source.tokenizer, unfinished / TOKENIZER)
        (unfinished / RECIPE).write_text(_recipe(source, directory, dtype))
        digests = {
            'encoder_digest': digest_of(open_weights(unfinished, ENCODER_PREFIX)),
            'language_digest': digest_of(open_weights(unfinished, LANGUAGE_PREFIX)),
        }
        config = config.model_copy(update=digests)
        config.save(unfinished)
    return config


def require_source_fits(
    source: WeightsSource, config: CheckpointConfig, outlines: dict[str, Tensor], directory: Path
) -> None:
    """Raise CheckpointError where the weights will not fit the configuration, or the tokenizer the protocol."""
    modules = (
        (ENCODER_PREFIX, config.encoder_outline().audio_tower),
        (LANGUAGE_PREFIX, config.language_model_outline()),
    )
    for prefix, module in modules:
        half = {name.removeprefix(prefix): outline for name, outline in outlines.items() if name.startswith(prefix)}
        require_fit(module, half, directory)
    config.require_one_width()
    tokenizer = read_tokenizer(source.tokenizer)
    require_control_tokens(RELEASED_PROTOCOL, tokenizer, source.text_config.vocab_size, source.tokenizer)


def _recipe(source: WeightsSource, directory: Path, dtype: torch.dtype | None) -> str:
    """Return what made the checkpoint, in the place of a training recipe."""
    made = {
        'recipe': 'converted',
        'layout': source.layout,
        'source': directory.resolve().name,
        'dtype': str(dtype).removeprefix('torch.') if dtype else 'as stored',
        'control_tokens': source.control_tokens,
    }
    text: str = yaml.safe_dump(made, sort_keys=False)
    return text
