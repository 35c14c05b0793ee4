"""In which order the files of tests are handed out to the workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKS = {
    'a': ['system'],
    'b': ['system'],
    'c': [],
    'd': ['slow'],
    'e': ['slow', 'system'],
    'f': ['slow'],
    'g': ['slow', 'system'],
    'h': [],
    'i': [],
}


def test_slow_files_come_first_and_those_that_start_nodes_take_turns_with_the_others(tmp_path):
    for name, marks in MARKS.items():
        marked = ''.join(f'@pytest.mark.{mark}\n' for mark in marks)
        (tmp_path / f'test_{name}.py').write_text(
            f'import pytest\n\n\n{marked}def test_one(): ...\n\n\ndef test_two(): ...\n'
        )
    collect = ('-m', 'pytest', '--collect-only', '--quiet', '--rootdir', tmp_path, '-p', 'tests.conftest', tmp_path)
    collected = subprocess.check_output([sys.executable, *collect], cwd=ROOT, text=True).split('\n\n')[0]
    files = [line.split('.py::')[0].removeprefix('test_') for line in collected.splitlines()]
    assert ''.join(files[::2]) == ''.join(files[1::2]) == 'edgf' + 'acbhi'
