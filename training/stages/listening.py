"""Stage 0: the encoder learns to name sounds and phonemes, where nothing pretrained is at hand.

Two heads, both thrown away afterwards, on 2-second crops: one for what sounds in the crop, one for the phoneme in every
40 ms vector of it; frame by frame phonemes are learnt in minutes, where an alignment-free loss has not begun to learn
in an hour. The crops are masked (SpecAugment, Park et al., 2019). Chunks are encoded as on the robot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.encoder import split_chunks
from audio_interaction_ros.model.network import AudioTower
from training.metrics import area_under_roc
from training.random_streams import Purpose, random_stream, torch_seed
from training.recipe import STAGE_0, ListeningStage, TrainingRecipe
from training.stages.attention import short_sequences
from training.stages.augmentation import spec_augment
from training.stages.crops import NO_PHONE, UNLABELLED, Crops, CropSampler, CropSource, crop_samples, speech_crop
from training.stages.distributed import Devices
from training.stages.task import TrainingTask
from training.stages.trainable import parameter_groups

_HELD_OUT_CROPS = 192
_LONGEST_S, _GAIN = 5.2, 0.3  # of a held-out recording
_UNUSED = 'audio_tower.audio_bos_eos_token.'  # of the tower; nothing here calls it


class ListeningModel(nn.Module):
    """A `ListeningModel` is the encoder with a head for the sounds in a crop and one for the phoneme in each vector."""

    def __init__(self, audio_tower: AudioTower, categories: Sequence[str], phones: Sequence[str]) -> None:
        super().__init__()
        self.audio_tower = audio_tower
        width = audio_tower.config.output_dim
        self.dropout = nn.Dropout(0.2)
        self.sound_head = nn.Linear(2 * width, len(categories))
        self.phone_head = nn.Linear(width, 1 + len(phones))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, float32: of sounds [batch, categories] and of phonemes [batch, vectors, 1 + phones].

        `mel` float32 [batch, mel_bins, frames], of whole chunks. The first phoneme is none.
        """
        chunks = split_chunks(mel, 2 * self.audio_tower.config.n_window)
        with short_sequences(mel.device):
            vectors = self.audio_tower.encode_streams(chunks)
        pooled = vectors.mean(dim=2)
        summary = torch.cat([pooled.mean(dim=1), pooled.amax(dim=1)], dim=-1)
        sounds, phones = self.sound_head(self.dropout(summary)), self.phone_head(vectors.flatten(1, 2))
        return sounds.float(), phones.float()


