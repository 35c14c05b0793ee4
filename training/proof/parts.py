"""The parts of a GPU proof: each yields figures with their goals, one after the other, and raises where it cannot."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.bench import graphs, sessions, speed
from audio_interaction_ros.bench.random_weights import random_halves
from training.files import write_whole
from training.proof import ProofError
from training.proof.corpus import write_corpus
from training.proof.processes import finish, start
from training.proof.record import Figure
from training.proof.sizes import Size
from training.random_streams import Purpose, random_stream, torch_seed
from training.recipe import TrainingRecipe
from training.recipe_file import RecipeError
from training.stages.budget import GPU_GB, Hardware, plan
from training.stages.collator import StreamCollator
from training.stages.distributed import Devices
from training.stages.loop import StageRun, run_stage
from training.stages.model import build
from training.stages.preparation import Files, prepare
from training.stages.run import stage_folder, train
from training.stages.run_log import figures_of
from training.stages.state import steps_saved
from training.stages.stream_task import StreamTask

GPU_BYTES = 80e9  # that the full size needs
# Logits of the same weights: float32 as the tests have it, bfloat16 against the same kernels called one by one.
_GRAPHS_FLOAT32, _GRAPHS_BFLOAT16 = 1e-4, 2e-2
# Losses of the same steps: bfloat16 weights against float32, and sums in another order from run to run.
_GPU_AGAINST_CPU, _RESUMED = 0.02, 0.005
_MFU, _DECISION_MS, _TOKEN_MS = 0.45, 3.0, 2.2
_ESTIMATE_AT_LEAST = 0.5  # of the dry run's, or it would ask for twice the GPUs
_STEPS = 20  # on the GPU and on the CPU
_RESUMED_STEPS, _KILLED_AFTER = 10, 3  # of a run that is killed, with a state after each
_LONGEST_WAIT_S = 600.0
_STREAMS = 16  # of a synthetic corpus


@dataclass(frozen=True)
class Part:
    """A `Part` of a proof: `work` yields its figures, given a size and an empty folder, in `budget_s` at most."""

    name: str
    about: str
    budget_s: float
    work: Callable[[Size, Path], Iterator[Figure]]


def compare_graphs(size: Size, folder: Path) -> Iterator[Figure]:
    """Compare the logits of captured graphs with those of the plain path, and in bfloat16 of passes not captured."""
    device = _device()
    for dtype, name in ((torch.float32, 'float32'), (torch.bfloat16, 'bfloat16')):
        _, decoder = random_halves(str(device), dtype, size.shapes)
        found = graphs.run(decoder.language_model, size.graph_sessions, size.capacity)
        wanted = found['shapes'] if device.type == 'cuda' else None
        exact = dtype == torch.float32
        yield Figure(name=f'{name}: shapes captured as graphs', value=found['captured'], at_least=wanted)
        yield Figure(
            name=f'{name}: difference from the plain path, of the largest logit',
            value=found['from_plain'],
            at_most=_GRAPHS_FLOAT32 if exact else None,
        )
        yield Figure(
            name=f'{name}: difference from the same passes not captured',
            value=found['from_not_captured'],
            at_most=_GRAPHS_FLOAT32 if exact else _GRAPHS_BFLOAT16,
        )


def compare_losses(size: Size, folder: Path) -> Iterator[Figure]:
    """Train the same 20 steps on this device and on the CPU, and compare the loss of each."""
    recipe = size.small(_STEPS, 60.0)
    own, cpu = (_run_of(recipe, folder, name) for name in ('device', 'cpu'))
    processes = [start(train, own), start(train, cpu, without_gpu=True)]
    for process, what in zip(processes, ('the run on the device', 'the run on the CPU'), strict=True):
        finish(process, what)
    (ours,), (theirs,) = _losses(own, recipe), _losses(cpu, recipe)
    yield Figure(name='steps compared', value=len(ours.keys() & theirs.keys()), at_least=_STEPS)
    yield Figure(
        name="largest difference of a step's loss from the CPU's",
        value=_difference(ours, theirs),
        at_most=_GPU_AGAINST_CPU,
    )
    yield Figure(name='loss of the last step, of that of the first', value=ours[_STEPS - 1] / ours[0], at_most=0.99)


def kill_and_resume(size: Size, folder: Path) -> Iterator[Figure]:
    """Kill a run by SIGKILL, have the same command go on, and compare its losses with those of an undisturbed run."""
    recipe = size.small(_RESUMED_STEPS, 0.0)
    undisturbed, killed = (_run_of(recipe, folder, name) for name in ('undisturbed', 'killed'))
    finish(start(train, undisturbed), 'the undisturbed run')
    process, stage = start(train, killed), stage_folder(killed.run, recipe, 1)
    began = time.monotonic()
    while (saved := steps_saved(stage)) < _KILLED_AFTER:
        if not process.is_alive() or time.monotonic() - began > _LONGEST_WAIT_S:
            break
        time.sleep(0.002)
    process.kill()
    process.join()
    if process.exitcode != -9 or saved < _KILLED_AFTER:
        raise ProofError(f'the run to be killed after {_KILLED_AFTER} steps ended after {saved}; the log may say why')
    finish(start(train, killed), 'the run that goes on')
    (whole,), sittings = _losses(undisturbed, recipe), _losses(killed, recipe)
    yield Figure(name='sittings of the run that was killed', value=len(sittings), at_least=2, at_most=2)
    yield Figure(
        name='step from which it went on', value=min(sittings[-1]), at_least=_KILLED_AFTER, at_most=_RESUMED_STEPS - 1
    )
    both = {step: loss for sitting in sittings for step, loss in sitting.items()}
    yield Figure(name='steps compared', value=len(whole.keys() & both.keys()), at_least=_RESUMED_STEPS)
    yield Figure(
        name="largest difference of a step's loss from the undisturbed run's",
        value=_difference(both, whole),
        at_most=_RESUMED,
    )


def stage_4_step(size: Size, folder: Path) -> Iterator[Figure]:
    """Time steps of stage 4 as one of the paper's 32 GPUs makes them, with the memory that the dry run expects."""
    devices = Devices.join()
    on_gpu = devices.device.type == 'cuda'
    hardware = _hardware(devices.device)
    recipe, expected = fitting(size.stage_4(), hardware)
    stage = recipe.stages[0]
    yield Figure(name='streams a batch', value=stage.batch)
    yield Figure(name='batches a step', value=stage.accumulation)
    files = _run_of(recipe, folder, 'step', max(_STREAMS, stage.batch))
    prepared = prepare(recipe, files, None, devices)
    collator = StreamCollator(
        prepared.dataset, stage.data, prepared.tokenizer, prepared.protocol, recipe.instruction, prepared.classes
    )
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 0))
    with torch.device(devices.device):  # four billion random numbers would take a CPU a minute
        model = build(recipe, prepared.tokenizer.get_vocab_size(), len(prepared.classes))
    logmel = CausalLogMel(recipe.audio.num_mel_bins, recipe.log_mel).to(devices.device)
    task = TimedSteps(recipe, 1, model, logmel, collator, devices)
    task.begin(size.warm_up, size.timed_steps)
    folder = stage_folder(files.run, recipe, 1)
    with contextlib.suppress(EnoughSteps):
        run_stage(task, StageRun(recipe, 1, devices, folder, stop=lambda: False))
    filled = median(task.positions) / recipe.streams_a_step(stage) / recipe.max_positions
    yield Figure(name='positions of a stream, of the most there may be', value=filled, at_least=0.9)
    yield Figure(name='throughput', value=task.seen('throughput/tokens_per_s'), unit='tokens/s')
    yield Figure(name='sound', value=task.seen('throughput/audio_hours_per_hour'), unit='hours an hour')
    goal = _MFU if size.judged else None
    yield Figure(name='MFU', value=task.seen('throughput/mfu'), at_least=goal)
    for what, gb in expected.items():
        if what != 'total':
            yield Figure(name=f'dry run: {what}', value=gb, unit='GB')
    yield Figure(name='dry run: total', value=expected['total'], unit='GB')
    yield Figure(name='memory', value=task.peak_bytes / 1e9, unit='GB')
    share = task.peak_bytes / 1e9 / expected['total']
    judged = size.judged and on_gpu
    yield Figure(
        name="memory, of the dry run's total",
        value=share,
        at_least=_ESTIMATE_AT_LEAST if judged else None,
        at_most=1.0 if judged else None,
    )


