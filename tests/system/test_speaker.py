"""The voice through a real loudspeaker path: what a null sink plays is recorded, with the time at which it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from audio_interaction_ros.msg import Response, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.srv import CancelSpeech, Say
from tests.system import pulse
from tests.system.ros import Ros, Starvation

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed'),
]
STORY = 'Once upon a time there was a robot who told very long stories to everybody who came along. ' * 3


class Room:
    """What is heard of the sink, block by block, with the time at which it came."""

    def __init__(self, environment):
        self._recorder = subprocess.Popen(
            ['parec', '-d', f'{pulse.SINK}.monitor', '--rate=16000', '--channels=1', '--format=s16le',
             '--latency-msec=10'],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self._blocks, self._server = [], pulse.server_pid(environment)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while data := os.read(self._recorder.stdout.fileno(), 320):
            level = np.abs(np.frombuffer(data[: len(data) & ~1], '<i2').astype(int)).max(initial=0)
            self._blocks.append((time.monotonic(), level > 100))

    def heard_since(self, then_s):
        """When something was to be heard."""
        return [now_s for now_s, loud in self._blocks if loud and now_s >= then_s]

    def starvation(self, process):
        """Of a speaker, of the sound server, and of what records it."""
        return Starvation(process, pids=[self._server, self._recorder.pid])

    def leave(self):
        self._recorder.kill()
        self._recorder.wait()


@pytest.fixture
def room(null_sink):
    room = Room(null_sink)
    yield room
    room.leave()


@pytest.mark.cures('takes no sound; plug it in again')
def test_it_is_heard_falls_silent_at_once_and_comes_back_with_its_loudspeaker(null_sink, room, tmp_path):
    with Ros(tmp_path, null_sink) as ros:
        process = ros.start_active('speaker', device='pulse')
        told = ros.hear('ai/speaking', Speaking, qos.SWITCH)
        reports = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
        responses = ros.talk('ai/response', Response, qos.EVENTS)

        asked_s = time.monotonic()
        responses.publish(Response(id='1', text='Fire! I hear flames crackling.', final=True))
        ros.until(lambda: told and told[-1].said == 'Fire! I hear flames crackling.', process)
        ros.until(lambda: len(room.heard_since(asked_s)) > 20, process)

        asked_s = time.monotonic()
        responses.publish(Response(id='2', text=STORY))
        ros.until(lambda: len(room.heard_since(asked_s)) > 10, process)
        starved, cancelled_s = room.starvation(process), time.monotonic()
        responses.publish(Response(id='2', text=STORY, final=True, cancelled=True))
        ros.until(lambda: told[-1].broken_off, process)
        ros.spin(0.5)
        assert max(room.heard_since(cancelled_s), default=cancelled_s) - cancelled_s < 0.15 + starved.seconds

        pulse.unplug(null_sink)
        ros.call(Say, 'ai/say', Say.Request(text=STORY, urgency=Speaking.NORMAL))

        def lost(status):
            return status.level == DiagnosticStatus.ERROR and 'takes no sound; plug it in again' in status.message

        ros.until(lambda: any(lost(report.status[0]) for report in reports), process)
        ros.call(CancelSpeech, 'ai/say/cancel', CancelSpeech.Request())
        pulse.plug_in(null_sink)
        ros.until(lambda: 'is there again' in process.log, process)
        answer = ros.call(Say, 'ai/say', Say.Request(text='Hello.', urgency=Speaking.NORMAL))
        ros.until(lambda: (told[-1].id, told[-1].said) == (answer.id, 'Hello.'), process)
        assert process.end() == 0
        assert 'Traceback' not in process.log
