"""What a command reports in one sentence instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """The command cannot go on; the message says what was found, what was expected, and what to do."""


@contextmanager
def bokeh_reported() -> Iterator[None]:
    """Let the command end with a sentence where what pages are drawn by is not installed."""
    try:
        yield
    except ImportError as error:
        raise CommandError(
            f'{error.name} is not installed and pages are drawn by it; install it with: pip install bokeh'
        ) from None


@contextmanager
def reported(*errors: type[Exception]) -> Iterator[None]:
    """Let the command end with the sentence of one of these errors: it becomes a CommandError."""
    try:
        yield
    except errors as error:
        raise CommandError(str(error)) from error
