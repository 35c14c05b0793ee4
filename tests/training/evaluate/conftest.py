"""As the command runs: one thread, and an ear that speaks now and then."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from tests.tiny_checkpoint import write_tiny_checkpoint
from training.evaluate.hearing import NEVER, Listener

SOUND = np.random.default_rng(5).normal(0, 0.1, 140 * CHUNK_SAMPLES + 77).astype(np.float32)


@pytest.fixture(scope='session', autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def listener_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint that responds to a tenth of the chunks of noise."""
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp('ear') / 'tiny', seed=2, max_context_chunks=24)
    heard = Listener.load(folder, 'cpu').hear_samples(SOUND[: 30 * CHUNK_SAMPLES], NEVER)
    threshold = float(np.quantile([decision.probability for decision in heard.decisions], 0.9))
    return str(write_tiny_checkpoint(folder, seed=2, response_threshold=threshold, max_context_chunks=24))


@pytest.fixture(scope='session')
def listener(listener_folder: str) -> Listener:
    return Listener.load(listener_folder, 'cpu')
