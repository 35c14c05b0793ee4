"""Loading the model that a command was told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio_interaction_ros.cli.errors import reported

if TYPE_CHECKING:
    from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf


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
