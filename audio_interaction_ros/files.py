"""Files that are written whole or not at all, so that no crash leaves half of one under its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a new file beside `path` that takes its place when the block ends well, and is removed when it raises.

    `mode` is who may read and write it, before the process's umask. Raises OSError.
    """
    unfinished = path.with_name(f'{path.name}.part')
    unfinished.unlink(missing_ok=True)  # a crash left it, with a mode of its own
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
    try:
        with os.fdopen(descriptor, 'wb') as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
