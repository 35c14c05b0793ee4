"""Two processes for one node: one is it, the other has loaded everything and waits for the first to end.

Importing PyTorch takes seconds, in which a robot would be deaf; taking over takes a fraction of one.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy

from audio_interaction_ros.nodes.signals import EndRequest, end_undisturbed, on_signals

LOCK = 'AUDIO_INTERACTION_LOCK'  # names the file that both lock; unset, there is no second process


@contextmanager
def turn(name: str, end: EndRequest) -> Iterator[None]:
    """Wait until this process may be the node `name`, which it may at once where it has no rival.

    To be left when the node is there. Signals set `end`, but end the process while it waits.

    ROS must be initialised. Raises SystemExit for an unusable file, and when told to end before its turn.
    """
    path = os.environ.get(LOCK)
    if not path:
        yield
        return
    # DDS takes up to 4 s to find a new process and 0.1 s to find a new node of a process it knows. The name is hidden.
    known = rclpy.create_node(
        f'_{name}_standby', use_global_arguments=False, start_parameter_services=False, enable_rosout=False
    )
    try:
        # Never closed: the kernel opens the lock when this process ends, in whatever way.
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            on_signals(_end)  # here alone: an exception in the middle of what rclpy does would become another one
            if end.is_set():
                _end()
            fcntl.flock(file, fcntl.LOCK_EX)
            on_signals(end.set)
        except OSError as error:
            sys.exit(f'{LOCK} names no file that can be locked ({error}); unset it or correct it')
        os.truncate(file, 0)
        os.write(file, f'{os.getpid()}\n'.encode())  # for whoever wonders which of the two it is
        yield
    finally:
        known.destroy_node()


def _end(*_: object) -> None:
    end_undisturbed()
    sys.exit(0)
