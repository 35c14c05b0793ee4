"""A recording as the chunks that the benchmarks play."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from audio_interaction_ros.audio.chunker import chunk_waveform
from audio_interaction_ros.audio.formats import Samples


def chunks_of(samples: Samples) -> Tensor:
    """Return float32 [n] at 16 kHz as float32 [chunks, 6400]; the last chunk is filled up with zeros."""
    return torch.from_numpy(np.stack([chunk.samples for chunk in chunk_waveform(samples)]))
