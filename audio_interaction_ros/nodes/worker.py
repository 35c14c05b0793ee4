"""A thread that works until it is told to stop, so that no callback ever has to."""

from __future__ import annotations

import threading
from collections.abc import Callable

END_WITHIN_S = 10.0  # a pass of the largest model takes a tenth of it; after twice as long, launch kills the process


class WorkerError(RuntimeError):
    """A worker's thread does not end, and nothing in this process can end it."""


class Worker:
    """A `Worker` runs `work(stop)` in a thread; `work` is to return soon after `stop` is set."""

    def __init__(self, name: str, work: Callable[[threading.Event], None]) -> None:
        self._name, self._work = name, work
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f'{name} worker', daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the exception that has ended the work by itself, if one has."""
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout_s: float = END_WITHIN_S) -> None:
        """Tell the work to stop, and wait until the thread has ended.

        Raises WorkerError when that takes longer than `timeout_s`; the thread is then left to itself, and ends with
        the process.
        """
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise WorkerError(
                f"the thread '{self._thread.name}' has not ended {timeout_s:g} s after it was told to; "
                'end the process and start it again'
            )

    def _run(self) -> None:
        try:
            self._work(self._stop)
        except Exception as error:
            self._failure = error
