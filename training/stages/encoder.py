"""Stage 0: the encoder as a classifier of short crops, since nothing pretrained is at hand.

Between-class mixtures with soft labels (Tokozume et al., 2018), SpecAugment (Park et al., 2019), random level and
noise. Every chunk is encoded alone, as on the robot; the head pools over the chunks of a crop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.encoder import ChunkEncoder
from training.corpus.compose import cut, noise_bed, scale
from training.corpus.sounds import Sound, SoundPool
from training.recipe import EncoderStage
from training.stages.attention import short_sequences

CROP_CHUNKS = 5
_DB = 40.0  # in a unit of the normalised log-mel, (log10(power) + 4) / 4


class SoundClassifier(nn.Module):
    """Encoder, mean and maximum over a crop's chunks, and a linear head that is thrown away afterwards."""

    def __init__(self, encoder: ChunkEncoder, categories: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.categories = list(categories)
        width = encoder.audio_tower.config.output_dim
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * width, len(self.categories))

    def forward(self, waveforms: Tensor) -> Tensor:
        """float32 [batch, n × 6400] → logits [batch, categories]."""
        pooled = encode(self.encoder, waveforms, augment=self.training).mean(dim=2)
        summary = torch.cat([pooled.mean(dim=1), pooled.amax(dim=1)], dim=-1)
        logits: Tensor = self.head(self.dropout(summary))
        return logits.float()


def encode(encoder: ChunkEncoder, waveforms: Tensor, augment: bool) -> Tensor:
    """float32 [batch, n × 6400] → [batch, n, 10, dim]; the spectrogram in full precision whatever the rest is in."""
    with torch.autocast(waveforms.device.type, enabled=False):
        mel = encoder.logmel(waveforms)
    with short_sequences(waveforms.device):
        return encoder.encode_mel(spec_augment(mel) if augment else mel)


def spec_augment(mel: Tensor) -> Tensor:
    """Two masked bands and two moments of up to 0.2 s, each sample its own. float32 [batch, mel_bins, frames]."""
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


def crop(sound: Sound, rng: np.random.Generator) -> np.ndarray:
    """2 s that begin shortly before a piece of the sound, at a random level. float32 [32000]."""
    length = CROP_CHUNKS * CHUNK_SAMPLES
    piece, frames = cut(sound, length / 16_000, rng)
    piece = scale(piece, frames, rng.uniform(-38.0, -12.0))
    at = int(rng.integers(0, max(1, min(length - len(piece), CHUNK_SAMPLES))))
    samples = np.zeros(length, np.float32)
    samples[at : at + len(piece)] = piece[: length - at]
    return samples


def classifier_losses(
    classifier: SoundClassifier, pool: SoundPool, settings: EncoderStage, seed: int, step: int
) -> dict[str, Tensor]:
    """Soft-label cross-entropy of one batch that depends on `seed` and `step` alone."""
    device = classifier.head.weight.device
    rng = np.random.default_rng([seed, 10, step])
    index = {category: i for i, category in enumerate(classifier.categories)}
    waveforms = np.zeros((settings.batch, CROP_CHUNKS * CHUNK_SAMPLES), np.float32)
    targets = np.zeros((settings.batch, len(index)), np.float32)
    for row in range(settings.batch):
        sound = pool.draw(rng)
        first = crop(sound, rng)
        share = 1.0
        if rng.random() < settings.mixed_share:
            other = pool.draw(rng)
            second = crop(other, rng)
            share = float(rng.beta(1.0, 1.0))
            loudness = np.sqrt(np.square(first).mean() / (np.square(second).mean() + 1e-12))
            first = share * first + (1.0 - share) * loudness * second
            targets[row, index[other.category]] += 1.0 - share
        targets[row, index[sound.category]] += share
        level_db = 20 * np.log10(np.sqrt(np.square(first).mean()) + 1e-9)
        bed = -100.0 if rng.random() < 0.15 else level_db - rng.uniform(5.0, 40.0)
        waveforms[row] = first + noise_bed(len(first), bed, rng)
    logits = classifier(torch.from_numpy(waveforms).clamp(-1, 1).to(device))
    return {'total': nn.functional.cross_entropy(logits, torch.from_numpy(targets).to(device), label_smoothing=0.05)}


@torch.no_grad()
def classifier_accuracy(classifier: SoundClassifier, sounds: Sequence[Sound]) -> dict[str, float]:
    """Whole recordings of ESC-10's ten classes among those ten, and respond-against-silent over everything."""
    from training.evaluate.figures import area_under_roc

    esc10 = [
        'dog bark',
        'rain',
        'sea waves',
        'baby cry',
        'clock tick',
        'person sneeze',
        'helicopter',
        'chainsaw',
        'rooster',
        'fire crackling',
    ]
    esc10 = [name for name in esc10 if name in classifier.categories]
    columns = [classifier.categories.index(name) for name in esc10]
    hazards = {sound.category for sound in sounds if sound.respond} & set(classifier.categories)
    device = classifier.head.weight.device
    hazard_columns = [classifier.categories.index(name) for name in sorted(hazards)]
    hits, scores, labels = [], [], []
    for sound in sounds:
        samples = sound.excerpt(0, 5.2)[0] * 0.3
        samples = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))
        logits = classifier(torch.from_numpy(samples)[None].to(device))[0].cpu()
        if sound.category in esc10:
            hits.append(esc10[int(logits[columns].argmax())] == sound.category)
        scores.append(float(logits.softmax(0)[hazard_columns].sum()))
        labels.append(sound.respond)
    accuracy = {'esc10_accuracy': float(np.mean(hits))} if hits else {}
    return accuracy | {'respond_auc': area_under_roc(labels, scores)}
