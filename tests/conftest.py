"""What many tests need: a small real checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, load_decoder, load_encoder
from tests.tiny_checkpoint import write_tiny_checkpoint

# Seeded, so that a failure is there again; no deadline, because machines are busy.
settings.register_profile('repeatable', derandomize=True, deadline=None)
settings.load_profile('repeatable')


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a random checkpoint, the same every time."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp('checkpoints') / 'tiny')


@pytest.fixture(scope='session')
def encoder_half(tiny_checkpoint: Path) -> EncoderHalf:
    return load_encoder(tiny_checkpoint)


@pytest.fixture(scope='session')
def decoder_half(tiny_checkpoint: Path) -> DecoderHalf:
    return load_decoder(tiny_checkpoint)
