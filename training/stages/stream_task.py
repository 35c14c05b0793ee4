"""The stages that train on streams: what their batches, losses and figures are (paper §3.3)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.deciding import EventClasses
from audio_interaction_ros.model.network import EventHead
from training.files import write_whole
from training.random_streams import Purpose, random_stream
from training.recipe import Stage, TrainingRecipe
from training.stages import TrainingError
from training.stages.budget import ForwardOperations, peak_flops
from training.stages.collator import Batch, StreamCollator
from training.stages.deciding import Deciding, choose
from training.stages.distributed import Devices
from training.stages.generated import GeneratedEvaluation, Said
from training.stages.model import StreamModel, heard_chunks, learning, losses, predict
from training.stages.sampler import Hard, StreamSampler
from training.stages.task import TrainingTask
from training.stages.validation import Validation


class StreamTask(TrainingTask[Batch]):
    """A `StreamTask` is one of a recipe's `stages`, counted from 1.

    Raises TrainingError where the corpus has no streams for it, RecipeError where a step does not divide.
    """

    memory_cure = 'halve batch and double accumulation, or turn gradient_checkpointing on'

    def __init__(
        self,
        recipe: TrainingRecipe,
        number: int,
        model: StreamModel,
        logmel: CausalLogMel,
        collator: StreamCollator,
        devices: Devices,
        generated: GeneratedEvaluation | None = None,
    ) -> None:
        self.settings: Stage = recipe.stages[number - 1]
        self.name, self.module = self.settings.name, model
        self.accumulation = recipe.accumulation_on(self.settings, devices.world)
        self._recipe, self._number, self._logmel, self._devices = recipe, number, logmel, devices
        self._collator = collator
        self._validation = _validation(collator, recipe, self.settings, devices)
        data, dataset = self.settings.data, collator.dataset
        chosen = dataset.select(data, 'train', recipe.max_positions)
        a_step = recipe.streams_a_step(self.settings)
        self._sampler = StreamSampler(chosen, dataset.chunks(data)[chosen], a_step, recipe.seed, number)
        self._hard: Hard | None = None
        if self.settings.hard is not None:
            self.looks = range(self.settings.hard.every, self.settings.steps, self.settings.hard.every)
        self._generated = generated if self.settings.data.form == 'online' else None
        if self._generated is not None:
            every, steps = self._generated.settings.every, self.settings.steps
            self.hears = [*range(every, steps, every), steps]

    def trainable(self) -> contextlib.AbstractContextManager[Iterable[dict[str, object]]]:
        """Give what the stage names; of embeddings and LM head only the new tokens' rows where it says so."""
        new = sorted(self._collator.protocol.special_ids())
        return learning(self._recipe, self.settings, self.module, new, self._devices)

    def look(self, step: int, folder: Path) -> None:
        """Find the hard streams of the training side, unless they were found before, and draw them more often."""
        settings = self.settings.hard
        if settings is None or step < settings.every:
            return
        found = step // settings.every * settings.every
        kept = folder / f'hard-{found:07d}.json'
        before: list[int] = [] if self._hard is None else self._hard.places.tolist()
        # One process looks for the file, so that all go the same way.
        if not self._devices.sum(torch.tensor(float(self._devices.is_main and kept.exists()))):
            places = self._find_hard(settings.sample, found, before)
            if self._devices.is_main:
                write_whole(kept, json.dumps(places).encode())
                tqdm.write(f'{self.name} step {found}: {len(places)} hard streams among {settings.sample}')
            self._devices.barrier()
        self._hard = Hard(np.array(json.loads(kept.read_text()), np.int64), settings.share)

    @torch.no_grad()
    def _find_hard(self, sample: int, step: int, before: Sequence[int]) -> list[int]:
        """Which of the stage's streams have a response where silence is right, of those found before and others."""
        rng = random_stream(Purpose.HARD_SAMPLE, self._recipe.seed, self._number, step)
        others = np.setdiff1d(np.arange(len(self._sampler.chosen)), before)
        looked_at = np.concatenate([np.asarray(before, np.int64), rng.permutation(others)])[:sample]
        looked_at = looked_at[np.argsort(self._sampler.chunks[looked_at], kind='stable')]
        streams = Validation(self._collator, self._sampler.chosen[looked_at], self.settings.batch, self._devices)
        self.module.eval()
        highest = streams.highest_false(self._predict)
        self.module.train()
        return sorted(looked_at[highest > 0.5].tolist())

    def read(self, step: int) -> list[Batch]:
        """Return this process's batches of a step, augmented as the stage wants it."""
        devices, seed = self._devices, self._recipe.seed
        rng_of = partial(random_stream, Purpose.STREAM_AUGMENTATION, seed, self._number, step)
        batches = self._sampler.batches(step, devices.rank, devices.world, self.settings.batch, self._hard)
        return [self._collator.collate(places, rng_of) for places in batches]

    def counts(self, batches: Sequence[Batch]) -> list[float]:
        """Return targets of text, targets of control, chunks, positions, and the squares of the streams' positions.

        Also positions with their padding, and the tokens of the replies that the text teacher is asked about.
        """
        return [
            sum(len(batch.lm_at) for batch in batches),
            sum(len(batch.stream_at) for batch in batches),
            sum(len(batch.ends_at) for batch in batches),
            sum(int(batch.lengths.sum()) for batch in batches),
            sum(int(batch.lengths.square().sum()) for batch in batches),
            sum(batch.ids.numel() for batch in batches),
            sum(len(batch.written_at) for batch in batches),
        ]

    def inputs(self, batch: Batch) -> tuple[Tensor, Batch, bool]:
        """Return the log-mel of what is heard, the batch, and whether the auxiliary head is wanted."""
        mel = heard_chunks(self._logmel(batch.waveforms), batch, augment=self.settings.spec_augment)
        return mel, batch, self.settings.event_weight > 0

    def loss(self, outputs: Any, batch: Batch, counts: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Return the share of the dual loss; its parts are those of text, control and events.

        With a text teacher there is a fourth, how far the language model has moved from it, averaged over the tokens of
        the whole step that it is asked about.
        """
        text, control, chunks, *_, written = counts
        loss = losses(outputs, batch, self.settings, self._collator.protocol.response, int(text + control), int(chunks))
        total, parts = loss.total, [loss.lm, loss.stream, loss.event]
        if self.settings.text_teacher is not None:
            with self._devices.autocast():
                drift = self.module.drift(batch)
            total = total + self.settings.text_teacher.weight * drift / max(written, 1.0)
            parts.append(drift.detach())
        return total, torch.stack(parts).double()

    def figures(self, parts: Sequence[float], counts: Sequence[float], seconds: float) -> dict[str, float]:
        """Return each loss as the mean over its own targets, and throughput."""
        (lm, stream, event, *drift), (text, control, chunks, positions, squares, padded, written) = parts, counts
        targets = text + control
        operations = self._operations.of_step(self.settings, positions, squares, chunks, targets)
        return {
            'loss/lm': lm / max(text, 1),
            'loss/stream': stream / max(control, 1),
            'loss/event': event / chunks,
            'loss/total': (lm + self.settings.stream_weight * stream) / targets,
            **({'loss/teacher': drift[0] / max(written, 1)} if drift else {}),
            'throughput/tokens_per_s': positions / seconds,
            'throughput/audio_hours_per_hour': chunks * self._recipe.chunk_s / seconds,
            'throughput/mfu': operations / seconds / self._peak_flops,
            'throughput/padding': 1 - positions / padded,
        }

    def validate(self) -> dict[str, float]:
        """Return `Validation.figures`."""
        return {} if self._validation is None else self._validation.figures(self._predict)

    def hear(self, done: int, folder: Path) -> Said | None:
        """Hear streams of the validation side as a robot does, and keep the weights that do so best."""
        if self._generated is None:
            return None
        said = self._generated.hear(self.module, self.deciding(self._generated.events), folder)
        if said is not None:
            self._generated.keep_best(self.module, said, done, folder)
        self._devices.barrier()
        return said

    def finish(self, folder: Path) -> None:
        """Have the module be the best that was heard, where the recipe wants that."""
        if self._generated is not None and self._recipe.keep == 'best':
            self._generated.take_best(self.module, folder)

    @torch.no_grad()
    def deciding(self, events: EventClasses, head: EventHead | None = None) -> Deciding:
        """Return by what the network, with an event head for these classes or without one, is to decide."""
        if self._validation is None:
            return Deciding()
        self.module.eval()
        return choose(*self._validation.drains(self._predict, events, head), self._recipe)

    def _predict(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        return predict(self.module, self._logmel, batch, self._devices)

    @cached_property
    def _operations(self) -> ForwardOperations:
        return ForwardOperations.of(self.module)

    @cached_property
    def _peak_flops(self) -> float:
        return self._devices.world * peak_flops(self._devices)


def _validation(collator: StreamCollator, recipe: TrainingRecipe, stage: Stage, devices: Devices) -> Validation | None:
    """At most `validation_streams` of the validation side, evenly; None where there are none for the stage."""
    dataset = collator.dataset
    try:
        places = dataset.select(stage.data, 'validation', recipe.max_positions)
    except TrainingError:
        return None
    places = places[np.linspace(0, len(places) - 1, min(len(places), recipe.validation_streams)).astype(int)]
    places = places[np.argsort(dataset.chunks(stage.data)[places], kind='stable')]
    return Validation(collator, places, stage.batch, devices)
