"""Many jobs on one process, all cores or a Ray cluster: each makes its own files, whole or not at all.

A job that has been done is skipped, so a killed build goes on where it was. What a job makes depends on its arguments
alone; how many workers there are and which of them comes first changes nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from training.errors import CorpusError

Job = TypeVar('Job')


_MOST_BLOCKS = 4_096  # that Ray Data has to keep track of; a block is a task


class JobsError(CorpusError):
    """The workers cannot do the jobs."""


class Workers:
    """`Workers` do jobs: in this process if `count` is 1, in so many processes, or on the Ray cluster at RAY_ADDRESS.

    They are a context: the processes are kept from one list of jobs to the next, and end with it.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def run(self, title: str, work: Callable[[Job], int], jobs: Sequence[Job], unit: str = 'shard') -> int:
        """Do every job and return the sum of what `work` returned.

        Exceptions of a job end the run: what may fail item by item is recorded by the job itself.
        """
        return sum(tqdm(self.each(work, jobs), desc=title, total=len(jobs), unit=unit))

    def each(self, work: Callable[[Job], int], jobs: Sequence[Job]) -> Iterator[int]:
        """Yield what `work` returned of every job, as soon as it is done."""
        if os.environ.get('RAY_ADDRESS') and jobs:
            return _on_ray(work, jobs)
        if self.count == 1 or len(jobs) < 2:
            return map(work, jobs)
        return self._in_processes(work, jobs)

    def _in_processes(self, work: Callable[[Job], int], jobs: Sequence[Job]) -> Iterator[int]:
        if self._pool is None:
            # Not forked: a parent that has run PyTorch holds locks that a fork would copy locked.
            spawn = multiprocessing.get_context('spawn')
            self._pool = ProcessPoolExecutor(self.count, mp_context=spawn, initializer=_end_with_parent)
        for future in as_completed([self._pool.submit(work, job) for job in jobs]):
            yield future.result()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for jobs for ever: its siblings hold the other end of their queue."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name='parent').start()


def _on_ray(work: Callable[[Job], int], jobs: Sequence[Job]) -> Iterator[int]:
    try:
        import ray
    except ImportError:
        raise JobsError("RAY_ADDRESS is set but Ray is not installed: pip install 'ray[data]', or unset it") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR)  # takes the address from the environment
    logging.getLogger('ray.data').setLevel(logging.ERROR)  # tells of every step of every dataset
    ray.data.DataContext.get_current().enable_progress_bars = False  # `run` has one
    rows = ray.data.from_items([{'job': job} for job in jobs], override_num_blocks=min(len(jobs), _MOST_BLOCKS))

    def done(row: dict[str, Any]) -> dict[str, int]:
        return {'done': work(row['job'])}

    for row in rows.map(done).iter_rows():
        yield int(row['done'])
