"""The loop that every stage runs in: steps, validation, figures, and a state to go on from."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.random_streams import Purpose, torch_seed
from training.recipe import TrainingRecipe
from training.stages import TrainingError
from training.stages.distributed import Devices
from training.stages.engine import DeepSpeedEngine
from training.stages.generated import Said
from training.stages.loader import read_ahead
from training.stages.state import StageState
from training.stages.task import Movable, TrainingTask

B = TypeVar('B', bound=Movable)


@dataclass(frozen=True)
class StageRun:
    """A `StageRun` says where and how a stage is run; `number` counts from 1, and 0 is stage 0.

    `folder` holds its state. `stop` says whether time is up; the first process is asked.
    """

    recipe: TrainingRecipe
    number: int
    devices: Devices
    folder: Path
    stop: Callable[[], bool]


def run_stage(task: TrainingTask[B], run: StageRun) -> bool:
    """Train one stage to its end, from wherever `folder` has it; False if it was asked to stop before.

    Raises TrainingError: out of memory, a loss that is not finite, damaged shards.
    """
    batch = task.settings.batch
    with task.trainable() as groups:
        engine = DeepSpeedEngine(task.module, groups, run.recipe.optimiser, run.devices, batch, task.accumulation)
        try:
            with _out_of_memory(task):
                return _steps(task, run, engine, StageState(run.folder, run.devices))
        finally:
            engine.close()


def _steps(task: TrainingTask[B], run: StageRun, engine: DeepSpeedEngine, state: StageState) -> bool:
    devices, steps = run.devices, task.settings.steps
    task.module.train()
    first, stopping = state.resume(engine), False
    with contextlib.closing(_Report(task, run, first)) as report:
        saved = time.monotonic()
        for step, batches in _read(task, run, first):
            stop = float(devices.is_main and run.stop())
            # N is that of the whole step, so that it does not matter how the step is divided into batches.
            said = [*task.counts(batches), stop, state.is_written]
            *counts, stop, written = devices.sum(torch.tensor(said, dtype=torch.float64)).tolist()
            if written == devices.world:
                state.commit()
            parts = _forward_and_backward(task, run, engine, step, batches, counts)
            if not math.isfinite(sum(parts)):
                raise TrainingError(
                    f"stage '{task.name}' step {step}: the loss is not finite; lower its learning_rate, remove "
                    f"'{run.folder}' if the state in it is spoilt, and start again"
                )
            norm = engine.step(
                rate := run.recipe.optimiser.rate(task.settings.learning_rate, task.settings.steps, step)
            )
            if not math.isfinite(norm):
                raise TrainingError(
                    f"stage '{task.name}' step {step}: the gradient is not finite; lower its learning_rate and start "
                    'again, it goes on from the last state that was saved'
                )
            report.step(step, parts, counts, norm, rate)
            done = step + 1
            if done % run.recipe.validate_every == 0 and done < steps:
                report.validated(done, validate(task))
            if done in task.hears:
                report.heard(done, hear(task, done, run.folder))
            stopping = bool(stop) and done < steps
            # One process decides for all, so that none waits for another.
            due = time.monotonic() - saved >= 60.0 * run.recipe.save_every_minutes
            if devices.sum(torch.tensor(float(due and devices.is_main))) or stopping or done == steps:
                state.save(engine, done)
                saved = time.monotonic()
            if stopping:
                break
        state.finish()
    return not stopping


def _read(task: TrainingTask[B], run: StageRun, first: int) -> Iterator[tuple[int, list[B]]]:
    """The batches of every step, none read before the task has looked at the network that they depend on."""
    steps = task.settings.steps
    for begin, end in itertools.pairwise([first, *(step for step in task.looks if first < step < steps), steps]):
        if begin < end:
            task.look(begin, run.folder)
        yield from read_ahead(task.read, begin, end)


def _forward_and_backward(
    task: TrainingTask[B], run: StageRun, engine: DeepSpeedEngine, step: int, batches: list[B], counts: list[float]
) -> list[float]:
    """The parts of the step's loss, summed over its batches and the processes."""
    devices, sums = run.devices, torch.zeros((), dtype=torch.float64, device=run.devices.device)
    for number, read in enumerate(batches):
        batch = read.to(devices.device)
        of_batch = number * devices.world + devices.rank
        torch.manual_seed(torch_seed(Purpose.MASKS_AND_DROPOUT, run.recipe.seed, run.number, step, of_batch))
        inputs = task.inputs(batch)
        with devices.autocast():
            outputs = engine.forward(*inputs)
        share, parts = task.loss(outputs, batch, counts)
        engine.backward(share)
        sums = sums + parts
    return devices.sum(sums).tolist()


