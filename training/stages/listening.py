"""Stage 0: the encoder learns to name sounds and phonemes, and a pretrained one to do so chunk by chunk.

Two heads, both thrown away afterwards, on 2-second crops: one for what sounds in the crop, one for the phoneme in every
40 ms vector of it; frame by frame phonemes are learnt in minutes, where an alignment-free loss has not begun to learn
in an hour. The crops are masked (SpecAugment, Park et al., 2019). Chunks are encoded as on the robot.

A pretrained tower has heard whole recordings. So that it keeps what it knows when it hears one chunk after the other,
each of its layers is to give what the same layer of its teacher gives: the tower as it was, which hears the whole crop
at once, without noise and masks (`teacher_weight`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from audio_interaction_ros.audio.logmel import WHISPER_RANGE, CausalLogMel
from audio_interaction_ros.model.encoder import split_chunks
from audio_interaction_ros.model.low_rank import is_update
from audio_interaction_ros.model.network import AudioTower
from audio_interaction_ros.model.shapes import AudioConfig
from training.metrics import area_under_roc
from training.random_streams import Purpose, random_stream, torch_seed
from training.recipe import STAGE_0, ListeningStage, TrainingRecipe
from training.stages.attention import short_sequences
from training.stages.augmentation import spec_augment
from training.stages.crops import NO_PHONE, UNLABELLED, Crops, CropSampler, CropSource, crop_samples, speech_crop
from training.stages.distributed import Devices
from training.stages.held_out import LinearProbe, held_out_crops, some
from training.stages.projection import project_components, projected_inputs, train_kept
from training.stages.task import TrainingTask
from training.stages.trainable import is_trainable, parameter_groups

T = TypeVar('T')
_HELD_OUT_CROPS, _HELD_OUT_SOUNDS = 192, 400  # at most
_COMPONENT_STEPS = 16  # so many steps' crops have the vectors that principal components are taken from
_LAST = ('audio_tower.ln_post.', 'audio_tower.proj.')  # after its last layer


class ListeningModel(nn.Module):
    """A `ListeningModel` is the encoder with a head for the sounds in a crop and one for the phoneme in each vector."""

    def __init__(self, audio_tower: AudioTower, categories: Sequence[str], phones: Sequence[str]) -> None:
        super().__init__()
        self.audio_tower = audio_tower
        width = audio_tower.config.output_dim
        self.dropout = nn.Dropout(0.2)
        self.sound_head = nn.Linear(2 * width, len(categories))
        self.phone_head = nn.Linear(width, 1 + len(phones))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return logits of sounds [batch, categories] and of phonemes [batch, vectors, 1 + phones], and hidden states.

        `mel` float32 [batch, mel_bins, frames], of whole chunks. The first phoneme is none. The hidden states are the
        outputs of the tower's layers, [batch × chunks, frames / 2, d_model] each.
        """
        hidden_states: list[Tensor] = []
        return *self.named(self.encode(mel, hidden_states)), hidden_states

    def named(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of `forward` for the vectors of `encode`."""
        sounds, phones = self.sound_head(self.dropout(summary(vectors))), self.phone_head(vectors.flatten(1, 2))
        return sounds.float(), phones.float()

    def encode(self, mel: Tensor, hidden_states: list[Tensor] | None = None) -> Tensor:
        """Return the vectors of whole chunks, [batch, chunks, vectors, output_dim]."""
        with short_sequences(self.audio_tower):
            return self.audio_tower.encode_streams(self.chunks(mel), hidden_states)

    def chunks(self, mel: Tensor) -> Tensor:
        """Return log-mel [batch, mel_bins, frames] as the tower takes it, [batch, chunks, mel_bins, frames]."""
        return split_chunks(mel, 2 * self.audio_tower.config.n_window)


def summary(vectors: Tensor) -> Tensor:
    """Return one vector a crop, [batch, 2 × width]: over its chunks the mean and the maximum of their means."""
    pooled = vectors.mean(dim=2)
    return torch.cat([pooled.mean(dim=1), pooled.amax(dim=1)], dim=-1)


class Teacher:
    """A `Teacher` is a pretrained tower as it was, which hears a whole crop at once."""

    def __init__(self, tower: AudioTower, frames: int) -> None:
        """Copy a tower, for crops of so many log-mel frames."""
        settings = {'left_context_chunks': 0, 'max_source_positions': frames // 2}
        self._tower = AudioTower(AudioConfig(**(tower.config.model_dump() | settings)))
        # Updates of it begin as none.
        self._tower.load_state_dict({name: kept for name, kept in tower.state_dict().items() if not is_update(name)})
        self._tower.to(tower.device).requires_grad_(False).eval()

    @torch.no_grad()
    def hidden_states(self, mel: Tensor) -> list[Tensor]:
        """Return the outputs of all layers, [batch, frames / 2, d_model], with Whisper's floor of the whole crop."""
        mel = mel.maximum(mel.amax((-2, -1), keepdim=True) - WHISPER_RANGE)
        found: list[Tensor] = []
        self._tower.encode_streams(mel[:, None], found)
        return found


def unlikeness(hidden_states: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """Return how far a tower's hidden states are from its teacher's, summed over the crops.

    It is the mean smooth L1 distance over layers, frames and dimensions, each of which counts as much as the others:
    it is divided by its deviation in the batch. About 0.4 for a tower that knows nothing of its teacher.
    """
    crops = len(taught[0])
    distances = []
    for student, teacher in zip(hidden_states, taught, strict=True):
        wanted = teacher.float()
        scale = wanted.std((0, 1)).clamp_min(1e-3)
        found = student.float().reshape(wanted.shape)
        distances.append(nn.functional.smooth_l1_loss(found / scale, wanted / scale))
    return crops * torch.stack(distances).mean()


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
        teacher: Teacher | None = None,
    ) -> None:
        self.settings: ListeningStage = stage
        self._teacher, self._probe = teacher, LinearProbe(train, held_out, stage.probe_clips, recipe.seed)
        self._seed, self._logmel, self._held_out, self._devices = recipe.seed, logmel, held_out, devices
        self._optimiser, self._updated = recipe.optimiser, recipe.low_rank.parts
        self._chunk_samples, self._length = recipe.chunk_samples, crop_samples(recipe.chunk_samples)
        self._categories, self._phones = train.categories(), train.phones()
        torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 1))
        self.module = ListeningModel(audio_tower, self._categories, self._phones).to(devices.device)
        self._sampler = CropSampler(train, self._categories, self._phones, stage, recipe.seed, self._length)

    def begin_projection(self) -> None:
        """Have the projection begin with the principal components of the first crops, and learn on with the heads.

        A head that knows nothing sends a tower gradients that spoil what it knows (Kumar et al., 2022,
        arXiv:2202.10054). The same on every device.
        """
        inputs, sounds, phones = self._kept(max(_COMPONENT_STEPS, self._head_batches))
        rows = self._sampler.rows
        project_components(self.module.audio_tower.proj, inputs[: _COMPONENT_STEPS * rows].split(rows))
        self._train_heads(inputs, sounds, phones)

    def finish(self, folder: Path) -> None:
        """Have projection and heads learn on alone from what the tower gives now."""
        if self.settings.head_steps:
            self._train_heads(*self._kept(self._head_batches))

    @property
    def _head_batches(self) -> int:
        return -(-self.settings.head_crops // self._sampler.rows)

    def _kept(self, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        """What the projection is given of the crops of so many steps, in bfloat16; their sounds and their phonemes."""
        labels: list[tuple[Tensor, Tensor]] = []

        def streams() -> Iterator[Tensor]:
            for step in self._bar(range(steps), steps, 'what the projection is given'):
                crops = self._sampler.crops(step, 0, 1)
                labels.append((crops.sounds, crops.phones))
                yield self.module.chunks(self._logmel(crops.waveforms.to(self._devices.device)))

        with self._devices.autocast():
            inputs = [given.to('cpu', torch.bfloat16) for given in projected_inputs(self.module.audio_tower, streams())]
        sounds, phones = (torch.cat(of_kind) for of_kind in zip(*labels, strict=True))
        return torch.cat(inputs), sounds, phones

    def _train_heads(self, inputs: Tensor, sounds: Tensor, phones: Tensor) -> None:
        module, settings, device = self.module, self.settings, self._devices.device
        rate, steps = self._optimiser.rate, settings.head_steps
        heads = nn.ModuleList([module.audio_tower.proj, module.sound_head, module.phone_head])
        before = module.audio_tower.proj.weight.dtype
        heads.to(torch.float32)  # what DeepSpeed leaves in bfloat16 is too coarse for small steps

        def loss(places: Tensor) -> Tensor:
            with self._devices.autocast():
                named = module.named(module.audio_tower.proj(inputs[places].to(device).float()))
            of_sounds, of_phones = _naming_losses(named, sounds[places].to(device), phones[places].to(device))
            labelled = int((phones[places] != UNLABELLED).sum())
            return of_sounds / len(places) + of_phones / max(labelled, 1)

        module.train()
        train_kept(
            list(heads.parameters()),
            loss,
            len(inputs),
            self._sampler.rows,
            self._bar(
                (rate(settings.learning_rate, steps, step) for step in range(steps)), steps, 'projection and heads'
            ),
            settings.weight_decay,
            torch_seed(Purpose.KEPT_CROPS, self._seed),
        )
        heads.to(before)

    def _bar(self, steps: Iterable[T], count: int, doing: str) -> Iterable[T]:
        return tqdm(steps, total=count, desc=doing, unit='step', disable=not self._devices.is_main)

    @contextlib.contextmanager
    def trainable(self) -> Iterator[Iterable[dict[str, object]]]:
        """Give the tower and both heads, in groups: the weight decay is the stage's own, and layers differ in rate."""
        by_rate: dict[float, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in self.module.named_parameters():
            of_tower = name.startswith('audio_tower.')
            idle = (name.startswith('phone_head.') and not self._phones) or (
                of_tower and not is_trainable(name, ('encoder', 'adapter'), False, self._updated)
            )
            rate = 0.0 if idle else layer_rate(name, self.settings, self.module.audio_tower.config)
            parameter.requires_grad_(rate > 0)
            if rate:
                by_rate.setdefault(rate, []).append((name, parameter))
        yield (
            group | {'rate': rate}
            for rate, trained in by_rate.items()
            for group in parameter_groups(trained, (), self.settings.weight_decay)
        )

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
        """Return the share of the mean losses of sounds, of phonemes and of what the teacher hears.

        The parts are their sums.
        """
        crops, labelled = counts
        sound, phone = _naming_losses((outputs[0], outputs[1]), batch.sounds, batch.phones)
        total = sound / crops + (phone / labelled if labelled else 0.0)
        parts = [sound, phone]
        if self._teacher is not None:
            with self._devices.autocast():
                taught = self._teacher.hidden_states(self._logmel(batch.clean))
            parts.append(unlike := unlikeness(outputs[2], taught))
            total = total + self.settings.teacher_weight * unlike / crops
        return total, torch.stack(parts).detach().double()

    def figures(self, parts: Sequence[float], counts: Sequence[float], seconds: float) -> dict[str, float]:
        """Return the losses, each the mean over its own targets, and their sum, unweighted."""
        (sound, phone, *unlike), (crops, labelled) = parts, counts
        means = {'loss/sound': sound / crops} | ({'loss/phone': phone / labelled} if labelled else {})
        if unlike:
            means['loss/teacher'] = unlike[0] / crops
        return means | {'loss/total': sum(means.values()), 'throughput/crops_per_s': crops / seconds}

    def validate(self) -> dict[str, float]:
        """Return what is named right on the validation side, unaugmented, on the first process alone.

        `phone_accuracy`: share of the vectors of speech; `sound_accuracy`: share of the sounds; `respond_auc`: how
        well hazards are told from other sounds, as the area under the ROC curve; with `probe_clips` also `probe_auc`,
        the same by a linear probe (`LinearProbe`).
        """
        if not self._devices.is_main:
            return {}
        figures = self._sound_figures() | (self._phone_figures() if self._phones else {})
        return figures | (self._probe.areas(self._summaries) if self.settings.probe_clips else {})

    def _summaries(self, waveforms: np.ndarray) -> np.ndarray:
        with self._devices.autocast():
            vectors = self.module.encode(self._mel(waveforms))
        return summary(vectors).float().cpu().numpy()

    def _phone_figures(self) -> dict[str, float]:
        rng = random_stream(Purpose.HELD_OUT_CROPS, self._seed)
        drawn = [self._held_out.utterance(rng) for _ in range(_HELD_OUT_CROPS)]
        number = {name: 1 + place for place, name in enumerate(self._phones)}
        crops = [speech_crop(samples, clip.phones, 1.0, number, rng, self._length) for samples, clip in drawn]
        labels = np.stack([label for _, label in crops])
        named = self._logits(np.stack([crop for crop, _ in crops]))[1].argmax(-1).cpu().numpy()
        return {'phone_accuracy': float((named == labels)[labels > NO_PHONE].mean())}

    def _sound_figures(self) -> dict[str, float]:
        known = [sound for sound, _ in self._held_out.judged if sound.category in self._categories]
        known = some(known, _HELD_OUT_SOUNDS, random_stream(Purpose.HELD_OUT_SOUNDS, self._seed))
        hazards = sorted({self._categories.index(sound.category) for sound in known if sound.respond})
        hits, scores = [], []
        crops = held_out_crops(known, self._chunk_samples)
        for sound, logits in zip(known, (row for batch in crops for row in self._logits(batch)[0].cpu()), strict=True):
            hits.append(self._categories[int(logits.argmax())] == sound.category)
            scores.append(float(logits.softmax(0)[hazards].sum()))
        figures = {'sound_accuracy': float(np.mean(hits))} if hits else {}
        return figures | {'respond_auc': area_under_roc([sound.respond for sound in known], scores)}

    def _logits(self, waveforms: np.ndarray) -> tuple[Tensor, Tensor]:
        """Of waveforms as they are, float32 [batch, whole chunks]."""
        with self._devices.autocast():
            sounds, phones, _ = self.module(self._mel(waveforms))
        return sounds, phones

    def _mel(self, waveforms: np.ndarray) -> Tensor:
        mel: Tensor = self._logmel(torch.from_numpy(waveforms).to(self._devices.device))
        return mel


def _naming_losses(named: tuple[Tensor, Tensor], shares: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of the losses of both heads' logits, over the crops and over the vectors that have a label."""
    sounds, phones = named
    cross_entropy = nn.functional.cross_entropy
    sound = cross_entropy(sounds, shares, label_smoothing=0.05, reduction='sum')
    return sound, cross_entropy(phones.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction='sum')


def layer_rate(name: str, stage: ListeningStage, audio: AudioConfig) -> float:
    """Return the learning rate of a parameter of a `ListeningModel`, as a share of the stage's.

    The heads, which are new, have all of it.
    """
    if not name.startswith('audio_tower.'):
        return 1.0
    layers = audio.encoder_layers
    within = re.match(r'audio_tower\.layers\.(\d+)\.', name)
    above = layers - 1 - int(within[1]) if within else (0 if name.startswith(_LAST) else layers)
    return stage.tower_rate * stage.layer_decay**above
