"""For the tests of what an ordinary user may not do, which would find nothing as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65_534


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """Be a user whom permissions stop, and have a folder of one's own."""
    usual = os.geteuid()
    folder = Path(tempfile.mkdtemp())
    try:
        if usual == 0:
            os.chown(folder, _NOBODY, -1)
            os.seteuid(_NOBODY)
        yield folder
    finally:
        os.seteuid(usual)
        shutil.rmtree(folder)
