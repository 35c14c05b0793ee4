"""Processes of a proof: a fresh one for every part and every run, so that one that dies or hangs takes nothing along.

On a machine with a GPU they begin from nothing, for CUDA does not survive a fork; elsewhere they are forks, which need
not import anything again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch

from training.proof import ProofError
from training.stages.distributed import import_deepspeed

_GPUS = 'CUDA_VISIBLE_DEVICES'


def import_once() -> None:
    """Import what every part needs where processes are forks. Raises TrainingError where there is no DeepSpeed."""
    if _method() == 'fork':
        import_deepspeed(torch.device('cpu'))
        torch.compile(abs)  # as DeepSpeed does where it begins; nothing is compiled, and the imports take seconds


def start(work: Callable[..., object], *arguments: object, without_gpu: bool = False) -> Any:
    """Begin `work(*arguments)` in a process of its own and return that; `without_gpu` hides the GPU from it."""
    context: Any = multiprocessing.get_context(_method())
    process = context.Process(target=work, args=arguments)
    with _hidden_gpu() if without_gpu else contextlib.nullcontext():
        process.start()
    return process


def finish(process: Any, what: str) -> None:
    """Wait for a process. Raises ProofError where it does not end well."""
    process.join()
    if process.exitcode:
        raise ProofError(f'{what} {how_it_ended(process.exitcode)}; the log says why')


def how_it_ended(code: int) -> str:
    """Return in words how a process ended that did not end well."""
    return f'was ended by {signal.Signals(-code).name}' if code < 0 else f'ended with exit code {code}'


def end_all(process: Any) -> None:
    """End a process that leads a group of its own (`os.setsid`), and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _method() -> str:
    return 'spawn' if torch.cuda.is_available() else 'fork'


@contextlib.contextmanager
def _hidden_gpu() -> Iterator[None]:
    before = os.environ.get(_GPUS)
    os.environ[_GPUS] = ''
    try:
        yield
    finally:
        os.environ.pop(_GPUS)
        if before is not None:
            os.environ[_GPUS] = before
