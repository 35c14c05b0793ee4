"""One stage over the corpus: batches, dual loss, steps, validation, figures, and a state to go on from."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from audio_interaction_ros.audio.logmel import CausalLogMel
from training.recipe import Optimiser, Stage, TrainingRecipe
from training.stages import TrainingError
from training.stages.batches import Batch, Plan, Reader, read_ahead
from training.stages.budget import Work, peak_flops
from training.stages.engine import Devices, Engine, resume, save
from training.stages.model import StreamModel, heard_chunks, losses
from training.stages.trainable import EMBEDDINGS, only_rows, parameter_groups, set_trainable
from training.stages.validation import Validation


@dataclass(frozen=True)
class StageRun:
    """What a stage runs with. `number` counts from 1; `validation` is None where the corpus has nothing for it."""

    recipe: TrainingRecipe
    stage: Stage
    number: int
    reader: Reader
    validation: Validation | None
    logmel: CausalLogMel
    devices: Devices
    folder: Path
    stop: Callable[[], bool]


class Sums(NamedTuple):
    """Of a step, over all its batches and processes. `squares`: of the streams' positions. `stop`: not to go on."""

    lm: float
    stream: float
    event: float
    text: float
    control: float
    chunks: float
    positions: float
    squares: float
    stop: float


def learning_rate(stage: Stage, settings: Optimiser, step: int) -> float:
    """Linear warm-up, then cosine decay to nothing (Table 11)."""
    warm_up = round(settings.warm_up * stage.steps)
    if step < warm_up:
        return stage.learning_rate * (step + 1) / warm_up
    return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (stage.steps - warm_up)))


def run_stage(model: StreamModel, run: StageRun) -> bool:
    """Train one stage to its end, from wherever `folder` has it; False if it was asked to stop before.

    Raises TrainingError: out of memory, a loss that is not finite, damaged shards.
    """
    recipe, stage, devices = run.recipe, run.stage, run.devices
    accumulation = recipe.accumulation_on(stage, devices.world)
    chosen = run.reader.shards.select(stage.data, 'train', recipe.max_positions)
    lengths = run.reader.shards.chunks(stage.data)[chosen]
    plan = Plan(chosen, lengths, recipe.streams_a_step(stage), recipe.seed, run.number)
    trainable = set_trainable(model, stage.trainable, with_events=stage.event_weight > 0)
    hook = None
    if 'new_token_embeddings' in stage.trainable:
        new = sorted(run.reader.protocol.special_ids())
        hook = only_rows(dict(model.named_parameters())[EMBEDDINGS], new)
    groups = parameter_groups(trainable, stage.trainable, recipe.optimiser.weight_decay)
    engine = Engine(model, groups, recipe.optimiser, devices, stage.batch, accumulation)
    try:
        with _out_of_memory(stage):
            first = resume(engine, run.folder, devices)
            batches = read_ahead(run.reader, plan, first, stage.steps, devices.rank, devices.world, stage.batch)
            return _steps(model, run, engine, batches, first)
    finally:
        engine.close()
        if hook is not None:
            hook.remove()


def _steps(
    model: StreamModel, run: StageRun, engine: Engine, batches: Iterator[tuple[int, list[Batch]]], first: int
) -> bool:
    stage, devices = run.stage, run.devices
    report = _Report(run, model, first)
    model.train()
    saved = time.monotonic()
    for step, read in batches:
        sums = _forward_and_backward(run, engine, step, [batch.to(devices.device) for batch in read])
        if not math.isfinite(sums.lm + sums.stream + sums.event):
            raise TrainingError(
                f"stage '{stage.name}' step {step}: the loss is not finite; lower its learning_rate, remove "
                f"'{run.folder}' if the state in it is spoilt, and start again"
            )
        norm = engine.step(rate := learning_rate(stage, run.recipe.optimiser, step))
        if not math.isfinite(norm):
            raise TrainingError(
                f"stage '{stage.name}' step {step}: the gradient is not finite; lower its learning_rate and start "
                'again, it goes on from the last state that was saved'
            )
        report.step(step, sums, norm, rate)
        done = step + 1
        if done % run.recipe.validate_every == 0 and done < stage.steps:
            report.validated(done, validate(model, run))
        stopping = bool(sums.stop) and done < stage.steps
        # One process decides for all, so that none waits for another.
        due = time.monotonic() - saved >= 60.0 * run.recipe.save_every_minutes
        if devices.sum(torch.tensor(float(due and devices.first))) or stopping or done == stage.steps:
            save(engine, run.folder, done, devices)
            saved = time.monotonic()
        if stopping:
            report.close()
            return False
    report.close()
    return True


