"""What asks a process to end."""

from __future__ import annotations

import signal
from collections.abc import Callable


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
