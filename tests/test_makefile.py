"""`make test`, which is all that continuous integration runs, needs nothing that it does not install."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def made(*arguments: str, **environment: str) -> str:
    """What make prints with these arguments, in this environment beside ours."""
    # As from a terminal: these tests are themselves run by make, which leaves word of that to its children.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(('MAKE', 'MFLAGS'))}
    command = ['make', '--no-print-directory', *arguments]
    return subprocess.run(command, cwd=ROOT, env=alone | environment, capture_output=True, text=True, check=True).stdout


def test_continuous_integration_runs_make_test_and_nothing_else():
    *_, last = (ROOT / '.ci' / 'run').read_text().splitlines()
    assert last == 'exec make test'
    assert os.access(ROOT / '.ci' / 'run', os.X_OK)


def test_make_test_installs_all_that_it_runs_first():
    first, *rest = made('-n', 'test', 'PYTEST_ARGS=').splitlines()
    assert first == 'tools/setup.sh dev'
    programs = {program for line in rest for program in re.findall(r'\.venv/bin/([\w-]+)', line)}
    assert {'ruff', 'mypy', 'python'} <= programs
    assert not [program for program in programs if not (Path(sys.prefix) / 'bin' / program).exists()]
    assert all(line.startswith(('.venv/bin/', 'OMP_NUM_THREADS=1 .venv/bin/')) for line in rest)


def test_what_make_starts_keeps_the_byte_code_of_what_it_imports_also_where_the_environment_forbids_it():
    asked = 'asked: ; @.venv/bin/python -c "import sys; print(sys.dont_write_bytecode)"'
    assert made('--eval', asked, 'asked', PYTHONDONTWRITEBYTECODE='1') == 'False\n'
