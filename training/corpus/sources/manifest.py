"""Manifests: gzipped JSON lines that are there whole or not at all, and are read a line at a time."""

from __future__ import annotations

import codecs
import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.serialization import load_jsonl, save_to_jsonl

from training.corpus.sources.base import SourceError
from training.corpus.sources.text import Dialogue


def write_manifest(cuts: Iterable[Cut], path: Path) -> None:
    """Write `path` (….jsonl.gz) in constant memory. The same cuts give the same bytes."""
    _write((cut.to_dict() for cut in cuts), path)


def read_manifest(path: Path) -> CutSet:
    """A lazy CutSet. Raises SourceError if there is no such file."""
    return CutSet.from_jsonl_lazy(_existing(path))


def write_dialogues(dialogues: Iterable[Dialogue], path: Path) -> None:
    """As `write_manifest`, for text."""
    _write((dialogue.model_dump() for dialogue in dialogues), path)


def read_dialogues(path: Path) -> Iterator[Dialogue]:
    """One at a time. Raises SourceError if there is no such file."""
    return map(Dialogue.model_validate, load_jsonl(_existing(path)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(f"no manifest at '{path}'; prepare the corpus first")
    return path


def _write(records: Iterable[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.partial-{path.name}')
    try:
        # No name and no time in the header, or equal manifests would differ.
        with partial.open('wb') as file, gzip.GzipFile('', 'wb', fileobj=file, mtime=0) as packed:
            save_to_jsonl(records, codecs.getwriter('utf-8')(packed))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
