"""Counts what a stream lost on its way to the decoder; silence about a loss would be worse than the loss."""

from __future__ import annotations

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.streaming.fifo import EncodedChunk


class LossCounter:
    """Chunks lost since the stream began: at capture (gaps), on the way (holes in the index), in a full queue."""

    def __init__(self) -> None:
        self._stream_id: int | None = None
        self._next_index = 0
        self._gap_samples = 0
        self._holes = 0
        self._dropped_at_start = 0

    def arrived(self, chunk: EncodedChunk, queue_dropped: int) -> bool:
        """Call for every chunk before it is queued; `queue_dropped` is the queue's running total.

        False for a chunk that is old or comes twice: it must not be queued.
        """
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
        """Chunks; a gap shorter than a chunk counts as one."""
        at_capture = -(-self._gap_samples // CHUNK_SAMPLES)
        return at_capture + self._holes + queue_dropped - self._dropped_at_start
