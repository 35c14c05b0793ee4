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
