"""Where assembled checkpoints lie, so that the name of a change finds what was made of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CHANGE = 'change.json'


def is_change(directory: Path) -> bool:
    """Return whether a directory is meant as a change of base weights (model/change.py), be it damaged."""
    return (directory / CHANGE).is_file()


def assembled_at(directory: Path) -> Path:
    """Return where `checkpoint fetch` puts what it assembles of a change; another change of that name lies elsewhere.

    It is in ~/.cache/audio_interaction_ros, or in that folder of $XDG_CACHE_HOME.
    """
    root = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'audio_interaction_ros'
    digest = hashlib.sha256((directory / CHANGE).read_bytes()).hexdigest()
    return root / f'{directory.resolve().name}-{digest[:12]}'
