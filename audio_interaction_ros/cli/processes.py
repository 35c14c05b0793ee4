"""The demo's nodes as child processes: started, watched, and always ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO

from audio_interaction_ros.cli.domain import NoDomainError, RosDomain
from audio_interaction_ros.cli.errors import CommandError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_TIMEOUT_S = 5.0
_LOG_LINES = 12
_domains: list[RosDomain] = []  # held until this process ends


def ros_environment() -> dict[str, str]:
    """Return this process's environment with what the demo needs: a domain of its own, on this machine only.

    A domain or a discovery range that the user set stays as it is. Raises CommandError where no domain is free.
    """
    environment = dict(os.environ)
    if 'ROS_DOMAIN_ID' not in environment:
        try:
            _domains.append(RosDomain())
        except NoDomainError as error:
            raise CommandError(str(error)) from error
        environment['ROS_DOMAIN_ID'] = str(_domains[-1].number)
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # ROS from wheels: nothing sets the ament index's path there.
    environment.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    environment['PYTHONUNBUFFERED'] = '1'
    return environment


class NodeProcesses:
    """A `NodeProcesses` holds node processes by name.

    Use it as a context manager: leaving it ends them all, whatever happened.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, IO[bytes]] = {}

    def __enter__(self) -> NodeProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, parameters: Mapping[str, str]) -> None:
        """Run `python -m audio_interaction_ros.nodes.<name>`; its log goes to a temporary file."""
        command = [sys.executable, '-m', f'audio_interaction_ros.nodes.{name}']
        if parameters:
            command.append('--ros-args')
            for key, value in parameters.items():
                # Quoted, or YAML would take a name for what it looks like; an index is a number.
                command += [
                    '-p',
                    f'{key}:={value if value.isdigit() else json.dumps(value, ensure_ascii=False)}',
                ]
        self._logs[name] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        # A session of its own: Ctrl-C reaches the demo only, which then ends the nodes in order.
        self._processes[name] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._logs[name],
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )

    def check(self) -> None:
        """Raise CommandError, with its last log lines, when a node has ended by itself."""
        for name, process in self._processes.items():
            if (code := process.poll()) is not None:
                raise CommandError(
                    f'{name} ended with exit code {code}; do what its last lines say:\n{self.log_tail(name)}'
                )

    def ended_well(self, name: str) -> bool:
        """Return whether the node has ended by itself without an error."""
        return self._processes[name].poll() == 0

    def log_tail(self, name: str) -> str:
        """Return the last lines that a node wrote."""
        log = self._logs[name]
        # pread leaves the position alone, which the child shares.
        size = os.fstat(log.fileno()).st_size
        text = os.pread(log.fileno(), 20_000, max(0, size - 20_000)).decode(errors='replace')
        return '\n'.join(f'  {line}' for line in text.splitlines()[-_LOG_LINES:]) or '  (it wrote nothing)'

    def stop(self) -> None:
        """Send SIGINT to all, and SIGKILL to those that have not ended 5 s later.

        A second Ctrl-C does not cut this short.
        """
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
        try:
            self._stop_all()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self._logs.values():
            log.close()
        self._processes.clear()
        self._logs.clear()
