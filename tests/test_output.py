"""Commands end quietly when nobody reads their output any more."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audio_interaction_ros.output import NOBODY_READS, OutputError, print_line, quietly


def ends(error: BaseException) -> int:
    def command() -> int:
        raise error

    return quietly(command)


def test_a_closed_pipe_or_terminal_is_the_end_and_nothing_else_is(monkeypatch):
    monkeypatch.setattr('audio_interaction_ros.output.discard_output', lambda: None)
    assert ends(BrokenPipeError()) == NOBODY_READS
    assert ends(OSError(errno.EIO, 'Input/output error')) == NOBODY_READS
    for error in (OSError(errno.EIO, 'Input/output error', 'a.wav'), OSError(errno.ENOSPC, 'full'), ValueError()):
        with pytest.raises(type(error)):
            ends(error)
    assert quietly(lambda: 3) == 3


@pytest.mark.parametrize('module', ['training', 'audio_interaction_ros.cli'])
def test_help_into_a_pipe_that_closes_is_quiet(module):
    with subprocess.Popen(
        [sys.executable, '-m', module, '--help'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {'PYTHONUNBUFFERED': ''},  # argparse itself overlooks a pipe that is closed when it writes
    ) as process:
        assert process.stdout
        process.stdout.close()
        _, told = process.communicate()
    assert (process.returncode, told) == (NOBODY_READS, '')


@pytest.mark.cures('make room, or send it somewhere else')
def test_what_a_full_disk_does_not_take_is_sent_somewhere_else(tmp_path, monkeypatch):
    with Path('/dev/full').open('w') as full, monkeypatch.context() as there:
        there.setattr(sys, 'stdout', full)
        with pytest.raises(OutputError, match=r'No space left on device.*; make room, or send it somewhere else'):
            print_line('a line')
    with (tmp_path / 'elsewhere').open('w') as elsewhere, monkeypatch.context() as there:
        there.setattr(sys, 'stdout', elsewhere)
        print_line('a line')
    assert (tmp_path / 'elsewhere').read_text() == 'a line\n'
