"""A ROS domain that nobody else on this machine is in: for the demo, and for every test that starts nodes."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

LAST = 101  # of a higher one the ports begin where Linux takes those of outgoing connections from
_FIRST_PORT, _PORTS_EACH = 7_400, 250  # the DDSI-RTPS specification, 9.6.2.3


class NoDomainError(RuntimeError):
    """Every domain is taken."""


class RosDomain:
    """A `RosDomain` holds one of the domains 1 … 101 until it is released, or its process ends however it ends.

    Domain 0 is for those who set none. Others hold theirs by a lock on a file in the temporary directory; and a domain
    in which a participant listens is left alone, whoever started it and whether or not it knows of the locks.
    Raises NoDomainError where none is free.
    """

    def __init__(self) -> None:
        busy = set(_busy())
        # From anywhere on: the nodes of a domain that was released a moment ago may still be on their way out.
        first = random.SystemRandom().randrange(LAST)
        for number in (1 + (first + step) % LAST for step in range(LAST)):
            if number not in busy and (lock := _lock(_folder() / f'ros_domain_{number}.lock')) is not None:
                self.number, self._lock = number, lock
                return
        raise NoDomainError(
            f'all {LAST} ROS domains of this machine are in use; end what holds a lock on a file '
            f"'{_folder()}/ros_domain_*.lock', or set ROS_DOMAIN_ID"
        )

    def __enter__(self) -> RosDomain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the domain back; call it once."""
        os.close(self._lock)


def _folder() -> Path:
    return Path(tempfile.gettempdir())


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock on this file, or None where another holds it.

    The file stays: between two who remove and make it, each could lock one of its own.
    """
    try:
        descriptor = _open(path)
    except OSError:  # another user's, whom a protected directory keeps it for
        return None
    try:
        # flock, not lockf: two in one process exclude each other too. Programs that are started do not inherit it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)


def _busy() -> Iterator[int]:
    """Yield the domains in which a participant on this machine has a port open."""
    for table in ('udp', 'udp6'):
        try:
            lines = Path('/proc/net', table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            port = int(line.split()[1].rpartition(':')[2], 16)
            yield (port - _FIRST_PORT) // _PORTS_EACH
