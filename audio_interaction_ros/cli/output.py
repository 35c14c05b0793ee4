"""Lines on the standard output, and what follows when nobody reads them any more."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from audio_interaction_ros.cli.errors import CommandError

NOBODY_READS = 141  # as a shell has it for a process that SIGPIPE ended: 128 + 13


def print_line(text: str) -> None:
    """Print a line at once.

    Raises BrokenPipeError where the pipe or the terminal behind the output is closed, and CommandError where the output
    cannot be written, as on a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.EIO:  # what a closed terminal gives to those that ignore SIGHUP
            raise BrokenPipeError(errno.EPIPE, 'the terminal is closed') from error
        discard_output()
        raise CommandError(
            f'the output cannot be written ({error.strerror}); make room, or send it somewhere else'
        ) from error


def discard_output() -> None:
    """Send what is still to be written nowhere, so that the end of the process has nothing to say about it."""
    with contextlib.suppress(OSError, ValueError):  # there is no output, or it is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
