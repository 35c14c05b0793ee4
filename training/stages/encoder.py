"""What the encoder is given in training: log-mel spectrograms, masked and through other microphones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audio_interaction_ros.model.encoder import ChunkEncoder
from training.stages.attention import short_sequences

_DB = 40.0  # in a unit of the normalised log-mel, (log10(power) + 4) / 4


def encode(encoder: ChunkEncoder, waveforms: Tensor, augment: bool) -> Tensor:
    """float32 [batch, n × 6400] → [batch, n, 10, dim]; the spectrogram in full precision whatever the rest is in."""
    with torch.autocast(waveforms.device.type, enabled=False):
        mel = encoder.logmel(waveforms)
    with short_sequences(waveforms.device):
        return encoder.encode_mel(spec_augment(mel) if augment else mel)


def spec_augment(mel: Tensor) -> Tensor:
    """Two masked bands and two moments of up to 0.2 s, each sample its own (SpecAugment, Park et al., 2019).

    float32 [batch, mel_bins, frames].
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
    """A smooth random gain over frequency, ±6 dB at seven points, and ±6 dB over all. float32 [batch, bins, frames].

    Log-mel spectrograms, which a gain is added to; streams are too long to be filtered anew each time they are read.
    """
    knots_db = 6.0 * (2.0 * torch.rand(mel.shape[0], 1, 7) - 1.0) + 6.0 * (2.0 * torch.rand(mel.shape[0], 1, 1) - 1.0)
    gain_db = nn.functional.interpolate(knots_db, mel.shape[1], mode='linear', align_corners=True).transpose(1, 2)
    return mel + gain_db.to(mel.device) / _DB
