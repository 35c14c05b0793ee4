"""Two processes for one node: one is it, the other has loaded everything and waits for the first to end.

Importing PyTorch takes seconds, in which a robot would be deaf; taking over takes a fraction of one.
"""

from __future__ import annotations

import fcntl
import os
import signal

LOCK = 'AUDIO_INTERACTION_LOCK'  # names the file that both lock; unset, there is no second process


def wait_for_turn() -> None:
    """Returns when this process may be the node, at once where it has no rival. Raises OSError for an unusable file."""
    path = os.environ.get(LOCK)
    if not path:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    # Never closed: the kernel opens the lock when this process ends, in whatever way.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    os.truncate(file, 0)
    os.write(file, f'{os.getpid()}\n'.encode())  # for whoever wonders which of the two it is
