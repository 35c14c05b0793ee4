"""Workers end with the process that they work for, however it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from training.corpus.jobs import Workers

ROOT = Path(__file__).resolve().parents[3]


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return 1


def nap_in_processes() -> None:
    """A short job each, then one of them has nothing more to do and the other works on."""
    with Workers(2) as workers:
        workers.run('naps', nap, [0.0, 0.0])
        print('begun', flush=True)
        workers.run('naps', nap, [0.1, 600.0])


def test_no_worker_outlives_a_parent_that_is_killed():
    code = f'from {__name__} import nap_in_processes; nap_in_processes()'
    parent = subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert parent.stdout is not None and parent.stdout.readline() == b'begun\n'
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=60)
    for child in alive:
        child.kill()
    assert not alive
