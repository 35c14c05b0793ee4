"""A domain is one process's alone, for as long as that process lives."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from audio_interaction_ros.cli.domain import LAST, NoDomainError, RosDomain
from audio_interaction_ros.cli.processes import ros_environment

HOLDER = """
from audio_interaction_ros.cli.processes import ros_environment
print(ros_environment()['ROS_DOMAIN_ID'], flush=True)
input()
"""


@pytest.fixture
def own_locks(tmp_path, monkeypatch):
    """A temporary directory, and so locks, that nobody else has."""
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    monkeypatch.setattr(tempfile, 'tempdir', None)
    monkeypatch.delenv('ROS_DOMAIN_ID')


def holder() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, '-c', HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.cures('end what holds a lock on a file')
def test_processes_get_domains_of_their_own_until_they_die(own_locks):
    processes = [holder() for _ in range(2)]
    theirs = [int(process.stdout.readline()) for process in processes]
    ours, domains = [], []
    with pytest.raises(NoDomainError, match='all 101 ROS domains of this machine are in use; end what holds'):
        for _ in range(LAST + 1):
            domains.append(RosDomain())
            ours.append(domains[-1].number)
    assert len({*theirs, *ours}) == len(theirs) + len(ours)
    assert {*theirs, *ours} <= set(range(1, LAST + 1))
    processes[0].kill()
    processes[0].wait()
    domains.append(RosDomain())
    assert domains[-1].number == theirs[0]
    processes[1].communicate('\n')
    for domain in domains:
        domain.release()


def test_a_domain_that_the_user_chose_stays(own_locks, monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '0')
    assert ros_environment()['ROS_DOMAIN_ID'] == '0'
