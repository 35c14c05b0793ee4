"""Files that are there as a whole or not at all, and JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    temporary.write_bytes(data)
    temporary.replace(path)


def json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as JSON lines: one object a line, in UTF-8."""
    return ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows).encode()
