"""A thread that works until it is told to stop, so that no callback ever has to."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Runs `work(stop)` in a thread; `work` returns soon after `stop` is set."""

    def __init__(self, name: str, work: Callable[[threading.Event], None]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=work, args=(self._stop,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stop.set()
        self._thread.join()
