"""A worker ends when it is told to, and what ends it otherwise does not go unnoticed."""

from __future__ import annotations

import threading
import time

import pytest

from audio_interaction_ros.nodes.worker import Worker, WorkerError


def test_it_works_until_it_is_told_to_stop():
    turns = []

    def work(stop):
        while not stop.wait(0.001):
            turns.append(1)

    worker = Worker('test', work)
    while not turns:
        time.sleep(0.001)
    worker.stop()
    count = len(turns)
    time.sleep(0.02)
    assert len(turns) == count
    worker.check()


def test_one_that_does_not_end_is_waited_for_with_a_limit_and_named():
    release = threading.Event()
    worker = Worker('decoder', lambda stop: release.wait())
    with pytest.raises(WorkerError, match=r"thread 'decoder worker' has not ended 0\.2 s after"):
        worker.stop(0.2)
    release.set()
    worker.stop()


def test_what_ended_the_work_by_itself_is_raised_by_check():
    worker = Worker('test', lambda stop: 1 / 0)
    worker.stop()
    with pytest.raises(ZeroDivisionError):
        worker.check()
