"""What the nodes' processes have in common."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.system

BROKEN = """
import sys
from audio_interaction_ros.nodes.lifecycle import run
from audio_interaction_ros.nodes.safety_alert import SafetyAlertNode

class Broken(SafetyAlertNode):
    def setup(self):
        super().setup()
        self.create_timer(0.2, lambda: 1 / 0)

sys.exit(run(None, Broken))
"""

BROKEN_WORKER = """
import sys
from audio_interaction_ros.nodes.lifecycle import run
from audio_interaction_ros.nodes.safety_alert import SafetyAlertNode

class Broken(SafetyAlertNode):
    def start(self):
        super().start()
        self.work(lambda stop: 1 / 0)

sys.exit(run(None, Broken))
"""

BUSY = """
import gc, os, signal, sys
from audio_interaction_ros.nodes.lifecycle import run
from audio_interaction_ros.nodes.safety_alert import SafetyAlertNode

class Busy(SafetyAlertNode):
    turns = 0

    def setup(self):
        super().setup()
        self.create_timer(0.001, self.turn)

    def turn(self):
        self.turns += 1
        if self.turns in (1_000, 4_000):
            gc.collect()
            print(len(gc.get_objects()), flush=True)
        if self.turns == 4_000:
            os.kill(os.getpid(), signal.SIGINT)

sys.exit(run(None, Busy))
"""


def run_node(source):
    environment = {**os.environ, 'AMENT_PREFIX_PATH': os.environ.get('AMENT_PREFIX_PATH', sys.prefix)}
    return subprocess.run([sys.executable, '-c', source], env=environment, capture_output=True, text=True)


def test_a_callback_leaves_nothing_behind():
    done = run_node(BUSY)
    early, late = map(int, done.stdout.split()[:2])
    assert late - early < 300, done.stderr


@pytest.mark.parametrize('source', [BROKEN, BROKEN_WORKER], ids=['callback', 'worker'])
def test_a_callback_or_worker_that_fails_ends_the_process_so_that_it_is_started_again(source):
    done = run_node(source)
    assert done.returncode == 1
    assert 'ZeroDivisionError' in done.stderr + done.stdout
