"""Is a checkpoint whole, does it fit together, does it compute? One sentence for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    load_decoder,
    load_encoder,
    load_language,
    require_digest,
)
from audio_interaction_ros.model.checks import require_fit
from audio_interaction_ros.model.convert import is_checkpoint, open_source
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, open_weights


def verify(directory: Path) -> list[str]:
    """Return what is wrong with a checkpoint of this package; nothing when it may be used.

    Only when all files are in order are the halves loaded, one after the other, to hear one chunk of silence. Raises
    CheckpointError for a directory of another kind.
    """
    if not is_checkpoint(directory):
        source = open_source(directory)
        raise CheckpointError(
            f"'{directory}' is {source.layout}; convert it first: audio-interaction checkpoint convert"
        )
    try:
        config = CheckpointConfig.load(directory)
    except CheckpointError as error:
        return [' '.join(str(error).split())]
    checks: tuple[Callable[[], object], ...] = (
        config.require_one_width,
        lambda: load_language(directory, config.language_model_outline().config.vocab_size),
        lambda: require_fit(
            config.encoder_outline().audio_tower, open_weights(directory, ENCODER_PREFIX).outlines, directory
        ),
        lambda: require_fit(
            config.language_model_outline(), open_weights(directory, LANGUAGE_PREFIX).outlines, directory
        ),
        lambda: require_digest('encoder', config.encoder_digest, open_weights(directory, ENCODER_PREFIX), directory),
        lambda: _require_language_digest(config, directory),
    )
    problems = [problem for check in checks if (problem := _problem(check))]
    if not problems and (problem := _problem(lambda: _require_finite_silence(directory))):
        problems.append(problem)
    return list(dict.fromkeys(problems))


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except CheckpointError as error:
        return ' '.join(str(error).split())  # libraries explain themselves in several lines
    return None


def _require_language_digest(config: CheckpointConfig, directory: Path) -> None:
    if config.language_digest is not None:
        weights = open_weights(directory, LANGUAGE_PREFIX)
        require_digest('language model', config.language_digest, weights, directory)


@torch.inference_mode()
def _require_finite_silence(directory: Path) -> None:
    vectors = load_encoder(directory).encoder(torch.zeros(CHUNK_SAMPLES))[0]
    if not vectors.isfinite().all():
        raise CheckpointError(f"the encoder in '{directory}' answers silence with NaN or infinity; restore its weights")
    half = load_decoder(directory)
    engine, protocol = Engine(half.language_model), half.protocol
    before = engine.embed([*half.instruction_prefix(half.config.streaming.instruction), protocol.chunk_begin])
    heard = torch.cat([before, vectors.to(before.dtype), engine.embed([protocol.chunk_end])])
    if not engine.forward([engine.new_cache(len(heard))], heard[None]).isfinite().all():
        raise CheckpointError(
            f"the language model in '{directory}' answers silence with NaN or infinity; restore its weights"
        )
