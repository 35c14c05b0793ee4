"""Manifests: gzipped JSON lines that are there whole or not at all, and are read a line or a piece at a time."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.serialization import deserialize_item, load_jsonl

from training.files import json_lines, whole, write_whole
from training.sources.base import SourceError
from training.sources.text import Dialogue

RECORDS_A_PIECE = 64


def write_manifest(cuts: Iterable[Cut], path: Path) -> None:
    """Write `path` (….jsonl.gz) in constant memory. The same cuts give the same bytes.

    Every 64 cuts are compressed by themselves, and a small file beside it tells where they begin, so that `read_piece`
    need not read what comes before.
    """
    _write((cut.to_dict() for cut in cuts), path)


def read_manifest(path: Path) -> CutSet:
    """Return a lazy CutSet. Raises SourceError if there is no such file."""
    return CutSet.from_jsonl_lazy(_existing(path))


def piece_count(path: Path) -> int:
    """Return how many pieces a manifest has. Raises SourceError if there is no such file."""
    return len(_offsets(path)) - 1


def read_piece(path: Path, number: int) -> list[Cut]:
    """Return cuts 64 · `number` … of a manifest, 64 at most. Raises SourceError if there is no such file."""
    begin, end = _offsets(path)[number : number + 2]
    with path.open('rb') as file:
        file.seek(begin)
        lines = gzip.decompress(file.read(end - begin)).splitlines()
    return [deserialize_item(json.loads(line)) for line in lines]


def write_dialogues(dialogues: Iterable[Dialogue], path: Path) -> None:
    """Write dialogues as `write_manifest` writes cuts."""
    _write((dialogue.model_dump() for dialogue in dialogues), path)


def read_dialogues(path: Path) -> Iterator[Dialogue]:
    """Yield the dialogues of a manifest one at a time. Raises SourceError if there is no such file."""
    return map(Dialogue.model_validate, load_jsonl(_existing(path)))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(f"no manifest at '{path}'; prepare the corpus first")
    return path


def _offsets_file(path: Path) -> Path:
    return path.with_name(path.name.removesuffix('.jsonl.gz') + '.pieces.json')


def _offsets(path: Path) -> list[int]:
    """Where the pieces begin, in bytes, and where the last one ends."""
    return json.loads(_existing(_offsets_file(_existing(path))).read_text())


def _write(records: Iterable[dict[str, Any]], path: Path) -> None:
    records, offsets = iter(records), [0]
    with whole(path) as partial:
        with partial.open('wb') as file:
            while piece := list(itertools.islice(records, RECORDS_A_PIECE)):
                # No name and no time in the header, or equal manifests would differ.
                file.write(gzip.compress(json_lines(piece), mtime=0))
                offsets.append(file.tell())
        write_whole(_offsets_file(path), json.dumps(offsets).encode())
