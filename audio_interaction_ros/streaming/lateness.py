"""How late sound comes: what waited behind something that stood still is old, and not to be answered as if now."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.streaming.fifo import EncodedChunk

LATE_S = 1.5  # more than a busy machine delays a chunk by, less than what one would call an answer to something else
_QUEUES_HOLD_S = 30.0
_TREND_CHUNKS = 20
_DRIFT_WINDOW_S, _DRIFT_FROM_WINDOWS, _DRIFT_WINDOWS = 10.0, 6, 30
_ANOTHER_CLOCK_S = 2.0
DRIFTS = 300e-6  # sound cards are off by less than 100e-6
_FORGETS = 0.01  # of the time that passes: two clocks part by less, and a longer way is the usual one in minutes


class Lateness:
    """A `Lateness` compares each way of a chunk with the shortest so far, so clocks of two machines need not agree."""

    def __init__(self) -> None:
        self._stream_id: int | None = None
        self._shortest_s = 0.0
        self._arrived_s: float | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=_TREND_CHUNKS)  # arrived, late

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
        late_s = way_s - self._shortest_s
        self._recent.append((arrived_s, late_s))
        return late_s

    @property
    def growth(self) -> float:
        """Return by how many seconds sound comes later every second; 0 where it was late at once, or is not.

        What stood still makes one jump, and what is too slow many small steps.
        """
        if len(self._recent) < _TREND_CHUNKS:
            return 0.0
        steps = [later - earlier for (_, earlier), (_, later) in pairwise(self._recent)]
        passed_s = self._recent[-1][0] - self._recent[0][0]
        grown_s = sum(steps)
        steady = grown_s > 0 and max(steps) < grown_s / 3
        return grown_s / passed_s if steady and passed_s > 0 else 0.0


class Drift:
    """A `Drift` measures by how much a driver's clock goes slower than that of this computer, over minutes.

    A sound card's clock may; a driver that stamps by counting its samples then stamps ever further from the truth.
    """

    def __init__(self) -> None:
        self._shortest: deque[tuple[float, float]] = deque(maxlen=_DRIFT_WINDOWS)  # time and way, in seconds

    def told(self, stamp_ns: int, arrived_s: float) -> None:
        """Take a message into account; `arrived_s` is by a clock that nobody sets."""
        way_s = arrived_s - stamp_ns / NS_PER_S
        if self._shortest and abs(way_s - self._shortest[-1][1]) > _ANOTHER_CLOCK_S:
            self._shortest.clear()
        if not self._shortest or arrived_s - self._shortest[-1][0] > _DRIFT_WINDOW_S:
            self._shortest.append((arrived_s, way_s))
        elif way_s < self._shortest[-1][1]:
            self._shortest[-1] = self._shortest[-1][0], way_s

    @property
    def slow_s(self) -> float:
        """Return how many seconds of a second the stamps lose; 0 in the first minute, negative where they gain."""
        # The last window is still open, so its shortest way may yet become shorter.
        whole = list(self._shortest)[:-1]
        if len(whole) < _DRIFT_FROM_WINDOWS:
            return 0.0
        (first_s, first_way_s), (last_s, last_way_s) = whole[0], whole[-1]
        return (last_way_s - first_way_s) / (last_s - first_s)