class ListeningTask(TrainingTask[Crops]):
    """A `ListeningTask` is stage 0 of a run."""

    name = STAGE_0
    accumulation = 1
    memory_cure = 'halve its batch and speech_batch'

    def __init__(
        self,
        recipe: TrainingRecipe,
        stage: ListeningStage,
        audio_tower: AudioTower,
        logmel: CausalLogMel,
        train: CropSource,
        held_out: CropSource,
        devices: Devices,
    ) -> None:
        self.settings: ListeningStage = stage
        self._seed, self._logmel, self._held_out, self._devices = recipe.seed, logmel, held_out, devices
        self._chunk_samples, self._length = recipe.chunk_samples, crop_samples(recipe.chunk_samples)
        self._categories, self._phones = train.categories(), train.phones()
        torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 1))
        self.module = ListeningModel(audio_tower, self._categories, self._phones).to(devices.device)
        self._sampler = CropSampler(train, self._categories, self._phones, stage, recipe.seed, self._length)

    @contextlib.contextmanager
    def trainable(self) -> Iterator[Iterable[dict[str, object]]]:
        """Give the tower and both heads; the weight decay is the stage's own."""
        for name, parameter in self.module.named_parameters():
            idle = name.startswith(_UNUSED) or (name.startswith('phone_head.') and not self._phones)
            parameter.requires_grad_(not idle)
        trained = [(name, parameter) for name, parameter in self.module.named_parameters() if parameter.requires_grad]
        yield parameter_groups(trained, (), self.settings.weight_decay)

    def read(self, step: int) -> list[Crops]:
        """Return this process's crops of a step."""
        return [self._sampler.crops(step, self._devices.rank, self._devices.world)]

    def counts(self, batches: Sequence[Crops]) -> list[float]:
        """Return how many crops there are, and how many vectors with a label."""
        return [
            float(sum(len(crops.waveforms) for crops in batches)),
            float(sum(int((crops.phones != UNLABELLED).sum()) for crops in batches)),
        ]

    def inputs(self, batch: Crops) -> tuple[Tensor]:
        """Return the masked log-mel of the crops."""
        return (spec_augment(self._logmel(batch.waveforms)),)

    def loss(self, outputs: Any, batch: Crops, counts: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Return the share of the mean loss of sounds and that of phonemes; the parts are their sums."""
        crops, labelled = counts
        cross_entropy = nn.functional.cross_entropy
        sound = cross_entropy(outputs[0], batch.sounds, label_smoothing=0.05, reduction='sum')
        phones = outputs[1].flatten(0, 1), batch.phones.flatten()
        phone = cross_entropy(*phones, ignore_index=UNLABELLED, reduction='sum')
        total = sound / crops + (phone / labelled if labelled else 0.0)
        return total, torch.stack([sound, phone]).detach().double()

    def figures(self, parts: Sequence[float], counts: Sequence[float], seconds: float) -> dict[str, float]:
        """Return both losses, each the mean over its own targets, and their sum."""
        (sound, phone), (crops, labelled) = parts, counts
        means = {'loss/sound': sound / crops} | ({'loss/phone': phone / labelled} if labelled else {})
        return means | {'loss/total': sum(means.values()), 'throughput/crops_per_s': crops / seconds}

    def validate(self) -> dict[str, float]:
        """Return what is named right on the validation side, unaugmented, on the first process alone.

        `phone_accuracy`: share of the vectors of speech; `sound_accuracy`: share of the recordings; `respond_auc`: how
        well hazards are told from other sounds, as the area under the ROC curve.
        """
        if not self._devices.is_main:
            return {}
        return self._sound_figures() | (self._phone_figures() if self._phones else {})

    def _phone_figures(self) -> dict[str, float]:
        rng = random_stream(Purpose.HELD_OUT_CROPS, self._seed)
        drawn = [self._held_out.utterance(rng) for _ in range(_HELD_OUT_CROPS)]
        number = {name: 1 + place for place, name in enumerate(self._phones)}
        crops = [speech_crop(samples, clip.phones, 1.0, number, rng, self._length) for samples, clip in drawn]
        labels = np.stack([label for _, label in crops])
        named = self._logits(np.stack([crop for crop, _ in crops]))[1].argmax(-1).cpu().numpy()
        return {'phone_accuracy': float((named == labels)[labels > NO_PHONE].mean())}

    def _sound_figures(self) -> dict[str, float]:
        known = [sound for sound in self._held_out.sounds if sound.category in self._categories]
        hazards = sorted({self._categories.index(sound.category) for sound in known if sound.respond})
        hits, scores = [], []
        for sound in known:
            samples = sound.excerpt(0, _LONGEST_S)[0] * _GAIN
            samples = np.pad(samples, (0, -len(samples) % self._chunk_samples))
            logits = self._logits(samples[None])[0][0].cpu()
            hits.append(self._categories[int(logits.argmax())] == sound.category)
            scores.append(float(logits.softmax(0)[hazards].sum()))
        figures = {'sound_accuracy': float(np.mean(hits))} if hits else {}
        return figures | {'respond_auc': area_under_roc([sound.respond for sound in known], scores)}

    def _logits(self, waveforms: np.ndarray) -> tuple[Tensor, Tensor]:
        """Of waveforms as they are, float32 [batch, whole chunks]."""
        mel = self._logmel(torch.from_numpy(waveforms).to(self._devices.device))
        with self._devices.autocast():
            sounds, phones = self.module(mel)
        return sounds, phones
