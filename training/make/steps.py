"""The steps from a recipe to a checkpoint and its card, each a command of this package in a process of its own.

What a step does, and how it goes on after an interruption, is that command's own; here they follow each other.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import provenance
from training.errors import PARTLY
from training.make import MakeError
from training.make.work import Work, alone_in, stop
from training.recipe import TEXT_PARTS, WHISPER_PARTS, TrainingRecipe, load_training_recipe
from training.stages.pretrained import PARTS
from training.stages.run_log import stages_of

_TOLD_EVERY_S = 600.0
_PR_SET_PDEATHSIG = 1  # of Linux's prctl.h


@dataclass(frozen=True)
class Wanted:
    """A `Wanted` says what is to be made of what, and where.

    `sources`: the arguments of `corpus build` that name recordings, and the folders in them; `building`: its others.
    `corpus`: one that is there already, None where it is to be built. `part`: the path of the recipe's pretrained part,
    if it is given. `card`: arguments of `card` after the checkpoint.
    """

    recipe: Path
    out: Path
    work: Path
    sources: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    building: tuple[str, ...] = ()
    corpus: Path | None = None
    start: Path | None = None
    part: Path | None = None
    card: tuple[str, ...] = ()

    @property
    def streams(self) -> Path:
        """Return where the corpus lies."""
        return self.corpus or self.work / 'corpus'

    @property
    def run(self) -> Path:
        """Return where the training run is kept."""
        return self.work / 'run'


@dataclass(frozen=True)
class Step:
    """A `Step` is a command; its result is kept unless `there`, which it writes, is missing."""

    name: str
    arguments: tuple[str, ...]
    there: Path
    stops_itself: bool = False  # takes --stop-after-minutes


def steps_of(wanted: Wanted, recipe: TrainingRecipe) -> Iterator[Step]:
    """Yield the steps in their order."""
    of_recipe = ('--recipe', str(wanted.recipe))
    if recipe.init in WHISPER_PARTS:
        named = recipe.init if wanted.part is None else f'{recipe.init}={wanted.part}'
        yield Step('parts', ('parts', named, '--out', str(PARTS)), PARTS / recipe.init)
    if recipe.text_init in TEXT_PARTS:
        yield Step('text part', ('parts', recipe.text_init, '--out', str(PARTS)), PARTS / recipe.text_init)
    if wanted.corpus is None:
        built = ('corpus', 'build', *of_recipe, *wanted.sources, *wanted.building, '--out', str(wanted.streams))
        yield Step('corpus', built, wanted.streams / 'index.json')
    start = ('--start', str(wanted.start)) if wanted.start else ()
    files = ('--corpus', str(wanted.streams), '--run', str(wanted.run), '--out', str(wanted.out))
    yield Step('train', ('train', *of_recipe, *files, *start), wanted.out / 'config.json', stops_itself=True)
    own = ('--corpus', str(wanted.streams), '--run', str(wanted.run), '--out', str(wanted.work / 'card'))
    yield Step('card', ('card', str(wanted.out), *own, *wanted.card), wanted.out / 'README.md')


def make(wanted: Wanted, stop_after_s: float | None = None) -> dict[str, object]:
    """Do every step that is not done; return what was reached, `finished` False where time ran out before.

    Raises MakeError where a step fails, or the folder holds something else; RecipeError for a recipe that cannot work.
    """
    recipe = load_training_recipe(wanted.recipe)
    deadline = None if stop_after_s is None else time.monotonic() + stop_after_s
    with alone_in(wanted.work) as lock:
        made_of = {'libraries': [provenance.library(folder) for folder in wanted.folders]}
        if wanted.corpus is not None:
            made_of['corpus'] = [{'path': str(wanted.corpus.resolve())}]
        work = Work(wanted.work, made_of, provenance.code())
        todo = list(steps_of(wanted, recipe))
        for number, step in enumerate(todo, 1):
            made_by = [*step.arguments, hashlib.sha256(wanted.recipe.read_bytes()).hexdigest()]
            said = f'make: {number} of {len(todo)}: {step.name}'
            result = work.result(step.name, made_by)
            if result is not None and step.there.exists():
                print(f'{said} is done', file=sys.stderr, flush=True)
                continue
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                return {'finished': False, 'step': step.name, 'work': str(wanted.work)}
            if step.name == 'card':
                provenance.write(wanted.out, _provenance(wanted, recipe, work))
            print(f'{said}: python -m training {shlex.join(step.arguments)}', file=sys.stderr, flush=True)
            began = time.monotonic()
            try:
                result = _run(step, wanted, recipe, left_s, lock)
            finally:
                minutes = (time.monotonic() - began) / 60
                done = result if result is not None and result.get('finished', True) else None
                work.record(step.name, made_by, minutes, done)
            if done is None:
                return {'finished': False, 'step': step.name, 'work': str(wanted.work)}
    return {'finished': True, 'checkpoint': str(wanted.out), 'minutes': work.minutes}


def _run(step: Step, wanted: Wanted, recipe: TrainingRecipe, left_s: float | None, lock: int) -> dict[str, Any] | None:
    """The JSON of the step's last line; None where it was ended because time was up."""
    limit = ('--stop-after-minutes', f'{left_s / 60:.3f}') if left_s is not None and step.stops_itself else ()
    command = [sys.executable, '-m', 'training', *step.arguments, *limit]
    ends_at = None if left_s is None or step.stops_itself else time.monotonic() + left_s
    printed = wanted.work / f'{step.name}.out'
    with printed.open('wb') as output:
        process = subprocess.Popen(command, stdout=output, pass_fds=(lock,), preexec_fn=_end_with_parent)
        try:
            while process.poll() is None:
                wait_s = _TOLD_EVERY_S if ends_at is None else min(_TOLD_EVERY_S, ends_at - time.monotonic())
                if wait_s <= 0:
                    return None
                with suppress(subprocess.TimeoutExpired):
                    process.wait(wait_s)
                    break
                if step.name == 'train' and (told := time_left(wanted.run, recipe)):
                    print(f'\nmake: {told}', file=sys.stderr, flush=True)
        finally:
            if process.poll() is None:
                stop(process)
    if process.returncode not in (0, PARTLY):  # what could not be read was said, and is left out
        raise MakeError(
            f'{step.name} ended with exit code {process.returncode}, for the reason above; mend it and run the same '
            'again'
        )
    lines = printed.read_text().strip().splitlines()
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def time_left(run: Path, recipe: TrainingRecipe) -> str:
    """Return how far a run is and about how long it still takes, in words; empty before its first steps.

    A step of a stage that has not begun is taken to cost what a stream costs in the last stage that has.
    """
    begun = stages_of(run, recipe)
    done = wanted = 0
    left_min = a_stream_min = 0.0
    for number in range(0 if recipe.encoder else 1, len(recipe.stages) + 1):
        name = recipe.stage_name(number)
        if number:
            stage = recipe.stages[number - 1]
            steps, streams = stage.steps, recipe.streams_a_step(stage)
        else:
            assert recipe.encoder is not None
            steps, streams = recipe.encoder.steps, recipe.encoder.batch + recipe.encoder.speech_batch
        wanted += steps
        if name in begun:
            done += int(begun[name]['steps'])
            a_step_min = begun[name]['minutes'] / begun[name]['steps']
            a_stream_min = a_step_min / streams
            left_min += (steps - begun[name]['steps']) * a_step_min
        else:
            left_min += steps * streams * a_stream_min
    return f'training has done {done} of {wanted} steps; about {left_min / 60:.1f} hours are left' if begun else ''


