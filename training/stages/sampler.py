"""Which streams make a step: a function of seed, stage and step.

A run that was killed goes on with the batches an undisturbed one would have had, and another number of processes
divides the same steps among itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.random_streams import Purpose, random_stream

BUCKET_STEPS = 32  # so many steps' streams are sorted by length before they are divided among the steps


@dataclass(frozen=True, eq=False)  # compared and hashed by identity, for the caches below
class StreamSampler:
    """A `StreamSampler` draws the streams of every step: each once an epoch, those of one batch about equally long.

    `chosen` int64 [n] are the streams to draw from, as rows of the index, and `chunks` int [n] how long they are.
    """

    chosen: np.ndarray
    chunks: np.ndarray
    streams_a_step: int
    seed: int
    stage: int

    def batches(self, step: int, rank: int, devices: int, batch: int) -> list[np.ndarray]:
        """Return what one of `devices` runs in a step, batch by batch: rows of the index, int64 [batch]."""
        streams = _step(self, step // BUCKET_STEPS)[step % BUCKET_STEPS]
        # In order of length, so that the devices have the same to do at the same time.
        return [part[rank * batch : (rank + 1) * batch] for part in streams.reshape(-1, devices * batch)]


@lru_cache(maxsize=4)
def _step(sampler: StreamSampler, bucket: int) -> np.ndarray:
    """The streams of BUCKET_STEPS steps, int64 [steps, streams a step], each row in order of length."""
    count = BUCKET_STEPS * sampler.streams_a_step
    at = np.arange(bucket * count, (bucket + 1) * count)
    total = len(sampler.chosen)
    drawn = np.concatenate(
        [_epoch(sampler, int(epoch))[at[at // total == epoch] % total] for epoch in np.unique(at // total)]
    )
    rows = drawn[np.argsort(sampler.chunks[drawn], kind='stable')].reshape(BUCKET_STEPS, sampler.streams_a_step)
    rng = random_stream(Purpose.STEP_ORDER, sampler.seed, sampler.stage, bucket)
    return sampler.chosen[rows[rng.permutation(BUCKET_STEPS)]]


@lru_cache(maxsize=2)
def _epoch(sampler: StreamSampler, epoch: int) -> np.ndarray:
    return random_stream(Purpose.EPOCH_ORDER, sampler.seed, sampler.stage, epoch).permutation(len(sampler.chosen))
