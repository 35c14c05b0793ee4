"""audio_capture as a process: a file in real time, and real sound through PulseAudio's null sink."""

from __future__ import annotations

import itertools
import os
import subprocess
import time

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioDataStamped, AudioInfo
from std_msgs.msg import Header

from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from tests.system.pulse import SINK
from tests.system.ros import Ros, Starvation

pytestmark = pytest.mark.system
RATE = 16_000


def samples_of(messages):
    return np.concatenate([np.frombuffer(message.audio.data, '<i2') for message in messages])


def test_a_file_is_played_whole_and_in_real_time(ros, tmp_path):
    sound = (np.random.default_rng(0).integers(-9_000, 9_000, (int(1.5 * 44_100), 2))).astype(np.int16)
    soundfile.write(tmp_path / 'sound.flac', sound, 44_100)
    process = ros.start('audio_capture', file=tmp_path / 'sound.flac')
    ros.wait_state('audio_capture', 'active', process)
    ros.spin(0.5)
    assert 'playing' not in process.log  # it waits for a listener, so nothing is missed
    starved = Starvation(process)
    ends = ros.hear('audio_end', Header, qos.LATCHED)
    infos = ros.hear('audio_info', AudioInfo, qos.LATCHED)
    messages = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
    ros.until(lambda: ends and infos and sum(len(each.audio.data) for each in messages) >= sound.nbytes, process)
    np.testing.assert_array_equal(samples_of(messages).reshape(-1, 2), sound)
    (info,) = infos
    assert (info.sample_rate, info.channels, info.sample_format, info.coding_format) == (44_100, 2, 'S16LE', 'wave')
    stamps = [nanoseconds_of(message.header.stamp) for message in messages]
    assert all(abs(later - earlier - 40_000_000) < 1_000 for earlier, later in itertools.pairwise(stamps))
    assert -0.5 < (nanoseconds_of(ends[0].stamp) - stamps[0]) / 1e9 - 1.5 < 0.5 + starved.seconds
    assert process.alive
    assert process.end() == 0


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'file': '/no/such/file.wav'}, "'/no/such/file.wav' is not there; check the path"),
        ({'device': 'no such microphone'}, "no microphone matches 'no such microphone'; there are:"),
        ({'device': 4321}, "no microphone matches '4321'"),
    ],
)
def test_without_its_source_it_says_so_and_ends(ros, parameters, sentence):
    process = ros.start('audio_capture', **parameters)
    assert process.wait() == 1
    assert sentence in process.log
    assert 'Traceback' not in process.log


def test_real_sound_is_captured_through_pulseaudio(tmp_path, null_sink):
    tone_s = 2.0
    time_s = np.arange(int(tone_s * RATE)) / RATE
    soundfile.write(tmp_path / 'tone.wav', 0.5 * np.sin(2 * np.pi * 1_000 * time_s), RATE, subtype='PCM_16')
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start_active('audio_capture', device='pulse')
        starved = Starvation(process)
        messages = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        infos = ros.hear('audio_info', AudioInfo, qos.LATCHED)
        ros.until(lambda: infos and len(messages) > 10, process)
        player = subprocess.Popen(['paplay', '-d', SINK, str(tmp_path / 'tone.wav')], env={**os.environ, **null_sink})
        ros.until(lambda: player.poll() is not None, 'paplay did not end')
        ended_ns = time.time_ns()
        ros.until(lambda: nanoseconds_of(messages[-1].header.stamp) > ended_ns + 500_000_000, process)
        assert (infos[0].sample_rate, infos[0].channels) == (RATE, 1)
        heard = samples_of(messages).astype(np.float32) / 32_768
        blocks = heard[: len(heard) // 640 * 640].reshape(-1, 640)
        levels = np.sqrt((blocks**2).mean(axis=1))
        loud = blocks[levels > 0.3]
        assert np.abs(np.fft.rfft(loud[5])).argmax() == 40  # 1 kHz in bins of 25 Hz
        played_s = float((heard**2).sum()) / (0.5 * 0.5**2 * RATE)  # also of a player that had to interrupt itself
        stamps = [nanoseconds_of(message.header.stamp) for message in messages]
        steps = np.diff(stamps) / 1e6
        # A machine that stands still loses sound; that is said.
        if 'sound card lost sound' not in process.log and 'captured sound was dropped' not in process.log:
            assert np.all(np.abs(steps - 40.0) < 0.1), f'the stamps jump: {steps.min()} to {steps.max()} ms'
            assert abs(played_s - tone_s) < 0.3
        assert abs(time.time_ns() - stamps[-1]) < 2e9 + starved.seconds * 1e9

        # One switch really stops it: inactive, the device is free and nothing is published.
        assert ros.change_state('audio_capture', 'deactivate')
        off_ns = time.time_ns()
        ros.spin(0.5)
        assert nanoseconds_of(messages[-1].header.stamp) < off_ns  # what was sent before may come late
        count = len(messages)
        listed = ['pactl', 'list', 'short', 'source-outputs']

        def recorded():
            """What the sound server gives to anybody; it learns a little later that nobody wants it any more."""
            return subprocess.run(listed, env={**os.environ, **null_sink}, capture_output=True, text=True).stdout

        ros.until(lambda: not recorded().strip(), 'the device is held')
        assert ros.change_state('audio_capture', 'activate')
        ros.until(lambda: len(messages) > count + 10, process)
        assert process.end() == 0
        assert 'Traceback' not in process.log
