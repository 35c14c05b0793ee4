"""What a card is measured by: commands of this package, each in a process of its own, each result kept as JSON.

A result that is kept is not measured again while the checkpoint, and what it was measured on, stay the same, so a card
that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training import provenance
from training.card import CardError
from training.errors import PARTLY
from training.files import write_whole

TRAINING, ROBOT = 'training', 'audio_interaction_ros.cli'
_WRITTEN = {TRAINING: 'python -m training', ROBOT: 'audio-interaction'}
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Measurement:
    """A `Measurement` is a command whose last line is JSON, and the files that its figures depend on.

    `kept_as`: the name of the JSON file that keeps the result. `title`: what it is measured on, in the card's words.
    """

    kept_as: str
    title: str
    module: str
    arguments: tuple[str, ...]
    depends_on: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    pages: bool = False  # whether it takes --report

    @property
    def command(self) -> str:
        """Return the command as one writes it."""
        settings = [f'{name}={value}' for name, value in self.environment.items()]
        return ' '.join([*settings, _WRITTEN[self.module], shlex.join(self.arguments)])


@dataclass(frozen=True)
class Measured:
    """A `Measured` is a measurement with what came of it, and the machine that it was made on."""

    measurement: Measurement
    figures: dict[str, Any]
    machine: str = ''


@dataclass(frozen=True)
class Asked:
    """An `Asked` holds what a card is to be measured on.

    `held_out`: clip libraries of which the held-out side is scored; `unseen`: those that nothing was trained on, scored
    as a whole; `against`: YAMNet's file, heard beside the checkpoint. `streams`: at most so many of the corpus.
    `without`: what is not measured: corpus, demo, speed, sessions.
    """

    held_out: tuple[Path, ...] = ()
    unseen: tuple[Path, ...] = ()
    against: Path | None = None
    corpus: Path | None = None
    streams: int | None = None
    scenes: tuple[Path, ...] = ()
    ordinary_s: float = 3_600.0
    seed: int = 1
    without: frozenset[str] = frozenset()


def measurements(checkpoint: Path, asked: Asked) -> Iterator[Measurement]:
    """Yield what a checkpoint is to be measured by, cheap things first."""
    weights, seed = ('--checkpoint', str(checkpoint)), ('--seed', str(asked.seed))
    one_core = {'OMP_NUM_THREADS': '1'}
    if 'speed' not in asked.without:
        yield Measurement('speed', 'speed', ROBOT, ('bench', 'speed', *weights), environment=one_core)
    if 'sessions' not in asked.without:
        sessions = ('bench', 'sessions', '--threads', '1', *weights)
        yield Measurement('sessions', 'sessions', ROBOT, sessions, environment=one_core)
    for scene in () if 'demo' in asked.without else asked.scenes:
        demo = ('demo', '--scene', str(scene), *weights)
        yield Measurement(f'scene-{scene.parent.name}-{scene.stem}', str(scene), ROBOT, demo, (scene,))
    if libraries := (*asked.held_out, *asked.unseen):
        # Together, so that what stands beside the checkpoint may learn from all of their training sides.
        unseen = ('--unseen', *map(str, asked.unseen)) if asked.held_out and asked.unseen else ()
        named = (*map(str, asked.held_out), '--held-out', *unseen) if asked.held_out else tuple(map(str, asked.unseen))
        against = ('--against', str(asked.against)) if asked.against else ()
        clips = ('evaluate', 'clips', *named, *against, '--ordinary-s', f'{asked.ordinary_s:g}', *seed, *weights)
        depends_on = (*(library / 'manifest.csv' for library in libraries), *([asked.against] if asked.against else []))
        yield Measurement('clips', 'recordings', TRAINING, clips, depends_on, pages=True)
    if asked.corpus is not None and 'corpus' not in asked.without:
        most = () if asked.streams is None else ('--streams', str(asked.streams))
        streams = ('evaluate', 'corpus', str(asked.corpus), *most, *seed, *weights)
        yield Measurement('corpus', 'corpus', TRAINING, streams, (asked.corpus / 'index.json',), pages=True)


def measure(checkpoint: Path, asked: Asked, out: Path) -> list[Measured]:
    """Return what a checkpoint measures, from `out`, where every result that is not there yet is put.

    Raises CardError where a command fails; what was measured before is kept.
    """
    fingerprint = fingerprint_of(checkpoint)
    todo = list(measurements(checkpoint, asked))
    found = []
    for number, each in enumerate(todo, 1):
        path = out / fingerprint / f'{each.kept_as}.json'
        digests = {str(file): digest_of_file(file) for file in each.depends_on}
        made_from = {'command': each.command, 'checkpoint': fingerprint, 'files_sha256': digests}
        kept = _kept(path, made_from)
        if kept is None:
            print(f'card: {number} of {len(todo)}: {each.command}', file=sys.stderr, flush=True)
            began = time.monotonic()
            figures = run_for_json(each, path.with_suffix('.html'))
            minutes = round((time.monotonic() - began) / 60, 1)
            kept = made_from | {'machine': provenance.machine(), 'minutes': minutes, 'figures': figures}
            write_whole(path, json.dumps(kept, indent=1, ensure_ascii=False).encode() + b'\n')
        else:
            print(f"card: {number} of {len(todo)}: '{path}' is there", file=sys.stderr, flush=True)
        found.append(Measured(each, kept['figures'], kept.get('machine', '')))
    return found


def fingerprint_of(checkpoint: Path) -> str:
    """Return hex digits that stand for a checkpoint: its configuration names the digests of both halves.

    Raises CardError where there is none.
    """
    return digest_of_file(checkpoint / 'config.json')[:_SHOWN_DIGITS]


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex digits. Raises CardError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CardError(f"'{path}' cannot be read ({error}); give the folder that holds it") from error


def run_for_json(measurement: Measurement, page: Path) -> dict[str, Any]:
    """Run a measurement's command and return the JSON of its last line; its progress goes to stderr.

    Raises CardError where it ends badly.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    report = ('--report', str(page)) if measurement.pages else ()
    command = [sys.executable, '-m', measurement.module, *measurement.arguments, *report]
    environment = os.environ | measurement.environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            printed = process.stdout.read() if process.stdout else ''
        except BaseException:
            process.terminate()
            raise
    if process.returncode not in (0, PARTLY):  # what could not be read was said, and is left out
        raise CardError(
            f"'{measurement.command}' ended with exit code {process.returncode}, for the reason above; mend it and run "
            'the same again, what was measured is kept'
        )
    return _last_json(printed, measurement)


def _last_json(printed: str, measurement: Measurement) -> dict[str, Any]:
    lines = printed.strip().splitlines()
    try:
        figures = json.loads(lines[-1])
        if isinstance(figures, dict):
            return figures
    except (IndexError, ValueError):
        pass
    raise CardError(f"the last line of '{measurement.command}' is no JSON: {lines[-1:]}; run it by hand to see why")


def _kept(path: Path, made_from: dict[str, Any]) -> dict[str, Any] | None:
    try:
        result = json.loads(path.read_text())
        if isinstance(result['figures'], dict) and all(result.get(name) == value for name, value in made_from.items()):
            found: dict[str, Any] = result
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def commands_of(found: Sequence[Measured]) -> list[str]:
    """Return the commands behind some results, each once."""
    return list(dict.fromkeys(each.measurement.command for each in found))