def _forward_and_backward(run: StageRun, engine: Engine, step: int, batches: list[Batch]) -> Sums:
    stage, devices = run.stage, run.devices
    counts = [
        sum(len(batch.lm_at) for batch in batches),
        sum(len(batch.stream_at) for batch in batches),
        sum(len(batch.ends_at) for batch in batches),
        sum(int(batch.lengths.sum()) for batch in batches),
        sum(int(batch.lengths.square().sum()) for batch in batches),
        float(devices.first and run.stop()),
    ]
    # N is that of the whole step, so that it does not matter how the step is divided into batches.
    text, control, chunks, positions, squares, stop = devices.sum(torch.tensor(counts, dtype=torch.float64)).tolist()
    parts = torch.zeros(3, dtype=torch.float64, device=devices.device)
    for number, batch in enumerate(batches):
        seed = np.random.SeedSequence([run.recipe.seed, 72, run.number, step, number * devices.world + devices.rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))
        mel = heard_chunks(run.logmel(batch.waveforms), batch, augment=stage.spec_augment)
        with devices.autocast():
            logits = engine.forward(mel, batch, stage.event_weight > 0)
        loss = losses(logits, batch, stage, run.reader.protocol.response, int(text + control), int(chunks))
        engine.backward(loss.total)
        parts += torch.stack([loss.lm, loss.stream, loss.event]).double()
    lm, stream, event = devices.sum(parts).tolist()
    return Sums(lm, stream, event, text, control, chunks, positions, squares, stop)


@torch.no_grad()
def validate(model: StreamModel, run: StageRun) -> dict[str, float]:
    """The validation figures of a model as it is; none where the corpus has nothing for the stage."""
    if run.validation is None:
        return {}
    model.eval()
    figures = run.validation.figures(lambda batch: forward(model, run, batch))
    model.train()
    return {name: round(value, 4) for name, value in figures.items()}


@torch.no_grad()
def forward(model: StreamModel, run: StageRun, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits of a batch, nothing masked in what is heard."""
    with run.devices.autocast():
        return model(heard_chunks(run.logmel(batch.waveforms), batch, augment=False), batch)


@contextlib.contextmanager
def _out_of_memory(stage: Stage) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU PyTorch has no class for it.
        if isinstance(error, RuntimeError) and not re.search('out of memory|allocate memory', str(error)):
            raise
        raise TrainingError(
            f"stage '{stage.name}' ran out of memory with batches of {stage.batch} streams; halve batch and double "
            'accumulation, or turn gradient_checkpointing on'
        ) from error


class _Report:
    """Bar and TensorBoard, on the first process only."""

    def __init__(self, run: StageRun, model: StreamModel, first: int) -> None:
        self._run, self._first = run, run.devices.first
        self._work = Work.of(model)
        self._smooth: dict[str, float] = {}
        self._last = time.monotonic()
        if self._first:
            self._peak = run.devices.world * peak_flops(run.devices)
            self._writer = SummaryWriter(str(run.folder.parent / 'tensorboard' / run.stage.name), purge_step=first)
            self._bar = tqdm(total=run.stage.steps, initial=first, desc=run.stage.name, unit='step')

    def step(self, step: int, sums: Sums, norm: float, rate: float) -> None:
        if not self._first:
            return
        targets = sums.text + sums.control
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        operations = self._work.of_step(self._run.stage, sums.positions, sums.squares, sums.chunks, targets)
        figures = {
            'loss/lm': sums.lm / max(sums.text, 1),
            'loss/stream': sums.stream / max(sums.control, 1),
            'loss/event': sums.event / sums.chunks,
            'loss/total': (sums.lm + self._run.stage.stream_weight * sums.stream) / targets,
            'gradient_norm': norm,
            'learning_rate': rate,
            'throughput/tokens_per_s': sums.positions / seconds,
            'throughput/audio_hours_per_hour': sums.chunks * self._run.recipe.chunk_s / seconds,
            'throughput/mfu': operations / seconds / self._peak,
        }
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
            self._smooth[name] = 0.95 * self._smooth.get(name, value) + 0.05 * value
        shown = {name.split('/')[-1]: f'{self._smooth[name]:.3g}' for name in figures if name != 'learning_rate'}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def validated(self, done: int, figures: dict[str, float]) -> None:
        if self._first:
            for name, value in figures.items():
                self._writer.add_scalar(f'validation/{name}', value, done)
            overall = ', '.join(f'{name} {value:.3f}' for name, value in figures.items() if '/' not in name)
            tqdm.write(f'{self._run.stage.name} step {done}: {overall}')
        self._last = time.monotonic()  # not counted as training

    def close(self) -> None:
        if self._first:
            self._bar.close()
            self._writer.close()


def response_threshold(model: StreamModel, run: StageRun) -> float:
    """The lowest P(response) at which the validation side's silences are broken as seldom as the recipe wants."""
    if run.validation is None:
        return 0.5
    model.eval()
    scores, hours = run.validation.silences(lambda batch: forward(model, run, batch))
    allowed = int(run.recipe.false_responses_per_hour * hours)
    if len(scores) <= allowed:
        return 0.5
    highest = np.sort(scores)[::-1][: allowed + 1]
    # Halfway from the first that must stay silent to the last that may speak, or to certainty.
    above = highest[allowed - 1] if allowed else 1.0
    return float((highest[allowed] + above) / 2)


def validation_of(reader: Reader, recipe: TrainingRecipe, stage: Stage, devices: Devices) -> Validation | None:
    """At most `validation_streams` of the validation side, evenly; None where there are none for the stage."""
    try:
        places = reader.shards.select(stage.data, 'validation', recipe.max_positions)
    except TrainingError:
        return None
    places = places[np.linspace(0, len(places) - 1, min(len(places), recipe.validation_streams)).astype(int)]
    places = places[np.argsort(reader.shards.chunks(stage.data)[places], kind='stable')]
    return Validation(reader, places, stage.batch, devices)
