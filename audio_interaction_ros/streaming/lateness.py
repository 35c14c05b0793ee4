"""How late sound comes: what waited behind something that stood still is old, and not to be answered as if now."""

from __future__ import annotations

from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.streaming.fifo import EncodedChunk

LATE_S = 1.5  # more than a busy machine delays a chunk by, less than what one would call an answer to something else
_QUEUES_HOLD_S = 30.0
_FORGETS = 0.01  # of the time that passes: two clocks part by less, and a longer way is the usual one in minutes


class Lateness:
    """A `Lateness` compares each way of a chunk with the shortest so far, so clocks of two machines need not agree."""

    def __init__(self) -> None:
        self._stream_id: int | None = None
        self._shortest_s = 0.0
        self._arrived_s: float | None = None

    def late_s(self, chunk: EncodedChunk, arrived_s: float) -> float:
        """Return how late a chunk is, in seconds; call for every chunk.

        `arrived_s` is by a clock that nobody sets.
        """
        way_s = arrived_s - chunk.stamp_ns / NS_PER_S
        longer_s = way_s - self._shortest_s
        # A stream may begin with what waited; more than any queue holds is another clock, or the same one set back.
        if self._arrived_s is None or (chunk.stream_id != self._stream_id and longer_s > _QUEUES_HOLD_S):
            self._shortest_s = way_s
        else:
            self._shortest_s = min(way_s, self._shortest_s + _FORGETS * (arrived_s - self._arrived_s))
        self._stream_id, self._arrived_s = chunk.stream_id, arrived_s
        return way_s - self._shortest_s
