"""The queue between the encoder, which never waits, and the decoder, which drains it whole (contract 5)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.bounded import BoundedQueue
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE

_NEXT_WITHIN_S = 0.4  # a chunk's length: whoever lags behind sends the next one sooner


@dataclass(frozen=True)
class EncodedChunk:
    """An `EncodedChunk` has the `vectors` [10, dim] of 400 ms, and where and when in its stream they lie.

    `stamp_ns` is the capture time of its first sample; `dropped_before` counts samples at 16 kHz lost before it.
    """

    stream_id: int
    index: int
    first_sample: int
    dropped_before: int
    stamp_ns: int
    level_dbfs: float
    vectors: Tensor

    @classmethod
    def unbroken(
        cls, index: int, vectors: Tensor, level_dbfs: float = -30.0, stream_id: int = 0, start_ns: int = 0
    ) -> EncodedChunk:
        """Return the chunk of number `index` in a stream that began at `start_ns` and lost nothing."""
        first = index * CHUNK_SAMPLES
        return cls(stream_id, index, first, 0, start_ns + first * NS_PER_SAMPLE, level_dbfs, vectors)


class ChunkQueue(BoundedQueue[EncodedChunk]):
    """A `ChunkQueue` is drained whole by the decoder, and not while newer chunks are known to be near."""

    def __init__(self, max_chunks: int) -> None:
        super().__init__(max_chunks)
        self._held_until_s = 0.0

    def push(self, chunk: EncodedChunk, late: bool = False) -> None:
        """Add a chunk without ever blocking.

        `late` says that newer ones are on their way, and what is old is not to be decided on without them.
        """
        with self._changed:
            self._held_until_s = time.monotonic() + _NEXT_WITHIN_S if late else 0.0
            self.put(chunk)

    def drain(self, at_most: int | None = None) -> list[EncodedChunk]:
        """Take everything queued, oldest first, or nothing while newer chunks are on their way.

        Of more than `at_most` chunks the oldest are dropped and counted.
        """
        with self._changed:
            if time.monotonic() < self._held_until_s:
                return []
            chunks = self.flush()
            excess = 0 if at_most is None else max(0, len(chunks) - at_most)
            self.count_dropped(excess)
            return chunks[excess:]
