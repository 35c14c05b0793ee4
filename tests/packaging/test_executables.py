"""The programs in lib/, which `ros2 run` and launch files start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CMAKE = (Path(__file__).parents[2] / 'CMakeLists.txt').read_text()
(TEMPLATE,) = re.findall(r'CONTENT\n"(#!@Python3_EXECUTABLE@.*?)"\)', CMAKE, re.DOTALL)

CTRL_C = 'import signal\nsignal.raise_signal(signal.SIGINT)\n'


@pytest.mark.parametrize(
    ('module', 'status', 'said'),
    [
        (f'{CTRL_C}main = None', -signal.SIGINT, ''),
        ('main = lambda: print("at work") or 3', 3, 'at work\n'),
        ('def main():\n    try:\n        signal.raise_signal(signal.SIGINT)\n    except KeyboardInterrupt:\n'
         '        return 130\nimport signal', 130, ''),
    ],
    ids=['while it loads', 'never', 'at work'],
)  # fmt: skip
def test_ctrl_c_while_a_program_loads_ends_it_without_a_word_and_later_it_is_the_programs_own(
    tmp_path, module, status, said
):
    (tmp_path / 'loaded.py').write_text(module)
    program = tmp_path / 'program'
    program.write_text(TEMPLATE.replace('@Python3_EXECUTABLE@', sys.executable).replace('@module@', 'loaded'))
    program.chmod(0o755)
    done = subprocess.run(
        [program],
        env=os.environ | {'PYTHONPATH': str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as a terminal, not a background job, does
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, said, '')
