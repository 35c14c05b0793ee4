"""The queue between the encoder, which never waits, and the decoder, which drains it whole (contract 5)."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class EncodedChunk:
    """One encoded 400 ms chunk: `vectors` [10, dim], and where and when in the stream it lies.

    `stamp_ns` is the capture time of its first sample; `dropped_before` counts samples at 16 kHz lost before it.
    """

    stream_id: int
    index: int
    first_sample: int
    dropped_before: int
    stamp_ns: int
    level_dbfs: float
    vectors: Tensor


_NEXT_WITHIN_S = 0.4  # a chunk's length: whoever lags behind sends the next one sooner


class ChunkQueue:
    """Bounded and thread-safe; at the limit the oldest chunk is dropped and counted."""

    def __init__(self, max_chunks: int) -> None:
        self._chunks: deque[EncodedChunk] = deque()
        self._max_chunks = max_chunks
        self._changed = threading.Condition()
        self._dropped = 0
        self._held_until_s = 0.0

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def dropped(self) -> int:
        """Chunks dropped at the limit since the queue was made."""
        return self._dropped

    def push(self, chunk: EncodedChunk, late: bool = False) -> None:
        """Never blocks. `late`: newer ones are on their way, and what is old is not to be decided on without them."""
        with self._changed:
            if len(self._chunks) == self._max_chunks:
                self._chunks.popleft()
                self._dropped += 1
            self._chunks.append(chunk)
            self._held_until_s = time.monotonic() + _NEXT_WITHIN_S if late else 0.0
            self._changed.notify()

    def drain(self) -> list[EncodedChunk]:
        """As `flush`, but nothing while newer chunks than these are on their way."""
        return [] if time.monotonic() < self._held_until_s else self.flush()

    def flush(self) -> list[EncodedChunk]:
        """Everything queued, oldest first; the queue is then empty."""
        with self._changed:
            chunks = list(self._chunks)
            self._chunks.clear()
            return chunks

    def peek(self) -> list[EncodedChunk]:
        """Everything queued, oldest first; it stays there."""
        with self._changed:
            return list(self._chunks)

    def wait(self, timeout_s: float) -> bool:
        """Block until a chunk is queued; False when the time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._chunks) > 0, timeout_s)
