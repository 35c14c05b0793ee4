"""A corpus of miniatures of its sources, and its streams, for the modules that say which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from training.corpus.build import build
from training.streams import Stream, read_streams


@pytest.fixture(scope='module')
def corpus(
    request: pytest.FixtureRequest,
    sources: dict[str, Path],
    small_library: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What the module's RECIPE makes of its `sources`, HOURS of it, with its SEED."""
    out, wanted = small_library(tmp_path_factory.mktemp('corpus')), request.module
    build(wanted.RECIPE, sources, wanted.HOURS, wanted.SEED, 1, out)
    return out


@pytest.fixture(scope='module')
def streams(corpus: Path) -> list[Stream]:
    return [stream for stream, _ in read_streams(corpus, audio=False)]
