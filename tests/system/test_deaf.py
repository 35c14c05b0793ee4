"""The whole assistant in front of a real device: whatever makes it deaf, it says so within two seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.msg import Decision, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from tests.system.pulse import SINK, plug_in, server_pid, unplug
from tests.system.ros import Ros, Starvation

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Assistant:
    def __init__(self, ros, environment, checkpoint, sound):
        self.ros, self.environment, self.sound = ros, {**os.environ, **environment}, sound
        self.parameters = {
            'safety_alert': {}, 'decoder': {'checkpoint': checkpoint}, 'chunk_encoder': {'checkpoint': checkpoint},
            'audio_capture': {'device': 'pulse'},
        }  # fmt: skip
        self.alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
        self.decisions = ros.hear('ai/decision', Decision, qos.EVENTS)
        self.play()
        self.nodes = {name: ros.start(name, **given) for name, given in self.parameters.items()}

    def play(self):
        self.player = subprocess.Popen(['paplay', '-d', SINK, str(self.sound)], env=self.environment)

    def hears(self):
        """Until it does, and says nothing else."""
        for name, process in self.nodes.items():
            self.ros.wait_state(name, 'active', process)
        self.decisions.clear()
        self.ros.until(lambda: len(self.decisions) > 3, 'nothing is decided')
        self.ros.until(lambda: not self.alerts or self.alerts[-1].state == SafetyAlert.CLEARED, 'deaf without end')
        self.alerts.clear()

    def raised_within_s(self):
        """From now until it says that it is deaf, by the stamp of the alert, less what the machine took."""
        began_ns = time.time_ns()
        starved = Starvation(*self.nodes.values(), pids=[server_pid(self.environment)])
        self.ros.until(lambda: self.alerts, 'it did not say that it is deaf')
        assert self.alerts[0].hazard == 'listening_lost'
        return (nanoseconds_of(self.alerts[0].header.stamp) - began_ns) * 1e-9 - starved.seconds

    @contextmanager
    def stopped(self, name):
        self.nodes[name].popen.send_signal(signal.SIGSTOP)
        yield
        self.nodes[name].popen.send_signal(signal.SIGCONT)

    @contextmanager
    def dead(self, name):
        self.nodes[name].end(signal.SIGKILL)
        yield
        self.nodes[name] = self.ros.start(name, **self.parameters[name])

    @contextmanager
    def unplugged(self):
        unplug(self.environment)
        yield
        self.player.kill()
        plug_in(self.environment)
        self.play()

    @contextmanager
    def muted(self):
        """Nothing plays: a null sink's monitor is then exactly zero."""
        self.player.kill()
        yield
        self.play()


@pytest.fixture(scope='module')
def assistant(shared_null_sink, tmp_path_factory, tiny_checkpoint):
    folder = tmp_path_factory.mktemp('deaf')
    sound = folder / 'sound.wav'
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 600), 16_000)
    with Ros(folder, shared_null_sink) as ros:
        assistant = Assistant(ros, shared_null_sink, tiny_checkpoint, sound)
        try:
            yield assistant
        finally:
            assistant.player.kill()
            assistant.player.wait()


@pytest.mark.parametrize(
    ('broken', 'name'),
    [
        ('muted', None),
        ('unplugged', None),
        ('stopped', 'decoder'),
        ('dead', 'decoder'),
        ('dead', 'chunk_encoder'),
        ('dead', 'audio_capture'),
    ],
)
def test_whatever_makes_it_deaf_it_says_so_within_two_seconds(assistant, broken, name, record_property):
    assistant.hears()
    with getattr(assistant, broken)(*[name] if name else []):
        took_s = assistant.raised_within_s()
        record_property('took_s', f'{took_s:.2f}')
        print(f'{broken} {name or ""}: {took_s:.2f} s')
        assert took_s < 2.0
    assistant.hears()
