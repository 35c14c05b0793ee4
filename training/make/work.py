"""The folder that a checkpoint is made in: what it is made of, which steps are done, and who is at work there."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.files import write_whole
from training.make import MakeError

_STATE, _LOCK = 'make.json', 'make.lock'


class Work:
    """A `Work` is such a folder, with its make.json.

    `made_of` is what every step depends on and no step checks by itself: libraries and parts by their digests.
    """

    def __init__(self, folder: Path, made_of: Mapping[str, object], code: Mapping[str, object]) -> None:
        """Open the folder, or begin it. Raises MakeError where something else is being made there."""
        self.folder, self._path = folder, folder / _STATE
        state: dict[str, Any] = {'made_of': dict(made_of), 'code': [], 'steps': {}}
        if self._path.exists():
            try:
                state = json.loads(self._path.read_text())
                before = state['made_of']
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise MakeError(f"'{self._path}' is damaged ({error!r}); give another --work") from error
            if changed := sorted(
                name for name in before.keys() | made_of.keys() if before.get(name) != made_of.get(name)
            ):
                raise MakeError(
                    f"'{folder}' holds what was made of other {', '.join(changed)}; give those again, or another --work"
                )
        if code and dict(code) not in state['code']:  # every state of the code that had a hand in it
            state['code'].append(dict(code))
        self._state = state
        self._write()

    @property
    def code(self) -> list[dict[str, object]]:
        """Return every state of the code that was at work here, as `provenance.code` has it."""
        return list(self._state['code'])

    @property
    def minutes(self) -> dict[str, float]:
        """Return how long each step took so far, all sittings together."""
        return {name: step['minutes'] for name, step in self._state['steps'].items()}

    def result(self, step: str, made_by: list[str]) -> dict[str, Any] | None:
        """Return the JSON that a step ended with, or None where it is not done or would be done in another way now."""
        kept = self._state['steps'].get(step, {})
        found: dict[str, Any] | None = kept.get('result') if kept.get('made_by') == made_by else None
        return found

    def record(self, step: str, made_by: list[str], minutes: float, result: Mapping[str, object] | None) -> None:
        """Keep how long a step took this time and, where it is done, the JSON that it ended with."""
        before = self._state['steps'].get(step, {}).get('minutes', 0.0)
        self._state['steps'][step] = {
            'made_by': made_by,
            'minutes': round(before + minutes, 2),
            'result': None if result is None else dict(result),
        }
        self._write()

    def _write(self) -> None:
        try:
            write_whole(self._path, json.dumps(self._state, indent=1, ensure_ascii=False).encode() + b'\n')
        except OSError as error:
            raise MakeError(f"'{self._path}' cannot be written ({error}); make room, or give another --work") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[int]:
    """Hold the folder's lock and give its file descriptor, for children to hold it too, as long as one of them lives.

    Raises MakeError where another process is at work there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open('w')
    except OSError as error:
        raise MakeError(f"'{folder}' cannot be written ({error}); make room, or give another --work") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MakeError(
                f"another process is making a checkpoint in '{folder}', or what one left behind still runs; wait for "
                'it, or end it'
            ) from error
        yield file.fileno()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a child in good order, or after ten seconds at once."""
    process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
