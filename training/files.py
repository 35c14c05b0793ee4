"""Files that are there as a whole or not at all, and JSON lines.

The runtime's `files.replacing` is for one process; here many workers may be at the same folder, and libraries that
write want a path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to; the file takes its place at `path` when the block ends well, and is removed otherwise.

    What a killed process leaves is named *.tmp. Makes the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Raise OSError unless a file, and the folders above it, can be made at `path`. Leaves everything as it was."""
    missing = [folder for folder in path.parents if not folder.exists()]
    new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open('ab').close()
        if new:
            path.unlink()
    finally:
        for folder in missing:
            if folder.exists():
                folder.rmdir()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(data)


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file that is there as a whole or not at all."""
    from safetensors.torch import save_file  # PyTorch takes seconds, and most who write files need none

    with whole(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)


def json_lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as JSON lines: one object a line, in UTF-8."""
    return ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows).encode()
