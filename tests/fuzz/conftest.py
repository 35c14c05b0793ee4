"""Cases are counted by kind; a kind is a file of this folder."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path

import pytest

TRIED = Counter()


def kind_of(path: Path) -> str:
    return path.stem.removeprefix('test_')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and hasattr(item.obj, 'hypothesis'):
            inner = item.obj.hypothesis.inner_test
            item.obj.hypothesis.inner_test = _counted(inner, kind_of(item.path))


def _counted(test, kind):
    @functools.wraps(test)
    def counted(*args, **kwargs):
        TRIED[kind] += 1
        return test(*args, **kwargs)

    return counted


def pytest_sessionfinish() -> None:
    if counts := os.environ.get('FUZZ_COUNTS'):
        Path(counts).write_text(json.dumps(TRIED))