@torch.no_grad()
def validate(task: TrainingTask[B]) -> dict[str, float]:
    """Return the validation figures of a stage's module as it is; none where the corpus has nothing for the stage."""
    task.module.eval()
    figures = task.validate()
    task.module.train()
    return {name: round(value, 4) for name, value in figures.items()}


@torch.no_grad()
def hear(task: TrainingTask[B], done: int, folder: Path) -> Said | None:
    """Return to the first process what a stage's module says after `done` steps."""
    task.module.eval()
    said = task.hear(done, folder)
    task.module.train()
    return said


@contextlib.contextmanager
def _out_of_memory(task: TrainingTask[B]) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # On a CPU PyTorch has no class for it.
        if isinstance(error, RuntimeError) and not re.search('out of memory|allocate memory', str(error)):
            raise
        raise TrainingError(
            f"stage '{task.name}' ran out of memory with batches of {task.settings.batch}; {task.memory_cure}"
        ) from error


class _Report:
    """Bar and TensorBoard, on the first process only."""

    def __init__(self, task: TrainingTask[B], run: StageRun, first: int) -> None:
        self._task, self._is_main = task, run.devices.is_main
        self._smooth: dict[str, float] = {}
        self._last = time.monotonic()
        if self._is_main:
            self._writer = SummaryWriter(str(run.folder.parent / 'tensorboard' / task.name), purge_step=first)
            self._bar = tqdm(total=task.settings.steps, initial=first, desc=task.name, unit='step')

    def step(self, step: int, parts: list[float], counts: list[float], norm: float, rate: float) -> None:
        if not self._is_main:
            return
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        figures = self._task.figures(parts, counts, seconds) | {'gradient_norm': norm, 'learning_rate': rate}
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
            self._smooth[name] = 0.95 * self._smooth.get(name, value) + 0.05 * value
        shown = {name.split('/')[-1]: f'{self._smooth[name]:.3g}' for name in figures if name != 'learning_rate'}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def validated(self, done: int, figures: dict[str, float]) -> None:
        if self._is_main:
            for name, value in figures.items():
                self._writer.add_scalar(f'validation/{name}', value, done)
            overall = ', '.join(f'{name} {value:.3f}' for name, value in figures.items() if '/' not in name)
            tqdm.write(f'{self._task.name} step {done}: {overall}')
        self._last = time.monotonic()  # not counted as training

    def heard(self, done: int, said: Said | None) -> None:
        if said is not None:
            for name, value in said.figures.items():
                self._writer.add_scalar(f'generated/{name}', value, done)
            for number, sample in enumerate(said.samples):
                self._writer.add_text(f'generated/{number} {sample.title}', sample.text, done)
                self._writer.add_audio(
                    f'generated/{number} {sample.title}', torch.from_numpy(sample.samples)[None], done, SAMPLE_RATE_HZ
                )
            shown = ', '.join(f'{name} {value:.3f}' for name, value in said.figures.items())
            tqdm.write(f'{self._task.name} step {done}, heard: {shown}')
        self._last = time.monotonic()

    def close(self) -> None:
        if self._is_main:
            self._bar.close()
            self._writer.close()
