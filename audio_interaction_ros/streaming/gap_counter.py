"""Counts what a stream lost on its way to the decoder; silence about a loss would be worse than the loss."""

from __future__ import annotations

import threading

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.streaming.fifo import EncodedChunk


class GapCounter:
    """A `GapCounter` counts the chunks that a stream lost since it began, and where.

    At capture (gaps in the sound), on the way (holes in the index), or in a full queue. One thread may count while
    another reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream_id: int | None = None
        self._next_index = 0
        self._gap_samples = 0
        self._holes = 0
        self._dropped_at_start = 0

    def arrived(self, chunk: EncodedChunk, queue_dropped: int) -> bool:
        """Count a chunk before it is queued; `queue_dropped` is the queue's running total.

        False means that the chunk is old or comes twice: it must not be queued.
        """
        with self._lock:
            if chunk.stream_id != self._stream_id:
                self._stream_id = chunk.stream_id
                # A decoder that starts late did not lose what came before it.
                self._next_index = chunk.index
                self._gap_samples, self._holes, self._dropped_at_start = 0, 0, queue_dropped
            if chunk.index < self._next_index:
                return False
            self._holes += chunk.index - self._next_index
            self._next_index = chunk.index + 1
            self._gap_samples += chunk.dropped_before
            return True

    def lost(self, queue_dropped: int) -> int:
        """Return how many chunks were lost; a gap shorter than a chunk counts as one."""
        with self._lock:
            at_capture = -(-self._gap_samples // CHUNK_SAMPLES)
            return at_capture + self._holes + queue_dropped - self._dropped_at_start
