"""Joining ROS: what keeps a process from it, in one sentence that says what to do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rclpy
from rclpy.signals import SignalHandlerOptions

_DOMAINS = range(233)  # the ports of higher ones lie beyond the last that there is


class JoinError(Exception):
    """A `JoinError` says why ROS could not be joined; `by_arguments` where the arguments are what it could not read."""

    def __init__(self, sentence: str, by_arguments: bool = False) -> None:
        super().__init__(sentence)
        self.by_arguments = by_arguments


def join(args: Sequence[str] | None) -> None:
    """Initialise ROS, which then leaves the signals alone; raises JoinError."""
    domain = os.environ.get('ROS_DOMAIN_ID', '')
    if domain and not (domain.isdecimal() and int(domain) in _DOMAINS):
        raise JoinError(f"ROS_DOMAIN_ID is '{domain}'; set it to a number from 0 to {_DOMAINS[-1]}, or unset it")
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy has no common class for these
        if (problem := _log_problem()) is not None:
            raise JoinError(f'{problem}; set ROS_LOG_DIR to a folder that this user may write to') from error
        raise JoinError(
            f'ROS cannot read the arguments ({error}); give values as `--ros-args -p NAME:=VALUE`, other names as '
            '`--ros-args -r FROM:=TO`, a namespace as robot1',
            by_arguments=True,
        ) from error


def in_namespace(namespace: str | None) -> list[str]:
    """Return the arguments after --ros-args that put a process into a namespace, with or without its first slash."""
    return ['-r', f'__ns:=/{namespace.strip("/")}'] if namespace else []


def _log_problem() -> str | None:
    """Return why ROS cannot write its log, without which it does not start; None where it can."""
    given = os.environ.get('ROS_LOG_DIR')
    home = os.environ.get('ROS_HOME') or (os.environ.get('HOME') and f'{os.environ["HOME"]}/.ros')
    if not given and not home:
        return 'ROS has no folder for its log, because neither ROS_LOG_DIR nor HOME is set'
    folder = Path(given or f'{home}/log').expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"ROS cannot write its log to '{folder}' ({error.strerror})"