def decode(size: Size, folder: Path) -> Iterator[Figure]:
    """Time a decision and a text token as `bench speed` does, and many streams at once as `bench sessions` does."""
    encoder, decoder = random_halves(str(_device()), torch.bfloat16, size.shapes)
    # Whether random weights respond is chance; here every stream is decided on at every chunk, and none is answered.
    silent = decoder.config.streaming.model_copy(update={'response_threshold': 1 - 1e-9, 'thresholds': None})
    decoder = dataclasses.replace(decoder, config=decoder.config.model_copy(update={'streaming': silent}))
    rng = random_stream(Purpose.PROOF_SOUND, None)
    samples = rng.uniform(-0.1, 0.1, 12 * CHUNK_SAMPLES).astype(np.float32)
    found = speed.run(encoder, decoder, samples, size.repeats)
    for name, key, goal in (
        ('decision', 'drain_one_chunk', _DECISION_MS),
        ('text token', 'text_token', _TOKEN_MS),
        ('encoding a chunk', 'encode_one_chunk', None),
    ):
        times = found['passes'][key]
        yield Figure(name=f'{name}, median', value=times['p50_ms'], unit='ms', at_most=goal if size.judged else None)
        yield Figure(name=f'{name}, 99th percentile', value=times['p99_ms'], unit='ms')
        yield Figure(name=f'{name}, floor of this device', value=times['floor_ms'], unit='ms')
    work_s = sessions.time_periods(encoder, decoder, samples, size.streams, size.periods)
    yield Figure(name='streams heard at once', value=size.streams)
    yield Figure(name='their work in a period, median', value=1_000 * median(work_s), unit='ms')
    goal = 1_000 * CHUNK_S if size.judged else None
    yield Figure(name='their work in a period, longest', value=1_000 * max(work_s), unit='ms', at_most=goal)


