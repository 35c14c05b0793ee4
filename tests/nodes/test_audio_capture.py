"""Off is off, also where the thread that captures does not end."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import soundfile
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.switch import ListeningSwitch
from audio_interaction_ros.nodes import worker
from audio_interaction_ros.nodes.audio_capture import AudioCaptureNode

pytestmark = pytest.mark.system


def test_off_is_remembered_and_the_failure_told_where_the_worker_does_not_end(in_process, tmp_path, monkeypatch):
    monkeypatch.setattr(worker.Worker.stop, '__defaults__', (0.2,))
    sound, remembered = tmp_path / 'sound.wav', tmp_path / 'listening'
    soundfile.write(sound, np.zeros(16_000), 16_000)
    it = in_process(AudioCaptureNode, file=sound, listening_file=remembered)
    release = threading.Event()
    monkeypatch.setattr(it.node, '_capture_until', lambda stop: release.wait(20.0))
    assert it.node.autostart()
    answer = it.node._on_set_listening(SetBool.Request(data=False), SetBool.Response())
    assert not answer.success
    assert "thread 'audio_capture worker' has not ended" in answer.message
    assert not it.node.measurements()['listening']
    assert not ListeningSwitch(True, str(remembered)).on
    release.set()
