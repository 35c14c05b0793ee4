"""Corpora of a few tenths of a second, laid out as their publishers do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.sources import find_source
from training.sources.base import Facts, SourceError

FORMATS = {'.opus': {'format': 'OGG', 'subtype': 'OPUS'}, '.ogg': {'format': 'OGG', 'subtype': 'VORBIS'}}


def sound(path: Path, seconds: float = 0.2, rate_hz: int = 16_000, channels: int = 1) -> Path:
    """A little noise, in the format that the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, (int(seconds * rate_hz), channels))
    soundfile.write(path, noise, rate_hz, **FORMATS.get(path.suffix, {}))
    return path


def lengthen(root: Path, seconds: float) -> Path:
    """Every sound under a folder anew, and longer: long enough to be drawn."""
    for path in root.rglob('*'):
        if path.suffix in ('.flac', '.mp3', '.ogg', '.opus', '.wav'):
            sound(path, seconds)
    return root


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path


def json_lines(path: Path, *records: dict) -> Path:
    return text(path, *(json.dumps(record, ensure_ascii=False) for record in records))


def clips(name: str, folder: Path) -> dict:
    """source_id → (cut, its supervision, the facts of it), of a source by name."""
    found = {}
    for cut in find_source(name).prepare(folder):
        (supervision,) = cut.supervisions
        assert (supervision.start, supervision.duration) == (0, cut.duration)
        facts = Facts.of(supervision)
        found[facts.source_id] = (cut, supervision, facts)
    return found


def refuses(name: str, folder: Path, *words: str) -> str:
    """That reading the folder to its end fails with one line, with these words in it."""
    with pytest.raises(SourceError) as caught:
        list(find_source(name).prepare(folder))
    message = str(caught.value)
    assert '\n' not in message
    for word in words:
        assert re.search(re.escape(word), message), message
    return message
