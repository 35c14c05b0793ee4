"""A checkpoint that responds to everything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def talkative_checkpoint(tmp_path, tiny_checkpoint) -> Path:
    """Responds to every chunk, where the tiny one may never do."""
    copy = shutil.copytree(tiny_checkpoint, tmp_path / 'talkative')
    config = json.loads((copy / 'config.json').read_text())
    config['streaming']['response_threshold'] = 1e-9
    (copy / 'config.json').write_text(json.dumps(config))
    return copy
