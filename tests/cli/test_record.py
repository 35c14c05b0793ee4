"""record with a real capture: its sound survives every end, it finds namespaces, and it shows how it stands."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.cli.domain import RosDomain

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('audio_interaction_ros.msg', reason='the messages are not built')
pytestmark = pytest.mark.system

SOUND = np.random.default_rng(5).normal(0, 0.1, 20 * 16_000).astype(np.float32)  # -20 dBFS


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A domain of its own, on this machine only."""
    with RosDomain() as domain:
        yield {'AMENT_PREFIX_PATH': sys.prefix, **os.environ, 'ROS_DOMAIN_ID': str(domain.number)}


@contextmanager
def capture(environment: dict[str, str], folder: Path, *ros_arguments: str) -> Iterator[None]:
    soundfile.write(folder / 'scene.wav', SOUND, 16_000)
    command = [sys.executable, '-m', 'audio_interaction_ros.nodes.audio_capture', '--ros-args', *ros_arguments]
    process = subprocess.Popen(
        [*command, '-p', f'file:={folder / "scene.wav"}'], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def record(environment: dict[str, str], *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, '-m', 'audio_interaction_ros.cli', 'record', *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, preexec_fn=as_a_terminal_starts_it
    )


def as_a_terminal_starts_it() -> None:
    """Whatever the tests were started by: nohup's and a background job's children ignore some signals."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def seconds_in(bag: Path) -> tuple[float, str]:
    """How much sound there is, of what topic."""
    with AudioBagReader(bag) as reader:
        data = [message.pcm.decode(message.data) for message in reader.read()]
        return sum(map(len, data)) / 16_000, reader.topic


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_sound_is_there_however_the_recording_ended(tmp_path, environment, number):
    with capture(environment, tmp_path):
        recorder = record(environment, '--out', str(tmp_path / 'night'))
        assert any('writing sound' in line for line in recorder.stdout)
        time.sleep(5)
        if number == signal.SIGHUP:
            recorder.stdout.close()  # as the terminal is
        recorder.send_signal(number)
        recorder.wait()
    err = recorder.stderr.read()
    seconds, _ = seconds_in(tmp_path / 'night')
    if number == signal.SIGKILL:
        assert seconds > 1.5
    else:
        assert recorder.returncode == 0, err
        assert 'Exception ignored' not in err
        assert seconds > 3.5


@pytest.mark.cures('but there is sound on')
def test_sound_in_a_namespace_is_pointed_out_and_recorded(tmp_path, environment):
    with capture(environment, tmp_path, '-r', '__ns:=/robot1'):
        recorder = record(environment, '--out', str(tmp_path / 'none'))
        hint = next(line for line in recorder.stdout if 'still waiting' in line)
        recorder.send_signal(signal.SIGINT)
        _, err = recorder.communicate()
        assert recorder.returncode == 1
        for said in (hint, err):
            assert 'there is sound on /robot1/audio_stamped; record it with --namespace robot1' in said
        recorder = record(environment, '--out', str(tmp_path / 'bag'), '--namespace', 'robot1', '--duration', '2')
        _, err = recorder.communicate()
        assert recorder.returncode == 0, err
    seconds, topic = seconds_in(tmp_path / 'bag')
    assert (topic, seconds > 1.0) == ('/robot1/audio_stamped', True)


def test_topics_of_other_names_are_recorded_with_remappings(tmp_path, environment):
    remapped = ('-r', 'audio_stamped:=/head/sound', '-r', 'audio_info:=/head/format')
    with capture(environment, tmp_path, *remapped):
        recorder = record(environment, '--out', str(tmp_path / 'bag'), '--duration', '2', '--ros-args', *remapped)
        _, err = recorder.communicate()
        assert recorder.returncode == 0, err
    seconds, topic = seconds_in(tmp_path / 'bag')
    assert (topic, seconds > 1.0) == ('/head/sound', True)


def test_a_terminal_shows_level_and_size_while_a_split_bag_is_recorded(tmp_path, environment):
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                shown.extend(os.read(ours, 4_096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with capture(environment, tmp_path):
        split = ('--max-bag-duration', '2', '--duration', '5')
        recorder = record(environment, '--out', str(tmp_path / 'bag'), *split, stdout=theirs)
        os.close(theirs)
        _, err = recorder.communicate()
    reader.join(10)
    os.close(ours)
    assert recorder.returncode == 0, err
    text = shown.decode()
    assert re.search(r'0:00:0[2-5]  +-(19|20)\.\d dBFS, peak +-\d+\.\d  0\.\d MB in [12] files?  .* GB free', text), (
        text
    )
    files = sorted(file.name for file in (tmp_path / 'bag').glob('*.mcap'))
    assert files == ['bag_0.mcap', 'bag_1.mcap', 'bag_2.mcap']
    assert json.loads(text.splitlines()[-1])['files'] == 3
    whole, _ = seconds_in(tmp_path / 'bag')
    assert sum(seconds_in(tmp_path / 'bag' / file)[0] for file in files) == pytest.approx(whole)


def test_a_namespace_that_ros_does_not_take_ends_in_a_sentence(tmp_path, environment):
    recorder = record(environment, '--out', str(tmp_path / 'bag'), '--namespace', 'my robot')
    _, err = recorder.communicate()
    assert recorder.returncode == 1
    assert 'a namespace as robot1' in err
    assert 'Traceback' not in err
