"""A program that turns text into sound: passed on while it comes, and killed as soon as nobody wants it any more.

The text is on its standard input and its options are a list: no shell sees either, and no text is taken for an option.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

_LOOK_EVERY_S = 0.01  # whether it is still wanted
_BLOCK_BYTES = 2_048
_LONGEST_S = 60.0  # of sound for one clause; a clause has 200 characters


class ProgramFailed(Exception):
    """`ProgramFailed` says how a program failed, for the sentence of the engine that it is."""


def output_of(
    command: list[str], text: str, timeout_s: float, unwanted: Callable[[], bool], rate_hz: int = 22_050
) -> Iterator[bytes]:
    """Yield what the program writes, whole 16-bit samples, while it runs; kill it when that is `unwanted`.

    Raises ProgramFailed where it cannot be started, says nothing for `timeout_s`, does not end, or fails.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # to be killed with its children
        )
    except OSError as error:
        raise ProgramFailed(f'it cannot be started: {error.strerror}') from None
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        with contextlib.suppress(OSError):  # a program that ends without reading says why by its status
            process.stdin.write(text.encode('utf-8', 'replace'))  # fits into the pipe: this does not wait
            process.stdin.close()
        with selectors.DefaultSelector() as streams:
            streams.register(process.stdout, selectors.EVENT_READ)
            streams.register(process.stderr, selectors.EVENT_READ)
            rest, complaint, total = b'', b'', 0
            deadline_s = time.monotonic() + timeout_s
            while streams.get_map():
                if unwanted():
                    return
                ready = streams.select(_LOOK_EVERY_S)
                if not ready and time.monotonic() > deadline_s:
                    raise ProgramFailed(f'it said nothing for {timeout_s:g} s')
                for key, _ in ready:
                    data = os.read(key.fd, _BLOCK_BYTES)
                    if not data:
                        streams.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        complaint = (complaint + data)[-300:]
                    else:
                        total += len(data)
                        if total > 2 * rate_hz * _LONGEST_S:
                            raise ProgramFailed(f'it spoke for more than {_LONGEST_S:g} s')
                        data = rest + data
                        whole = len(data) & ~1
                        rest = data[whole:]
                        yield data[:whole]
                        deadline_s = time.monotonic() + timeout_s  # not while nobody takes its sound
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f'it did not end within {timeout_s:g} s') from None
        if status or not total:
            said = ' '.join(complaint.decode(errors='replace').split())
            raise ProgramFailed(f'{said or "no sound came"}, status {status}')
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        process.wait()
