"""The off switch, looked at from outside: no device and no sound within half a second, and no trouble about it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from tests.system.pulse import server_pid, unplug
from tests.system.ros import DEADLINE_S, Ros, Starvation

pytestmark = pytest.mark.system


def unix_sockets(pid):
    """Inodes of a process's Unix sockets: its connections to the sound server. DDS has none."""
    known = {line.split()[6] for line in Path('/proc/net/unix').read_text().splitlines()[1:]}
    links = set()
    for descriptor in Path(f'/proc/{pid}/fd').iterdir():
        try:
            links.add(os.readlink(descriptor))
        except FileNotFoundError:
            continue  # closed meanwhile
    assert not any(link.startswith('/dev/snd') for link in links)
    return {link[8:-1] for link in links if link.startswith('socket:[')} & known


def holds_the_device(process):
    """True while it is connected to the sound server, or shares memory with it."""
    pid = process.popen.pid
    return bool(unix_sockets(pid)) or 'memfd:pulseaudio' in Path(f'/proc/{pid}/maps').read_text()


def switch(ros, on):
    return ros.call(SetBool, 'ai/set_listening', SetBool.Request(data=on))


def test_off_lets_go_of_the_device_within_half_a_second(tmp_path, null_sink):
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start_active('audio_capture', device='pulse')
        states = ros.hear('ai/listening', Bool, qos.LATCHED)
        heard = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        client = ros.node.create_client(SetBool, 'ai/set_listening')
        ros.until(lambda: len(heard) > 10 and client.service_is_ready(), process)
        assert holds_the_device(process)
        ros.until(lambda: [state.data for state in states][-1:] == [True], process)

        closed_s, silent_s = [], []
        for _ in range(3):
            starved = Starvation(process, pids=[server_pid(null_sink)])
            asked_s, asked_ns = time.monotonic(), time.time_ns()
            answer = client.call_async(SetBool.Request(data=False))
            while holds_the_device(process):
                assert time.monotonic() - asked_s < DEADLINE_S, process.log
                ros.spin(0.01)
            starved_s = starved.seconds
            closed_s.append(time.monotonic() - asked_s - starved_s)
            ros.until(answer.done, process)
            assert answer.result().success and 'the microphone is closed' in answer.result().message
            ros.spin(0.7)
            assert not holds_the_device(process)
            # Of the last block, when it was captured.
            silent_s.append((nanoseconds_of(heard[-1].header.stamp) - asked_ns) / 1e9 - starved_s)
            assert ros.node.count_publishers('audio_stamped') == 1  # the node is there, and silent
            ros.until(lambda: not states[-1].data, process)
            late = ros.hear('ai/listening', Bool, qos.LATCHED)
            ros.until(lambda late=late: late, 'the switch is not latched')
            assert not late[0].data

            count = len(heard)
            assert switch(ros, True).success
            ros.until(lambda count=count: len(heard) > count + 5, process)
            assert holds_the_device(process)
            ros.until(lambda: states[-1].data, process)
        # Of three, because the sound server is busy too; it is never long.
        assert min(closed_s) < 0.5 and max(closed_s) < 2.0, closed_s
        assert min(silent_s) < 0.5 and max(silent_s) < 2.0, silent_s

        # A lifecycle manager does not undo what a person has switched off.
        assert switch(ros, False).success
        off_ns = time.time_ns()
        assert ros.change_state('audio_capture', 'deactivate')
        assert ros.change_state('audio_capture', 'activate')
        assert not holds_the_device(process)
        ros.spin(0.5)
        assert nanoseconds_of(heard[-1].header.stamp) < off_ns  # what was sent before may come late
        assert ros.change_state('audio_capture', 'deactivate')
        assert 'when audio_capture is activated' in switch(ros, True).message
        assert not holds_the_device(process)
        assert ros.change_state('audio_capture', 'activate')
        count = len(heard)
        ros.until(lambda: len(heard) > count + 5, process)
        assert process.end() == 0
        assert 'Traceback' not in process.log


def test_off_from_the_start_and_over_a_crash(tmp_path, null_sink):
    given = {'device': 'pulse', 'listening_file': tmp_path / 'listening'}
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start_active('audio_capture', listening='false', **given)
        audio = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
        states = ros.hear('ai/listening', Bool, qos.LATCHED)
        ros.until(lambda: states, process)
        assert not states[-1].data and not audio and not holds_the_device(process)
        assert switch(ros, True).success
        ros.until(lambda: audio, process)
        assert switch(ros, False).success
        process.end(signal.SIGKILL)

        process = ros.start_active('audio_capture', **given)
        audio.clear()
        ros.spin(1.0)
        assert not audio and not holds_the_device(process), 'a crash switched the microphone on'

        # A microphone that went away meanwhile: off it stays, and says why.
        ros.reach(SetBool, 'ai/set_listening', SetBool.Request(data=False), process)
        unplug(null_sink)
        answer = switch(ros, True)
        assert not answer.success and 'microphone' in answer.message
        assert not holds_the_device(process)
        assert switch(ros, False).success
        assert process.end() == 0
        assert 'Traceback' not in process.log


def test_a_file_is_silent_too_while_it_is_off(ros, tmp_path):
    soundfile.write(tmp_path / 'sound.wav', np.zeros(16_000 * 60), 16_000)
    process = ros.start_active('audio_capture', file=tmp_path / 'sound.wav', listening='false')
    audio = ros.hear('audio_stamped', AudioDataStamped, qos.AUDIO)
    ros.spin(0.7)
    assert not audio
    assert switch(ros, True).success
    ros.until(lambda: audio, process)
    assert switch(ros, False).success
    off_ns = time.time_ns()
    ros.spin(0.7)
    assert nanoseconds_of(audio[-1].header.stamp) < off_ns  # what was sent before may come late
    assert process.end() == 0


class Driver:
    """audio_capture's part of the conversation, as fast as the test wants."""

    def __init__(self, ros):
        self.ros = ros
        self.info = ros.talk('audio_info', AudioInfo, qos.LATCHED)
        self.listening = ros.talk('ai/listening', Bool, qos.LATCHED)
        self.audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
        self.now_ns = time.time_ns()
        self.info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format='wave'))
        self.listening.publish(Bool(data=True))
        ros.taken('safety_alert')

    def play(self, seconds, level):
        for _ in range(round(seconds / 0.1)):
            message = AudioDataStamped(audio=AudioData(data=bytes_array(encode_s16le(np.full(1_600, level)))))
            message.header.stamp = stamp_of(self.now_ns)
            self.audio.publish(message)
            self.now_ns += 100_000_000
            self.ros.spin(0.005)

    def switch(self, on):
        self.listening.publish(Bool(data=on))
        self.ros.taken('safety_alert')


def test_silence_that_is_wanted_is_no_trouble(ros):
    process = ros.start_active('safety_alert')
    diagnostics = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
    driver = Driver(ros)
    driver.info.publish(AudioInfo(coding_format='mp3'))
    driver.switch(False)
    driver.play(12.0, 0.0)  # more unreadable messages than it would bear
    ros.taken('safety_alert', messages=120)
    now_ns = time.time_ns()
    ros.until(lambda: diagnostics and nanoseconds_of(diagnostics[-1].header.stamp) > now_ns, process)
    values = {pair.key: pair.value for pair in diagnostics[-1].status[0].values}
    assert values['listening'] == 'False'
    assert 'refused_messages' not in values
    driver.switch(True)
    driver.play(12.0, 0.0)
    ros.until(lambda: 'no alarm is heard' in process.log, process)
    assert process.end() == 0
