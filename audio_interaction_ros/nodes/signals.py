"""What asks a process to end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from queue import SimpleQueue


class EndRequest:
    """An `EndRequest` says whether the process is to end; signal handlers set it, and the main thread waits for it.

    It is no `threading.Event`, which has a lock: a second signal that comes while the handler of the first holds it
    would wait for that lock for ever, in the same thread. `SimpleQueue.put` may interrupt itself.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._said: SimpleQueue[None] = SimpleQueue()

    def set(self, *_: object) -> None:
        """Ask for the end; from any thread, and as a signal's handler."""
        self._is_set = True
        self._said.put(None)

    def is_set(self) -> bool:
        """Return whether the end was asked for."""
        return self._is_set

    def wait(self) -> None:
        """Return when the end is asked for; for one thread."""
        while not self._is_set:
            self._said.get()


def on_signals(handler: Callable[..., object] | signal.Handlers) -> None:
    """Let `handler` take SIGINT and SIGTERM from now on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def end_undisturbed() -> None:
    """Ignore both signals from now on; call when all is done.

    Python gives signals their defaults back while it ends: a second Ctrl-C, or launch's after the terminal's, would
    make a clean end look like a failure.
    """
    on_signals(signal.SIG_IGN)
