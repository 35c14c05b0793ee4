"""Fixtures of the tests that run the examples over DDS. Without ROS they are skipped, with that reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('audio_interaction_ros.msg', reason='the messages of this package are not built')

from tests.system.ros import Process, Ros


@pytest.fixture
def ros(tmp_path):
    with Ros(tmp_path) as ros:
        yield ros


INTERRUPTED = """
import runpy, signal, sys
from audio_interaction_ros.msg import Response

def interrupt(message, text):
    given(message, text)
    if text == 'That was all.':
        signal.raise_signal(signal.SIGINT)

given = Response.text.fset
Response.text = Response.text.setter(interrupt)
runpy.run_path({path!r}, run_name='__main__')
"""


@pytest.fixture
def run_interrupted(run_python, tmp_path):
    """Start a Python file to which Ctrl-C comes while rclpy hands over the response 'That was all.'."""

    def run(path: Path) -> Process:
        wrapper = tmp_path / f'interrupted_{path.name}'
        wrapper.write_text(INTERRUPTED.format(path=str(path)))
        return run_python(wrapper)

    return run


@pytest.fixture
def run_python(ros, tmp_path):
    """Start a Python file in the domain of `ros`, as somebody would in another terminal; it is ended with the test."""
    started: list[Process] = []

    def run(path: Path, *arguments: str) -> Process:
        log = tmp_path / f'{path.stem}-{len(started)}.log'
        process = Process([sys.executable, str(path), *arguments], ros.environment, log)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.alive:
            process.end()
