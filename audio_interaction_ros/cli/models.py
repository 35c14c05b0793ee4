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


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """`--device` and `--precision`."""
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1 … (default: cpu)')
    parser.add_argument(
        '--precision',
        default='stored',
        choices=('stored', 'float32', 'bfloat16', 'float16', 'int8'),
        help='int8: weights of the language model in eight bits (default: as stored)',
    )


def load_halves(checkpoint: str, device: str = 'cpu', precision: str = 'stored') -> tuple[EncoderHalf, DecoderHalf]:
    """Both halves, on one CPU thread. Raises CommandError when the checkpoint is missing or damaged, or the device."""
    import torch

    from audio_interaction_ros.model.precision import open_halves

    # As in the nodes: the models are small, more threads only wait for each other, and the numbers would
    # depend on how many cores there are.
    torch.set_num_threads(1)
    try:
        if checkpoint == 'random-3b':
            from audio_interaction_ros.bench.random_weights import random_halves

            return random_halves(device)
        return open_halves(checkpoint, device, precision)
    except ValueError as error:  # of the checkpoint or the device
        raise CommandError(str(error)) from error