PARTS = (
    Part('graphs', 'captured CUDA graphs give the logits of the plain path', 100.0, compare_graphs),
    Part('losses', f'the losses of {_STEPS} steps on the GPU are those of the CPU', 110.0, compare_losses),
    Part('resume', 'a run that was killed goes on as if it had not been', 130.0, kill_and_resume),
    Part('step', 'stage 4 of the 3B model: memory against the dry run, tokens/s, MFU', 180.0, stage_4_step),
    Part('decode', 'the 3B model decides and writes in time, for many streams at once', 150.0, decode),
)


class EnoughSteps(Exception):
    """`EnoughSteps` ends a stage of which only the first steps are wanted, before it keeps a state."""


class TimedSteps(StreamTask):
    """A `TimedSteps` keeps the throughput of a stage's steps after the first few, and the memory at the peak."""

    peak_bytes = 0.0

    def begin(self, warm_up: int, timed: int) -> None:
        """Have the stage end after so many steps, of which the first ones do not count."""
        self._left_out, self._last = warm_up, warm_up + timed
        self._steps: list[dict[str, float]] = []
        self.positions: list[float] = []

    def figures(self, parts: Sequence[float], counts: Sequence[float], seconds: float) -> dict[str, float]:
        """Return what the stage reports. Raises EnoughSteps after the last of the steps that are wanted."""
        figures = super().figures(parts, counts, seconds)
        self._steps.append(figures)
        self.positions.append(counts[3])
        device = self._devices.device
        if len(self._steps) == self._left_out and device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
        if len(self._steps) == self._last:
            self.peak_bytes = _peak_bytes(device)
            raise EnoughSteps
        return figures

    def seen(self, name: str) -> float:
        """Return the median of a figure over the steps that count."""
        return median(step[name] for step in self._steps[self._left_out :])


def fitting(recipe: TrainingRecipe, hardware: Hardware) -> tuple[TrainingRecipe, dict[str, float]]:
    """Return the recipe with the largest batch, of its own and halves of it, that the dry run says fits.

    And what it expects, in GB. A step has as many streams. Raises RecipeError where not even one stream fits.
    """
    (stage,) = recipe.stages
    while True:
        try:
            planned: Any = plan(recipe, hardware)['stages']
            return recipe, planned[0]['gb_per_gpu']
        except RecipeError:
            if stage.batch == 1:
                raise
        batch = stage.batch // 2
        streams = recipe.streams_a_step(stage)
        stage = stage.model_copy(update={'batch': batch, 'accumulation': streams // batch})
        recipe = recipe.model_copy(update={'stages': (stage,)})


def describe(path: Path) -> None:
    """Write what device this is to a file, as JSON: its name, and a GPU's memory in bytes, else 0."""
    device = _device()
    name, memory = 'the CPU', 0
    if device.type == 'cuda':
        name, (_, memory) = torch.cuda.get_device_name(device), torch.cuda.mem_get_info(device)
    write_whole(path, json.dumps({'name': name, 'bytes': memory}).encode())


def _device() -> torch.device:
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def _hardware(device: torch.device) -> Hardware:
    """One GPU of this kind; on a CPU, one as the paper has it."""
    if device.type != 'cuda':
        return Hardware(1, GPU_GB['H100'])
    name = torch.cuda.get_device_name(device)
    kind = next((kind for kind in GPU_GB if kind in name), 'H100')
    return Hardware(1, torch.cuda.mem_get_info(device)[1] / 1e9, kind)


def _peak_bytes(device: torch.device) -> float:
    """What was taken of a GPU at most, with its context and what else is outside PyTorch's pool; or of the host."""
    if device.type != 'cuda':
        return 1_024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    free, total = torch.cuda.mem_get_info(device)
    outside = total - free - torch.cuda.memory_reserved(device)
    return float(torch.cuda.max_memory_allocated(device) + outside)


def _run_of(recipe: TrainingRecipe, folder: Path, name: str, streams: int = _STREAMS) -> Files:
    """The recipe as a file, a corpus for it, and a folder for one run."""
    path, corpus = folder / 'recipe.yaml', folder / 'corpus'
    if not path.exists():
        chunks = recipe.streams_corpus.performance.max_chunks
        write_corpus(corpus, streams, chunks, recipe.max_positions)
        write_whole(path, recipe.model_dump_json().encode())  # which YAML reads
    return Files(path, corpus, folder / name, None, None)


def _losses(files: Files, recipe: TrainingRecipe) -> list[dict[int, float]]:
    return figures_of(files.run, recipe.stages[0].name, 'loss/total')


def _difference(ours: dict[int, float], theirs: dict[int, float]) -> float:
    return max(abs(ours[step] / theirs[step] - 1) for step in ours.keys() & theirs.keys())
