"""Lines on the standard output, and what follows when nobody reads them any more."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

NOBODY_READS = 141  # as a shell has it for a process that SIGPIPE ended: 128 + 13


class OutputError(RuntimeError):
    """An `OutputError` says that the standard output cannot be written, as on a full disk."""


def quietly(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; NOBODY_READS, without a word, where its output is closed meanwhile."""
    try:
        try:
            code = command()
        except SystemExit:  # as after --help
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return NOBODY_READS
    except OSError as error:
        if not _terminal_is_closed(error):
            raise
        discard_output()
        return NOBODY_READS
    return code


def print_line(text: str) -> None:
    """Print a line at once.

    Raises BrokenPipeError where the pipe or the terminal behind the output is closed, and OutputError.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        if _terminal_is_closed(error):
            raise BrokenPipeError(errno.EPIPE, 'the terminal is closed') from error
        discard_output()
        raise OutputError(
            f'the output cannot be written ({error.strerror}); make room, or send it somewhere else'
        ) from error


def _terminal_is_closed(error: OSError) -> bool:
    """Whether it is what a closed terminal gives to those that ignore SIGHUP."""
    return error.errno == errno.EIO and error.filename is None


def discard_output() -> None:
    """Send what is still to be written nowhere, so that the end of the process has nothing to say about it."""
    with contextlib.suppress(OSError, ValueError):  # there is no output, or it is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
