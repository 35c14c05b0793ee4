"""A command that refuses goes on when it is called again as its sentence says."""

from __future__ import annotations

import json
import shlex
import sys

import numpy as np
import pytest
import soundfile

from audio_interaction_ros import resources
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.audio.level_watch import LevelWatch
from audio_interaction_ros.cli import bench, demo, domain, levels, main, processes
from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.cli.scoring import DemoScene
from tests.bag_of_sound import START_NS, s16_messages, write_bag

PCM = PcmFormat(16_000, 1, 'S16LE')
SOUND = np.random.default_rng(3).normal(0, 0.1, 3 * 6_400).astype(np.float32)


def said(capsys, command: str) -> str:
    """What a command that does not run prints as the reason."""
    try:
        assert main(shlex.split(command)) == 1
    except SystemExit as ended:  # argparse
        assert ended.code == 2
    return capsys.readouterr().err


@pytest.mark.cures(
    'the demo needs ROS 2',
    'record needs ROS 2',
    'levels needs ROS 2',
    'give a whole number of bytes',
    'give a number of',
    'give at least 1, 20 and 0',
    'give at least 3',
    'give at least 2 and 1',
    'give more than 0',
)
@pytest.mark.parametrize(
    ('without', 'command', 'sentence', 'cure', 'passes'),
    [
        ('rclpy', 'demo --scene no.wav', 'run `make setup`, or build with colcon', 'demo --scene no.wav', 'no.wav'),
        ('rclpy', 'record --out .', 'run `make setup` or source a ROS 2 setup file', 'record --out .', "'.' exists"),
        ('rclpy', 'levels --namespace ?', 'run `make setup`', 'levels --namespace ?', 'cannot read the arguments'),
        ('', 'record --out . --max-bag-size 1e6', 'number of bytes', 'record --out . --max-bag-size 99', 'exists'),
        ('', 'bench fifo --pairs 0', 'give at least 1, 20 and 0', 'bench fifo --pairs 1 --checkpoint no', "'no'"),
        ('', 'bench speed --repeats 1', 'give at least 3', 'bench speed --repeats 3 --checkpoint no', "'no'"),
        ('', 'bench sessions --periods 1', 'at least 2 and 1', 'bench sessions --periods 2 --checkpoint no', "'no'"),
        ('', 'bench soak --hours 0', 'give more than 0', 'bench soak --hours 1 --checkpoint no', "'no'"),
        ('', 'record --out . --duration 0', 'number of seconds above 0', 'record --out . --duration 0.5', 'exists'),
    ],
)
def test_a_command_that_is_called_as_was_said_passes_what_stopped_it(
    monkeypatch, capsys, without, command, sentence, cure, passes
):
    """And stops at the next thing that is wrong, so that no test runs for longer than that."""
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    with monkeypatch.context() as missing:
        if without:
            missing.setitem(sys.modules, without, None)  # as where it is not installed
        assert sentence in said(capsys, command)
    assert passes in (error := said(capsys, cure))
    assert sentence not in error


@pytest.mark.cures("the demo scene 'demo/scene.flac' is not installed", "'{path}' does not describe a scene")
def test_the_demo_takes_a_recording_of_ones_own_and_a_scene_that_is_corrected(tmp_path, monkeypatch):
    with monkeypatch.context() as missing:
        missing.setattr(demo, 'shared_path', lambda _: None)
        with pytest.raises(CommandError, match='is not installed; give a recording with --scene FILE'):
            demo._scene(None)
        soundfile.write(tmp_path / 'own.wav', SOUND, 16_000)
        assert demo._scene(tmp_path / 'own.wav').chunks == 3
    events = {'events': [{'category': 'siren', 'onset_s': 0.0, 'end_s': 1.0, 'hazard': True}]}
    (tmp_path / 'own.json').write_text(json.dumps(events).replace('0.0', '"early"'))
    with pytest.raises(CommandError, match='not describe a scene; correct it, or play a scene without such a file'):
        demo._scene(tmp_path / 'own.wav')
    (tmp_path / 'own.json').write_text(json.dumps(events))
    assert demo._scene(tmp_path / 'own.wav').scene == DemoScene.model_validate(events)
    (tmp_path / 'own.json').unlink()
    assert demo._scene(tmp_path / 'own.wav').scene is None


@pytest.mark.cures('the demo scene is not installed; give a recording with --audio')
def test_bench_takes_a_recording_of_ones_own(tmp_path, monkeypatch):
    with monkeypatch.context() as missing:
        missing.setattr(resources, 'shared_path', lambda _: None)
        with pytest.raises(CommandError, match='is not installed; give a recording with --audio'):
            bench._audio(None)
        soundfile.write(tmp_path / 'own.wav', SOUND, 16_000)
        assert len(bench._audio(str(tmp_path / 'own.wav'))) == len(SOUND)


@pytest.mark.cures('quiet so far: make a loud sound')
def test_after_a_loud_sound_or_with_more_gain_the_level_is_good():
    def advised(loudness):
        watch = LevelWatch()
        watch.told(SOUND[:, None] * 10 * loudness, PCM)
        return levels._advice(watch.levels)

    assert advised(1e-3).startswith('quiet so far: make a loud sound; if it stays below -45 dBFS, raise the gain')
    assert advised(0.1) == 'good'


@pytest.mark.cures(
    'give a directory you may write to', 'messages left out); {cure}, and record again', 'and mend what else is said'
)
def test_a_bag_is_replayed_when_it_is_recorded_again_as_was_said(tmp_path, capsys, tiny_checkpoint):
    messages = s16_messages(SOUND, 16_000, 640)
    (tmp_path / 'file').touch()
    for name, wrong, out, sentence in (
        ('whole', messages, 'file', "file' cannot be written"),
        ('empty', [(START_NS, b'')], 'out', '(0 messages left out); let the driver send more than empty messages, and'),
        ('odd', [(START_NS, b'odd')], 'out', '(1 messages left out); mend the driver as is said of them, and record'),
        ('few', messages[:10] + messages[-3:], 'out', 'what is missing was lost before it came into the bag'),
    ):
        bag = write_bag(tmp_path / name, wrong, PCM)
        command = f'replay {bag} --checkpoint {tiny_checkpoint} --out {tmp_path}/'
        assert sentence in said(capsys, command + out)
    command = f'replay {tmp_path / "whole"} --checkpoint {tiny_checkpoint} --out {tmp_path}/out'
    assert main(shlex.split(command)) == 0


@pytest.mark.cures('end what holds a lock on a file')
def test_a_domain_that_is_given_needs_no_free_one(monkeypatch):
    monkeypatch.setattr(domain, '_lock', lambda _: None)  # as where each is held
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)
    with pytest.raises(CommandError, match='or set ROS_DOMAIN_ID'):
        processes.ros_environment()
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    assert processes.ros_environment()['ROS_DOMAIN_ID'] == '7'
