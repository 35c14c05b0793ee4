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
_MOST_OFTEN = 2  # a hard stream is drawn in the place of others in that time, or few would be learnt by heart


@dataclass(frozen=True, eq=False)  # by identity, as below
class Hard:
    """A `Hard` holds streams to draw more often, as places in a sampler's `chosen`, int64 [n], and their share."""

    places: np.ndarray
    share: float


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

    def batches(self, step: int, rank: int, devices: int, batch: int, hard: Hard | None = None) -> list[np.ndarray]:
        """Return what one of `devices` runs in a step, batch by batch: rows of the index, int64 [batch].

        With `hard`, a share of the step's streams are some of these, in place of any others.
        """
        streams = _step(self, step // BUCKET_STEPS, hard)[step % BUCKET_STEPS]
        # In order of length, so that the devices have the same to do at the same time.
        return [part[rank * batch : (rank + 1) * batch] for part in streams.reshape(-1, devices * batch)]


@lru_cache(maxsize=4)
def _step(sampler: StreamSampler, bucket: int, hard: Hard | None) -> np.ndarray:
    """The streams of BUCKET_STEPS steps, int64 [steps, streams a step], each row in order of length."""
    count = BUCKET_STEPS * sampler.streams_a_step
    at = np.arange(bucket * count, (bucket + 1) * count)
    total = len(sampler.chosen)
    drawn = np.concatenate(
        [_epoch(sampler, int(epoch))[at[at // total == epoch] % total] for epoch in np.unique(at // total)]
    )
    if hard is not None:
        rng = random_stream(Purpose.HARD_STREAMS, sampler.seed, sampler.stage, bucket)
        often = rng.permutation(np.repeat(hard.places, _MOST_OFTEN))[: round(hard.share * count)]
        drawn[rng.permutation(count)[: len(often)]] = often
    rows = drawn[np.argsort(sampler.chunks[drawn], kind='stable')].reshape(BUCKET_STEPS, sampler.streams_a_step)
    rng = random_stream(Purpose.STEP_ORDER, sampler.seed, sampler.stage, bucket)
    return sampler.chosen[rows[rng.permutation(BUCKET_STEPS)]]


@lru_cache(maxsize=2)
def _epoch(sampler: StreamSampler, epoch: int) -> np.ndarray:
    return random_stream(Purpose.EPOCH_ORDER, sampler.seed, sampler.stage, epoch).permutation(len(sampler.chosen))
