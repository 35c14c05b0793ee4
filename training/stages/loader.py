"""Batches are read in the background while those before them are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

STEPS_AHEAD = 2
T = TypeVar('T')


def read_ahead(read: Callable[[int], T], first: int, steps: int) -> Iterator[tuple[int, T]]:
    """Yield (step, `read(step)`) for the steps `first` … `steps` − 1, each read up to STEPS_AHEAD steps before."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(read, step) for step in range(first, min(steps, first + STEPS_AHEAD))]
        try:
            for step in range(first, steps):
                batches = waiting.pop(0).result()
                if step + STEPS_AHEAD < steps:
                    waiting.append(pool.submit(read, step + STEPS_AHEAD))
                yield step, batches
        finally:
            pool.shutdown(cancel_futures=True)
