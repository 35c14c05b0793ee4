"""The options for the model that commands share, and loading it by them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from audio_interaction_ros.cli.errors import reported

if TYPE_CHECKING:
    from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Add `--checkpoint`, by name or directory."""
    parser.add_argument(
        '--checkpoint',
        default='embedded',
        metavar='NAME_OR_DIR',
        help="a checkpoint directory, or the name of one that ships with the package (default: 'embedded')",
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add `--device` and `--precision`."""
    parser.add_argument(
        '--device', default='cpu', help='PyTorch device to compute on: cpu, cuda, cuda:1 … (default: cpu)'
    )
    parser.add_argument(
        '--precision',
        default='stored',
        choices=('stored', 'float32', 'bfloat16', 'float16', 'int8'),
        help='number type to compute in; int8 takes weights of eight bits for the language model (default: stored, '
        'that of the checkpoint)',
    )


def load_halves(checkpoint: str, device: str = 'cpu', precision: str = 'stored') -> tuple[EncoderHalf, DecoderHalf]:
    """Load both halves, to run on one CPU thread.

    Raises CommandError when the checkpoint or the device is missing, or the checkpoint damaged.
    """
    import torch

    from audio_interaction_ros.model.precision import open_halves

    # As in the nodes: the models are small, more threads only wait for each other, and the numbers would
    # depend on how many cores there are.
    torch.set_num_threads(1)
    with reported(ValueError):  # of the checkpoint or the device
        if checkpoint == 'random-3b':
            from audio_interaction_ros.bench.random_weights import random_halves

            return random_halves(device)
        return open_halves(checkpoint, device, precision)
