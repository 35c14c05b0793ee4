"""How well a checkpoint hears: every evaluation drives the runtime's own session."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from audio_interaction_ros.audio.formats import AudioFormatError


class EvaluationError(ValueError):
    """An `EvaluationError` says in one sentence why nothing can be evaluated."""


def sentence_on(path: Path, error: Exception) -> str:
    """Return one sentence on a file that cannot be read, whatever its reader raised."""
    if isinstance(error, AudioFormatError):
        return str(error)
    words = ' '.join(f'{type(error).__name__}: {error}'.split())
    return f"'{path}' cannot be read ({words}); leave it out"


def tell(sentence: str) -> None:
    """Print a line on stderr, above the bars of progress."""
    tqdm.write(f'python -m training: {sentence}', file=sys.stderr)
