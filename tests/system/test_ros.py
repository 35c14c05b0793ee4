"""The tests' own ground: domains apart, and nothing lost between a test and its nodes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from audio_interaction_ros.cli.domain import LAST, NoDomainError, RosDomain
from tests.system.ros import Process, Ros, Starvation

pytestmark = pytest.mark.system


def test_a_domain_with_nodes_in_it_is_left_alone_whoever_started_them(ros, tmp_path, monkeypatch):
    """Its lock is not looked at here: those nodes may be anybody's."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    free = []
    with pytest.raises(NoDomainError):
        for _ in range(LAST + 1):
            free.append(RosDomain())
    assert len(free) > LAST // 2
    assert int(ros.environment['ROS_DOMAIN_ID']) not in {domain.number for domain in free}
    for domain in free:
        domain.release()


def test_nodes_of_two_tests_do_not_see_each_other(ros, tmp_path):
    with Ros(tmp_path) as other:
        process = ros.start('safety_alert', autostart='false')
        ros.wait_state('safety_alert', 'unconfigured', process)
        assert 'safety_alert' not in other.node.get_node_names()
        assert other.environment['ROS_DOMAIN_ID'] != ros.environment['ROS_DOMAIN_ID']
        assert process.end() == 0


@pytest.mark.skipif(not Path('/proc/self/schedstat').exists(), reason='this kernel does not count it')
def test_what_the_machine_takes_is_measured(tmp_path):
    core = min(os.sched_getaffinity(0))
    program = f"""
import os, time
os.sched_setaffinity(0, [{core}])
while time.process_time() < 0.5: pass
print('done', flush=True)
time.sleep(60)
"""
    processes = [Process([sys.executable, '-c', program], dict(os.environ), tmp_path / name) for name in ('1', '2')]
    starved = [Starvation(process) for process in processes]
    try:
        while not all(process.log for process in processes):
            time.sleep(0.05)
        # On one core, one of them waits while the other runs.
        assert sum(each.seconds for each in starved) > 0.3
    finally:
        for process in processes:
            process.end(signal.SIGKILL)
