"""What a run's TensorBoard says of its stages: how many steps, minutes and hours of sound each took."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.recipe import TrainingRecipe
from training.stages.crops import crop_samples

BOARD = 'tensorboard'
_STEP, _STREAMS, _CROPS = 'learning_rate', 'throughput/audio_hours_per_hour', 'throughput/crops_per_s'
_LONGEST_S = 900.0  # between two steps: validation and a search may take minutes, a machine that slept took longer
_USUAL = 5.0  # times the median step: longer than that, a step waited for something else and heard nothing meanwhile


def stages_of(run: Path, recipe: TrainingRecipe) -> dict[str, dict[str, float]]:
    """Return {steps, minutes, hours_heard} of every stage that a run has begun, by name, in the recipe's order.

    A step that was done again after an interruption counts once in `steps` and each time in the others. Minutes hold
    what lies between the steps of a sitting, validation among it. Empty where there is no run.
    """
    crop_s = crop_samples(recipe.chunk_samples) / SAMPLE_RATE_HZ
    found = {}
    for number in range(0 if recipe.encoder else 1, len(recipe.stages) + 1):
        name = recipe.stage_name(number)
        if sittings := [steps for path in _files(run / BOARD / name) if (steps := _steps(path, crop_s))]:
            found[name] = _stage(sittings)
    return found


def figures_of(run: Path, stage: str, name: str) -> list[dict[int, float]]:
    """Return a figure of one of a run's stages by step, for each sitting in which it was trained, the first first."""
    found = []
    for path in _files(run / BOARD / stage):
        events = _read(path)
        if name in events.Tags()['scalars']:
            found.append({event.step: event.value for event in events.Scalars(name)})
    return found


@dataclass(frozen=True)
class _Step:
    number: int
    moment_s: float
    heard_a_second: float


def _stage(sittings: list[list[_Step]]) -> dict[str, float]:
    gaps_s = [after.moment_s - before.moment_s for steps in sittings for before, after in pairwise(steps)]
    usual_s = median(gaps_s) if gaps_s else 0.0
    seconds = heard_s = 0.0
    for steps in sittings:
        # How long the first took is not written.
        took_s = [usual_s, *(after.moment_s - before.moment_s for before, after in pairwise(steps))]
        for step, each_s in zip(steps, took_s, strict=True):
            seconds += min(each_s, _LONGEST_S)
            heard_s += min(each_s, _USUAL * usual_s) * step.heard_a_second
    steps_done = 1 + max(step.number for steps in sittings for step in steps)
    return {'steps': steps_done, 'minutes': round(seconds / 60, 2), 'hours_heard': round(heard_s / 3_600, 3)}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob('events.*'), key=lambda path: path.stat().st_mtime_ns)


def _steps(path: Path, crop_s: float) -> list[_Step]:
    """The steps of one sitting. Stage 0 says how many crops it heard a second, the others how much sound."""
    events = _read(path)
    tags = events.Tags()['scalars']
    if _STEP not in tags:
        return []
    rates = {
        event.step: event.value * scale
        for tag, scale in ((_STREAMS, 1.0), (_CROPS, crop_s))
        if tag in tags
        for event in events.Scalars(tag)
    }
    return [_Step(event.step, event.wall_time, rates.get(event.step, 0.0)) for event in events.Scalars(_STEP)]


def _read(path: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(path), {'scalars': 0}).Reload()