def _end_with_parent() -> None:
    with suppress(OSError, AttributeError):  # Linux's own
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _provenance(wanted: Wanted, recipe: TrainingRecipe, work: Work) -> dict[str, object]:
    known = (recipe.init in WHISPER_PARTS and recipe.init, recipe.text_init in TEXT_PARTS and recipe.text_init)
    parts = [provenance.part(PARTS / name) for name in known if name]
    return {
        'code': work.code,
        'recipe': recipe.name,
        'recipe_sha256': hashlib.sha256(wanted.recipe.read_bytes()).hexdigest(),
        'libraries': [provenance.library(folder) for folder in wanted.folders],
        'parts': parts,
        'start': str(wanted.start) if wanted.start else None,
        'corpus': _corpus(wanted.streams),
        'minutes': work.minutes,
        'stages': stages_of(wanted.run, recipe),
        'machine': provenance.machine(),
    }


def _corpus(folder: Path) -> dict[str, Any]:
    """What a corpus holds, and the seed and the settings that it was built by; what it does not say is left out."""
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        said = json.loads((folder / 'index.json').read_text())
        found |= {key: said[key] for key in ('hours', 'streams', 'splits') if key in said}
    with suppress(OSError, ValueError):
        settings = (folder / 'recipe.json').read_text()  # two JSON objects, one after the other
        _, end = json.JSONDecoder().raw_decode(settings)
        found['settings_sha256'] = hashlib.sha256(settings.encode()).hexdigest()
        found['seed'] = json.loads(settings[end:])['seed']
    return found
