"""What a stage goes on from after an interruption: its weights and its optimiser's, written beside the training.

Each process writes the parameters that fall to it, in float32, and any number of processes reads them all: so a run may
go on with fewer processes than it began with, or more. A state counts once every process has written its part.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from safetensors import SafetensorError, safe_open

from training.files import write_tensors, write_whole
from training.stages import TrainingError
from training.stages.distributed import Devices
from training.stages.engine import DeepSpeedEngine

_LATEST, _STEP, _PARTS = 'latest.json', 'step', 'parts'


def is_under_way(folder: Path) -> bool:
    """Return whether a stage's folder holds a state to go on from."""
    return (folder / _LATEST).exists()


def steps_saved(folder: Path) -> int:
    """Return how many steps the state in a stage's folder has behind it; 0 where there is none."""
    return int(json.loads((folder / _LATEST).read_text())[_STEP]) if is_under_way(folder) else 0


class StageState:
    """A `StageState` keeps the newest state of a stage in a folder that all processes see."""

    def __init__(self, folder: Path, devices: Devices) -> None:
        self._folder, self._devices = folder, devices
        self._writer = ThreadPoolExecutor(1)
        self._step = 0
        self._writing: Future[None] | None = None

    def resume(self, engine: DeepSpeedEngine) -> int:
        """Take back the newest state, if there is one; return how many steps it has behind it. Raises TrainingError."""
        if not is_under_way(self._folder):
            return 0
        kept = json.loads((self._folder / _LATEST).read_text())
        if _PARTS not in kept:
            raise TrainingError(
                f"'{self._folder}' holds a state that an earlier version of this package wrote; go on with that "
                'version, or remove the folder to begin the stage again'
            )
        try:
            files = [safe_open(path, 'pt') for path in self._paths(kept[_STEP], kept[_PARTS])]
            place = {name: file for file in files for name in file.keys()}  # noqa: SIM118, no dict
            engine.restore(lambda name: place[name].get_tensor(name), kept[_STEP])
        except (OSError, SafetensorError, KeyError) as error:
            raise TrainingError(
                f"the state in '{self._folder}' after {kept[_STEP]} steps is damaged ({error}); remove the folder to "
                'begin the stage again'
            ) from error
        return int(kept[_STEP])

    def save(self, engine: DeepSpeedEngine, step: int) -> None:
        """Have the state after `step` steps written while training goes on, once that before is there.

        Every process calls it at the same step.
        """
        self.finish()
        devices = self._devices
        tensors = engine.gather(lambda number: number % devices.world == devices.rank)
        self._step = step
        self._writing = self._writer.submit(write_tensors, tensors, self._paths(step, devices.world)[devices.rank])

    @property
    def is_written(self) -> bool:
        """Return whether this process has written its part of a state that does not count yet. Raises TrainingError."""
        if self._writing is None or not self._writing.done():
            return False
        self._wait()
        return True

    def commit(self) -> None:
        """Have the state count and remove the one before; called by every process once all have written theirs."""
        if self._devices.is_main:
            settings = {_STEP: self._step, _PARTS: self._devices.world}
            write_whole(self._folder / _LATEST, json.dumps(settings).encode())
            for old in self._folder.glob('step-*'):
                if old != self._of(self._step):
                    shutil.rmtree(old)
        self._writing = None

    def finish(self) -> None:
        """Wait for what is being written, and have it count; called by every process."""
        if self._writing is not None:
            self._wait()
            self._devices.barrier()
            self.commit()

    def _wait(self) -> None:
        assert self._writing is not None
        try:
            self._writing.result()
        except (OSError, SafetensorError) as error:  # the latter is how safetensors says that a disk is full
            raise TrainingError(
                f"the state after {self._step} steps cannot be written to '{self._folder}' ({error}); make room, and "
                'run the same command again: it goes on from the state before'
            ) from error

    def _of(self, step: int) -> Path:
        return self._folder / f'step-{step:07d}'

    def _paths(self, step: int, parts: int) -> list[Path]:
        return [self._of(step) / f'{number:05d}-of-{parts:05d}.safetensors' for number in range(parts)]
