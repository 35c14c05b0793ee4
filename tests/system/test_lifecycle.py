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
        self.every(0.2, lambda: 1 / 0)

sys.exit(run(None, Broken))
"""


def test_a_callback_that_fails_ends_the_process_so_that_it_is_started_again():
    environment = {**os.environ, 'ROS_DOMAIN_ID': '101', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    done = subprocess.run([sys.executable, '-c', BROKEN], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'ZeroDivisionError' in done.stderr + done.stdout
