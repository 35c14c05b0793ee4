"""What a command reports in one sentence instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """The command cannot go on; the message says what was found, what was expected, and what to do."""


@contextmanager
def reported(*errors: type[Exception]) -> Iterator[None]:
    """Let the command end with the sentence of one of these errors: it becomes a CommandError."""
    try:
        yield
    except errors as error:
        raise CommandError(str(error)) from error
