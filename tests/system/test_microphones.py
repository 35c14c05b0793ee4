"""The microphone asked for, and no other: several of them, through PulseAudio's null sinks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from audio_interaction_ros.cli.devices import how
from audio_interaction_ros.cli.domain import RosDomain
from audio_interaction_ros.nodes import qos
from tests.system.pulse import Microphones
from tests.system.ros import START_TIMEOUT_S, Ros

pytestmark = pytest.mark.system
RATE = 16_000


@contextmanager
def playing(folder, environment, sink, samples):
    """These samples, again and again, into the sink of a microphone."""
    soundfile.write(folder / f'{sink}.wav', samples, RATE, subtype='PCM_16')
    script = f'while paplay -d {sink} {folder / f"{sink}.wav"}; do :; done'
    player = subprocess.Popen(['sh', '-c', script], env={**os.environ, **environment}, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(player.pid, 9)
        player.wait()


def tone(frequency_hz, seconds=30.0):
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * RATE)) / RATE)


def frequency_of(message):
    """The loudest frequency of a message of mono sound, in Hz; 0 for silence."""
    samples = np.frombuffer(message.audio.data, '<i2').astype(float)
    return int(np.abs(np.fft.rfft(samples)).argmax()) * RATE // len(samples) if samples.any() else 0


def status_of(arrays):
    """The newest status of audio_capture with its values; an empty one while none came."""
    for array in reversed(arrays):
        for status in array.status:
            if status.name == '/audio_capture: status':
                return status, {pair.key: pair.value for pair in status.values}
    return DiagnosticStatus(), {}


def devices_of(environment):
    """What `audio-interaction devices --json` prints, by name."""
    command = [sys.executable, '-m', 'audio_interaction_ros.cli', 'devices', '--json']
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    return {row['name']: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.cures('is not there; plug it in')
def test_a_microphone_of_an_index_comes_back_after_unplugging_and_no_other_is_heard(tmp_path, null_sink):
    microphones = Microphones(null_sink, 'usb_front', 'usb_back')
    microphones.make_default('usb_back')
    index = devices_of(null_sink)['usb_front']['index']
    with Ros(tmp_path, null_sink) as ros, playing(tmp_path, null_sink, 'usb_back', tone(2_000)):
        process = ros.start_active('audio_capture', device=index)
        assert f"device {index} is 'usb_front' (ALSA) now" in process.log
        heard = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        told = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
        ros.until(lambda: len(heard) > 10, process)
        assert "opened microphone 'usb_front' (ALSA), device" in process.log
        ros.until(lambda: status_of(told)[1].get('sound_since'), process)
        values = status_of(told)[1]
        assert (values['device'], values['host_api'], values['device_index']) == ('usb_front', 'ALSA', str(index))
        assert values['server_source'] == 'usb_front.monitor'
        assert (values['sample_rate'], values['channels'], values['channels_opened']) == ('16000', '1', '1')
        assert 0 < float(values['latency_ms']) < 1_000

        microphones.unplug('usb_front')  # the server moves the stream to the other one, which has its index now too
        assert devices_of(null_sink)['usb_back']['index'] == index
        ros.until(lambda: 'is not there; plug it in' in status_of(told)[0].message, process)
        assert status_of(told)[0].level == DiagnosticStatus.ERROR
        assert status_of(told)[1]['sound_since'] == ''
        ros.spin(3.0)
        count = len(heard)
        assert max(map(frequency_of, heard)) == 0

        microphones.plug_in('usb_front')
        with playing(tmp_path, null_sink, 'usb_front', tone(1_000)):
            ros.until(lambda: 1_000 in map(frequency_of, heard[count:]), process)
        assert 2_000 not in map(frequency_of, heard)
        ros.until(lambda: "sound comes from microphone 'usb_front' (ALSA) again, after" in process.log, process)
        ros.until(lambda: status_of(told)[1].get('sound_since'), process)
        assert status_of(told)[1]['device_index'] != str(index)
        assert process.end() == 0
        assert process.log.count('is not there') == 1  # and not at every try
        assert 'Traceback' not in process.log


def test_the_systems_default_follows_the_sound_server_and_says_so(tmp_path, null_sink):
    microphones = Microphones(null_sink, 'usb_front', 'usb_back')
    microphones.make_default('usb_front')
    with Ros(tmp_path, null_sink) as ros, playing(tmp_path, null_sink, 'usb_back', tone(2_000)):
        process = ros.start_active('audio_capture')
        heard = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        ros.until(lambda: len(heard) > 10, process)
        assert "opened microphone 'default' (ALSA)" in process.log
        assert "'usb_front.monitor' of the sound server" in process.log
        microphones.make_default('usb_back')
        ros.until(lambda: 2_000 in map(frequency_of, heard), process)
        moved = "moved 'default' (ALSA) from 'usb_front.monitor' to 'usb_back.monitor'"
        ros.until(lambda: moved in process.log, process)  # the server may tell of it after the first sound
        assert process.end() == 0


def test_a_part_of_two_names_is_refused_with_both_and_a_whole_name_is_taken(tmp_path, null_sink):
    Microphones(null_sink, 'sysmike', 'usb_front', 'usb_back', 'mike')
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start('audio_capture', device='usb')
        assert process.wait() == 1
        assert "2 microphones match 'usb'" in process.log
        assert "give one of 'usb_front', 'usb_back'" in process.log
        process = ros.start_active('audio_capture', device='mike')
        assert "opened microphone 'mike' (ALSA)" in process.log
        assert process.end() == 0


@pytest.mark.cures('alone (channels of audio_capture, --channels of listen and ask), or mend the cable')
@pytest.mark.parametrize(
    ('channels', 'published', 'cancels', 'said_here'),
    [('mix', 1, True, True), ('"0,1"', 2, True, False), ('1', 1, False, False), ('', 1, False, False)],
)
def test_channels_are_chosen_or_averaged_and_averaging_that_cancels_is_said_once(
    tmp_path, null_sink, channels, published, cancels, said_here
):
    """Of a microphone with two channels of which one is the opposite of the other."""
    Microphones(null_sink, 'pair', channels=2)
    with (
        Ros(tmp_path, null_sink) as ros,
        playing(tmp_path, null_sink, 'pair', np.stack([tone(1_000), -tone(1_000)], 1)),
    ):
        given = {'channels': channels} if channels else {}
        process = ros.start_active('audio_capture', device='pair', **given)
        heard = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        infos = ros.hear('audio_info', AudioInfo, qos.LATCHED)
        told = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)

        def is_told():
            status, values = status_of(told)
            return (status.level != DiagnosticStatus.OK) == said_here and 'average_loss_db' in values

        ros.until(lambda: infos and len(heard) > 100, process)
        assert infos[0].channels == published
        loudest = max(np.abs(np.frombuffer(message.audio.data, '<i2')).max() for message in heard)
        assert (loudest > 10_000) == (channels in ('"0,1"', '1'))
        said = 'the 2 channels cancel when they are averaged: -9 dBFS before'
        ros.until(lambda: not cancels or ((not said_here or said in process.log) and is_told()), process)
        assert process.log.count(said) == int(said_here)  # chunk_encoder says it of what is not averaged here
        assert ('take channel 0 alone' in process.log) == said_here
        ros.until(lambda: status_of(told)[1], process)
        values = status_of(told)[1]
        assert (float(values.get('average_loss_db', 0.0)) > 40.0) == cancels
        assert values['channels'] == str(published)
        assert status_of(told)[0].level == (DiagnosticStatus.WARN if said_here else DiagnosticStatus.OK)
        assert process.end() == 0


def test_devices_lists_each_with_the_words_that_open_it(tmp_path, null_sink):
    Microphones(null_sink, 'usb_front', 'usb_back')
    rows = devices_of(null_sink)
    assert {'usb_front', 'usb_back', 'pulse', 'default'} <= set(rows)
    assert [name for name, row in rows.items() if row['default']] == ['default']
    assert rows['usb_back']['opened'] == {'sample_rate': RATE, 'channels': 1}
    assert rows['usb_back']['usable'] and rows['usb_back']['why_not'] == ''
    command = [sys.executable, '-m', 'audio_interaction_ros.cli', 'devices']
    shown = subprocess.run(command, env={**os.environ, **null_sink}, capture_output=True, text=True).stdout
    assert all(f'  {name}  (ALSA)' in shown for name in rows)
    assert all(line in shown for line in how('default'))
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start_active('audio_capture', device=rows['usb_back']['word'])
        assert "opened microphone 'usb_back' (ALSA)" in process.log
        assert process.end() == 0


@contextmanager
def demo(environment, *arguments):
    with RosDomain() as domain:
        process = subprocess.Popen(
            [sys.executable, '-m', 'audio_interaction_ros.cli', 'demo', *arguments],
            env={**os.environ, **environment, 'ROS_DOMAIN_ID': str(domain.number), 'PYTHONUNBUFFERED': '1'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)


@pytest.mark.cures('delivers no sound')
def test_the_demo_says_ready_when_sound_comes_and_not_before(null_sink, tiny_checkpoint):
    microphones = Microphones(null_sink, 'usb_front')
    microphones.suspend('usb_front', True)
    with demo(null_sink, '--mic', 'front', '--checkpoint', str(tiny_checkpoint)) as process:
        before = []
        for line in process.stdout:
            if "microphone 'usb_front' (ALSA) delivers no sound" in line:
                break
            before.append(line)
        else:
            pytest.fail(f'{before} {process.stderr.read()}')
        assert any("opening microphone 'usb_front' (ALSA)" in line for line in before)
        assert not any('ready' in line or ' dBFS ' in line for line in before)
        microphones.suspend('usb_front', False)
        for line in process.stdout:
            assert ' dBFS ' not in line
            if 'ready after' in line:
                break
        assert "listening to microphone 'usb_front' (ALSA), 16000 Hz, 1 channel, latency" in line
        assert ' dBFS ' in next(process.stdout)


def test_the_demo_refuses_a_microphone_before_it_starts_anything(null_sink, tiny_checkpoint):
    Microphones(null_sink, 'usb_front', 'usb_back')
    with demo(null_sink, '--mic', 'usb', '--checkpoint', str(tiny_checkpoint)) as process:
        out, err = process.communicate(timeout=START_TIMEOUT_S)
        assert process.returncode == 1
        assert out == ''
        assert "2 microphones match 'usb'" in err
        assert 'Traceback' not in err
