"""What is changed in the streams that a stage trains on: a longer quiet, noise, another microphone, masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from training.dsp.levels import mean_power
from training.dsp.noise_beds import noise_bed
from training.streams import Role, Stream

_DB = 40.0  # in a unit of the normalised log-mel, (log10(power) + 4) / 4


def after_quiet(
    stream: Stream, samples: Samples, rng: np.random.Generator, chunk_samples: int = CHUNK_SAMPLES
) -> tuple[Stream, Samples]:
    """Return a stream and its samples, later by some of its own background, so that its first reply just still fits.

    Scripts begin at once, a robot has mostly heard nothing for hours: an instruction must outlast that. The background
    is what lies before the first sound, back and forth; where that is less than half a chunk, nothing is changed.
    """
    first_onset = min((event.onset for event in stream.events if event.role is not Role.AMBIENT), default=len(samples))
    first_reply = min((drain.last for drain in stream.drains if drain.reply is not None), default=stream.chunks // 2)
    room = stream.chunks - 1 - first_reply
    if first_onset < chunk_samples // 2 or room < 1:
        return stream, samples
    chunks = int(rng.integers(1, room + 1))
    quiet = np.pad(samples[:first_onset], (chunks * chunk_samples, 0), mode='reflect')
    heard = np.concatenate([quiet, samples[first_onset:]])[: len(samples)]
    return stream.delayed(chunks, chunk_samples), heard


def in_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return the samples, float32 [n], with a noise bed 5 … 35 dB below: a quiet room and a bad microphone."""
    level_dbfs = 10 * np.log10(mean_power(samples) + 1e-10)
    return np.clip(samples + noise_bed(len(samples), level_dbfs - rng.uniform(5.0, 35.0), rng), -1.0, 1.0)


def spec_augment(mel: Tensor) -> Tensor:
    """Mask two bands and two moments of up to 0.2 s, others in each sample (SpecAugment, Park et al., 2019).

    float32 [batch, mel_bins, frames] → the same shape. Drawn from PyTorch's generator on the CPU.
    """
    batch, bins, frames = mel.shape
    keep = torch.ones_like(mel, dtype=torch.bool)
    for _ in range(2):
        for axis, size, widest in ((1, bins, bins // 8), (2, frames, 20)):
            # Drawn on the CPU, so that a seed masks the same on every device.
            width = torch.randint(0, widest + 1, (batch, 1, 1))
            start = (torch.rand(batch, 1, 1) * (size - width)).long().to(mel.device)
            width = width.to(mel.device)
            index = torch.arange(size, device=mel.device).view((1, -1, 1) if axis == 1 else (1, 1, -1))
            keep &= (index < start) | (index >= start + width)
    return torch.where(keep, mel, mel.mean(dim=(1, 2), keepdim=True))


def another_microphone(mel: Tensor) -> Tensor:
    """Add a smooth random gain over frequency, ±6 dB at seven points, and ±6 dB over all, to log-mel spectrograms.

    float32 [batch, bins, frames] → the same shape. Streams are too long to be filtered anew each time they are read.
    """
    knots_db = 6.0 * (2.0 * torch.rand(mel.shape[0], 1, 7) - 1.0) + 6.0 * (2.0 * torch.rand(mel.shape[0], 1, 1) - 1.0)
    gain_db = nn.functional.interpolate(knots_db, mel.shape[1], mode='linear', align_corners=True).transpose(1, 2)
    return mel + gain_db.to(mel.device) / _DB
