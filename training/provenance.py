"""Where a checkpoint comes from: provenance.json beside its weights, which nothing that listens ever reads."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from training.files import write_whole
from training.parts.write import ORIGIN

PROVENANCE, MANIFEST = 'provenance.json', 'manifest.csv'
_ROOT = Path(__file__).parents[1]


def code() -> dict[str, object]:
    """Return which code this is: its commit, and whether tracked files differ from it; empty where there is no git."""
    commit = _git('rev-parse', 'HEAD')
    if commit is None:
        return {}
    return {'commit': commit, 'changed': bool(_git('status', '--porcelain', '--untracked-files=no'))}


def _git(*arguments: str) -> str | None:
    try:
        # A checkout of its own: not that of a project which this package is installed into.
        command = ['git', '-C', str(_ROOT), *arguments]
        top = subprocess.run(['git', '-C', str(_ROOT), 'rev-parse', '--show-toplevel'], capture_output=True, text=True)
        if top.returncode or Path(top.stdout.strip()) != _ROOT:
            return None
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return None if done.returncode else done.stdout.strip()


def machine() -> str:
    """Return what computes here: its processor, how many cores of it, and the version of Python."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError):  # not Linux
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        processor = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), processor)
    return f'{processor}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}'


def library(folder: Path) -> dict[str, object]:
    """Return what a source of recordings is: its name, and the SHA-256 of its manifest where it has one."""
    manifest = folder / MANIFEST
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None
    return {'name': folder.resolve().name, 'manifest_sha256': digest}


def part(folder: Path) -> dict[str, object]:
    """Return what a pretrained part is, from what `python -m training parts` says of it; raises OSError without it."""
    origin = json.loads((folder / ORIGIN).read_text())
    return {name: origin[name] for name in ('name', 'origin', 'licence', 'tensors_sha256', 'files')}


def read(checkpoint: Path) -> dict[str, Any]:
    """Return what a checkpoint says of where it comes from; empty where it says nothing."""
    path = checkpoint / PROVENANCE
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def write(checkpoint: Path, made_of: Mapping[str, object]) -> None:
    """Write it. Raises OSError."""
    write_whole(checkpoint / PROVENANCE, json.dumps(made_of, indent=1, ensure_ascii=False).encode() + b'\n')
