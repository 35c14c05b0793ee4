"""Fixtures of the tests that start real nodes. Without ROS they are skipped, with that reason."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('audio_interaction_ros.msg', reason='the messages of this package are not built')

from tests.system.pulse import pulse_null_sink
from tests.system.ros import Ros


@pytest.fixture
def ros(tmp_path):
    with Ros(tmp_path) as ros:
        yield ros


@pytest.fixture(scope='module')
def shared_ros(tmp_path_factory):
    """For a node that several tests of a module talk to."""
    with Ros(tmp_path_factory.mktemp('logs')) as ros:
        yield ros


@pytest.fixture
def null_sink(tmp_path):
    """The environment of a PulseAudio of our own, whose null sink's monitor is the default microphone."""
    yield from _null_sink(tmp_path)


@pytest.fixture
def ros_at_sink(tmp_path, null_sink):
    with Ros(tmp_path, null_sink) as ros:
        yield ros


@pytest.fixture(scope='module')
def shared_null_sink(tmp_path_factory):
    yield from _null_sink(tmp_path_factory.mktemp('pulse'))


def _null_sink(folder):
    if not all(shutil.which(program) for program in ('pulseaudio', 'paplay', 'pactl')):
        pytest.skip('PulseAudio is not installed')
    with pulse_null_sink(folder) as environment:
        yield environment
