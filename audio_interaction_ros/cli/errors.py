"""What a command reports in one sentence instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot go on; the message says what was found, what was expected, and what to do."""
