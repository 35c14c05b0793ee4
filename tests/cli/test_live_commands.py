"""record and demo with the real nodes, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.cli import main
from audio_interaction_ros.cli.domain import RosDomain
from tests.alarm_sounds import hi_lo
from tests.audio.test_file_reader import without_length

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('audio_interaction_ros.msg', reason='the messages are not built')
pytestmark = pytest.mark.system

SOUND = np.random.default_rng(5).normal(0, 0.1, 6 * 16_000).astype(np.float32)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """A domain of its own, on this machine only."""
    with RosDomain() as domain:
        yield {'AMENT_PREFIX_PATH': sys.prefix, **os.environ, 'ROS_DOMAIN_ID': str(domain.number)}


@pytest.fixture
def scene(tmp_path) -> Path:
    """Six seconds of noise that ought to be answered, and a description that says so."""
    soundfile.write(tmp_path / 'scene.flac', SOUND, 16_000)
    event = {'onset_s': 0.0, 'end_s': 6.0, 'category': 'noise', 'hazard': True}
    (tmp_path / 'scene.json').write_text(json.dumps({'events': [event]}))
    return tmp_path / 'scene.flac'


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def node_processes(domain: str) -> list[str]:
    """Command lines of node processes in this domain."""
    found = []
    for process in Path('/proc').glob('[0-9]*'):
        try:
            command = (process / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
            ours = f'ROS_DOMAIN_ID={domain}\0'.encode() in (process / 'environ').read_bytes()
        except OSError:
            continue
        if ours and 'audio_interaction_ros.nodes.' in command:
            found.append(command)
    return found


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_recording_holds_what_capture_published(tmp_path, environment, scene, storage):
    capture = start(environment, 'audio_interaction_ros.nodes.audio_capture', '--ros-args', '-p', f'file:={scene}')
    try:
        bag = tmp_path / 'bag'
        command = ('record', '--out', str(bag), '--storage', storage, '--duration', '3')
        recorder = start(environment, 'audio_interaction_ros.cli', *command)
        out, err = recorder.communicate()
    finally:
        capture.send_signal(signal.SIGINT)
        capture.communicate()
    assert recorder.returncode == 0, err
    assert f"writing sound from /audio_stamped to '{bag}'" in out
    summary = json.loads(out.splitlines()[-1])
    with AudioBagReader(bag) as reader:
        messages = list(reader.read())
    assert len(messages) == summary['messages']
    heard = np.concatenate([message.pcm.decode(message.data)[:, 0] for message in messages])
    assert len(heard) > 2 * 16_000
    np.testing.assert_allclose(heard, SOUND[: len(heard)], atol=2 / 32_768)


def test_a_strict_demo_ends_with_a_score_that_is_its_exit_status(environment, scene, tiny_checkpoint):
    """The second hazard comes after the end of the sound, so it is missed for certain."""
    events = json.loads(scene.with_suffix('.json').read_text())['events']
    events.append({'onset_s': 20.0, 'end_s': 25.0, 'category': 'siren', 'hazard': True})
    scene.with_suffix('.json').write_text(json.dumps({'events': events}))
    command = ('demo', '--scene', str(scene), '--checkpoint', str(tiny_checkpoint), '--strict')
    demo = start(environment, 'audio_interaction_ros.cli', *command)
    out, err = demo.communicate()
    report = json.loads(out.splitlines()[-1])
    assert report['chunks'] == 15, err
    assert report['chunks_lost'] == 0
    assert (report['hazards'], report['passed']) == (2, False)
    assert 'siren' in report['missed']
    assert report['decision_latency_ms']['max'] > 0
    assert out.splitlines()[-2].startswith('result: not passed')
    assert demo.returncode == 1
    assert node_processes(environment['ROS_DOMAIN_ID']) == []


def test_the_demo_counts_an_alarm_as_heard_by_its_signature_and_exits_well(tmp_path, environment, tiny_checkpoint):
    """The random checkpoint says nothing about it that could be read."""
    soundfile.write(tmp_path / 'alarm.flac', 0.2 * hi_lo(8.0), 16_000)
    event = {'onset_s': 0.0, 'end_s': 8.0, 'category': 'siren', 'hazard': True}
    (tmp_path / 'alarm.json').write_text(json.dumps({'events': [event]}))
    command = ('demo', '--scene', str(tmp_path / 'alarm.flac'), '--checkpoint', str(tiny_checkpoint))
    demo = start(environment, 'audio_interaction_ros.cli', *command)
    out, err = demo.communicate()
    report = json.loads(out.splitlines()[-1])
    assert (report['heard'], report['heard_by_signature']) == (1, 1), out + err
    assert report['each_hazard'][0]['alert'] == 'siren'
    assert demo.returncode == 0, err
    assert node_processes(environment['ROS_DOMAIN_ID']) == []


def test_a_demo_in_which_no_chunk_arrived_has_not_run(tmp_path, environment, tiny_checkpoint):
    soundfile.write(tmp_path / 'click.flac', SOUND[:3_000], 16_000)
    command = ('demo', '--scene', str(tmp_path / 'click.flac'), '--checkpoint', str(tiny_checkpoint))
    demo = start(environment, 'audio_interaction_ros.cli', *command)
    _, err = demo.communicate()
    assert demo.returncode == 1
    assert 'not one chunk of sound, 0.4 s, arrived; give a longer file' in err
    assert 'Traceback' not in err


def test_the_demo_shows_why_a_node_would_not_start(tmp_path, environment, scene):
    (tmp_path / 'empty').mkdir()
    demo = start(
        environment, 'audio_interaction_ros.cli', 'demo', '--scene', str(scene), '--checkpoint', str(tmp_path / 'empty')
    )
    _, err = demo.communicate()
    assert demo.returncode == 1
    assert 'config.json is missing' in err
    assert 'Traceback' not in err
    assert node_processes(environment['ROS_DOMAIN_ID']) == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(environment, scene, tiny_checkpoint, number):
    demo = start(
        environment, 'audio_interaction_ros.cli', 'demo', '--scene', str(scene), '--checkpoint', str(tiny_checkpoint)
    )
    deadline = time.monotonic() + 120
    while len(node_processes(environment['ROS_DOMAIN_ID'])) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    demo.send_signal(number)
    _, err = demo.communicate()
    assert demo.returncode == 130, err
    assert 'Traceback' not in err
    assert node_processes(environment['ROS_DOMAIN_ID']) == []


def test_a_demo_ended_in_the_middle_of_its_scene_says_what_was_heard_up_to_then(environment, scene, tiny_checkpoint):
    """Its first lines say how to listen along."""
    demo = start(
        environment, 'audio_interaction_ros.cli', 'demo', '--scene', str(scene), '--checkpoint', str(tiny_checkpoint)
    )
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if ' dBFS ' in line:
            break
    demo.send_signal(signal.SIGINT)
    rest, err = demo.communicate()
    assert demo.returncode == 130, err
    assert 'result: interrupted: ' in rest.splitlines()[-1]
    (listen_along,) = [line for line in shown if line.startswith('listen along: ')]
    assert f'ROS_DOMAIN_ID={environment["ROS_DOMAIN_ID"]} ROS_AUTOMATIC_DISCOVERY_RANGE=' in listen_along
    assert listen_along.endswith(' examples/subscriber.py\n')
    assert node_processes(environment['ROS_DOMAIN_ID']) == []


@pytest.mark.cures('or give its --namespace')
def test_levels_are_shown_live_with_advice_and_summed_up(tmp_path, environment):
    soundfile.write(tmp_path / 'opposite.wav', np.stack([SOUND, -SOUND], 1), 16_000)
    given = ('--ros-args', '-p', f'file:={tmp_path / "opposite.wav"}', '-r', '__ns:=/robot1')
    capture = start(environment, 'audio_interaction_ros.nodes.audio_capture', *given)
    try:
        levels = start(environment, 'audio_interaction_ros.cli', 'levels', '--duration', '3', '--namespace', 'robot1')
        out, err = levels.communicate()
    finally:
        capture.send_signal(signal.SIGINT)
        capture.communicate()
    assert levels.returncode == 0, err
    *lines, summary = out.splitlines()
    assert any('dBFS' in line and 'the 2 channels cancel' in line for line in lines)
    measured = json.loads(summary)
    assert measured['faults'] == ['channels_cancel']
    assert measured['channels_dbfs'] == pytest.approx(-20.0, abs=0.5)


def test_a_scene_that_cannot_be_played_is_said_before_anything_starts(tmp_path, capsys):
    (tmp_path / 'notes.txt').write_text('no sound')
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 16_000)
    soundfile.write(tmp_path / 'streamed.flac', noise, 16_000)
    (tmp_path / 'streamed.flac').write_bytes(without_length(bytearray((tmp_path / 'streamed.flac').read_bytes())))
    for scene, sentence in (
        ('none.wav', 'is not there; check the path'),
        ('notes.txt', 'give a WAV or FLAC file'),
        ('streamed.flac', 'does not say how long it is; write it again with a tool that does'),
    ):
        assert main(['demo', '--scene', str(tmp_path / scene)]) == 1
        assert sentence in capsys.readouterr().err
