"""A new checkpoint directory is there whole or not at all, and never in the place of another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_interaction_ros.model.weights import CheckpointError


def require_new(out: Path) -> None:
    """Raise CheckpointError where something is at `out` already."""
    if out.exists():
        raise CheckpointError(f"'{out}' exists and is never overwritten; give a new directory, or remove it first")


@contextmanager
def whole_or_not_at_all(out: Path) -> Iterator[Path]:
    """Make a new folder to fill, which becomes `out` if all goes well and else is removed."""
    unfinished = out.with_name(f'{out.name}.unfinished')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.mkdir()
        except FileExistsError as error:
            raise CheckpointError(
                f"'{unfinished}' is what another command has in hand or a killed one left; wait for it, or remove it"
            ) from error
        try:
            yield unfinished
            unfinished.rename(out)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
    except OSError as error:
        raise CheckpointError(f"'{out}' cannot be written; make room or give another directory: {error}") from error
