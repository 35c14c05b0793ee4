"""Many jobs on one process, all cores or a Ray cluster: each makes its own files, whole or not at all.

A job that has been done is skipped, so a killed build goes on where it was. What a job makes depends on its arguments
alone; how many workers there are and which of them comes first changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from tqdm import tqdm

from training.corpus import CorpusError

Job = TypeVar('Job')


class JobsError(CorpusError):
    """The workers cannot do the jobs."""


def run(title: str, work: Callable[[Job], int], jobs: Sequence[Job], workers: int, unit: str = 'shard') -> int:
    """Do every job and return the sum of what `work` returned.

    With RAY_ADDRESS in the environment the jobs go to that cluster, with `workers` = 1 they are done here, else in that
    many processes. Exceptions of a job end the run: what may fail item by item is recorded by the job itself.
    """
    if not jobs:
        return 0
    if os.environ.get('RAY_ADDRESS'):
        done = _on_ray(work, jobs)
    elif workers == 1:
        done = map(work, jobs)
    else:
        done = _in_processes(work, jobs, workers)
    return sum(tqdm(done, desc=title, total=len(jobs), unit=unit))


def _in_processes(work: Callable[[Job], int], jobs: Sequence[Job], workers: int) -> Iterator[int]:
    # Not forked: a parent that has run PyTorch holds locks that a fork would copy locked.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for future in as_completed([pool.submit(work, job) for job in jobs]):
            yield future.result()


def _on_ray(work: Callable[[Job], int], jobs: Sequence[Job]) -> Iterator[int]:
    try:
        import ray
    except ImportError:
        raise JobsError("RAY_ADDRESS is set but Ray is not installed: pip install 'ray[data]', or unset it") from None
    ray.init(ignore_reinit_error=True)  # takes the address from the environment
    rows = ray.data.from_items([{'job': job} for job in jobs], override_num_blocks=len(jobs))

    def done(row: dict[str, Any]) -> dict[str, int]:
        return {'done': work(row['job'])}

    for row in rows.map(done).iter_rows():
        yield int(row['done'])
