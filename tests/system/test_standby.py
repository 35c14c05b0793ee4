"""Two processes for one node."""

from __future__ import annotations

import signal

import pytest

from tests.system.ros import START_TIMEOUT_S

pytestmark = pytest.mark.system
STANDBY = '_safety_alert_standby'  # what a process is called that is not the node yet


@pytest.mark.parametrize('ended_by', [signal.SIGKILL, signal.SIGINT])
def test_the_second_is_the_node_when_the_first_ends(ros, tmp_path, ended_by):
    lock = tmp_path / 'safety_alert.lock'
    pair = [ros.start('safety_alert', lock=lock) for _ in range(2)]
    ros.until(lambda: lock.exists() and lock.read_text(), pair[0], START_TIMEOUT_S)
    first, second = sorted(pair, key=lambda process: lock.read_text() != f'{process.popen.pid}\n')
    ros.wait_state('safety_alert', 'active', first)
    # A service can answer before the graph here has its node's name.
    ros.until(lambda: 'safety_alert' in ros.node.get_node_names(), first)
    assert ros.node.get_node_names().count('safety_alert') == 1
    first.end(ended_by)
    ros.until(lambda: lock.read_text() == f'{second.popen.pid}\n', second)
    ros.wait_state('safety_alert', 'active', second)
    assert second.end() == 0


def test_the_one_that_waits_can_be_ended(ros, tmp_path):
    lock = tmp_path / 'safety_alert.lock'
    first = ros.start('safety_alert', lock=lock)
    ros.wait_state('safety_alert', 'active', first)
    ros.until(lambda: STANDBY not in ros.node.get_node_names(), first)
    second = ros.start('safety_alert', lock=lock)
    ros.until(lambda: STANDBY in ros.node.get_node_names(), second, START_TIMEOUT_S)
    ros.spin(0.5)
    assert second.alive and lock.read_text() == f'{first.popen.pid}\n'
    second.popen.send_signal(signal.SIGINT)  # a terminal's, and then launch's
    ros.spin(0.02)
    assert second.end() == 0
    ros.wait_state('safety_alert', 'active', first)
    assert first.end() == 0


def test_a_lock_that_cannot_be_is_named(ros, tmp_path):
    process = ros.start('safety_alert', lock=tmp_path / 'no' / 'lock')
    assert process.wait() == 1
    assert 'AUDIO_INTERACTION_LOCK names no file' in process.log
    assert 'Traceback' not in process.log
