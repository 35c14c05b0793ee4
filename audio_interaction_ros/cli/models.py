"""The checkpoint option that commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from audio_interaction_ros.cli.errors import CommandError

if TYPE_CHECKING:
    from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """`--checkpoint`, by name or directory."""
    parser.add_argument(
        '--checkpoint',
        default='embedded',
        metavar='NAME_OR_DIR',
        help="a checkpoint directory, or the name of one that ships with the package (default: 'embedded')",
    )


def load_halves(checkpoint: str) -> tuple[EncoderHalf, DecoderHalf]:
    """Both halves, on one CPU thread. Raises CommandError when the checkpoint is missing or damaged."""
    import torch

    from audio_interaction_ros.model.checkpoint import (
        CheckpointError,
        find_checkpoint,
        load_decoder,
        load_encoder,
    )

    # As in the nodes: the models are small, more threads only wait for each other, and the numbers would
    # depend on how many cores there are.
    torch.set_num_threads(1)
    try:
        directory = find_checkpoint(checkpoint)
        return load_encoder(directory), load_decoder(directory)
    except CheckpointError as error:
        raise CommandError(str(error)) from error
