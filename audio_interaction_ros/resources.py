"""Where the data that ships with the package lies: checkpoints and the demo scene."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def shared_path(relative: str) -> Path | None:
    """Return where 'demo/scene.flac' or 'checkpoints/embedded' is, or None when it is not installed.

    An editable install runs from the source tree; colcon and pip put data under
    <prefix>/share/audio_interaction_ros.
    """
    return next((root / relative for root in _roots() if (root / relative).exists()), None)


def _roots() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package.parent
    for parent in package.parents:
        yield parent / 'share' / 'audio_interaction_ros'
