"""Where a piece of sound belongs: counted by its samples, and checked against its stamp (contract 1).

Samples are counted, because a count neither jitters nor jumps. A stamp says of a piece only that it was captured *no
later* than that: a driver that stamps on arrival, in bursts, or on a busy machine stamps late, never early. So the
smallest difference between stamp and count over the last two seconds tells how the two clocks stand to each other, and
the others tell how late the stamps come. That smallest difference

- stays: all is well, whatever the single stamps do; within 300 ppm it is followed, as a sound card's clock drifts;
- grows: sound is missing, and its length is counted as lost;
- shrinks: the clock was set back a little, or a stamp came less late than any before; nothing is lost.

A single stamp decides at once only where it jumps: more than 100 ms back, or more than 2 s ahead, begins a new stream.
More than 100 ms ahead, or twice as late as most come, is a gap (2 ms where a loss is known), unless the stamps that
follow, over 400 ms of sound, show that this one was just late; a chunk takes as long to fill, so that waiting delays
nothing.

Where stamps cannot be believed (see `stamp_watch`), the count alone goes on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE

GAP_NS = 100_000_000  # a stamp this far ahead of the count means that sound may be missing
KNOWN_LOSS_GAP_NS = 2_000_000  # ... when a piece is known to be missing, less is enough
RESTART_NS = 2 * NS_PER_S  # a longer gap is a new stream
BACK_NS = 100_000_000  # a stamp this far before the newest one: the clock was set back
_DECIDE_NS = CHUNK_SAMPLES * NS_PER_SAMPLE
_WINDOW_NS, _WINDOW_PIECES = 2 * NS_PER_S, 32  # over at least so much is the smallest difference looked for
MAX_DRIFT = 300e-6
_FOLLOW_NS = 4 * NS_PER_S  # a drift is corrected over so long
_NEAR = 4  # the smallest difference is as sure as so many of the smallest agree,
_FAR = 6  # and surer than this part of how far most of them spread


class Join(Enum):
    """A `Join` is how a piece joins the one before it."""

    CONTINUES = 'continues'
    GAP = 'gap'
    BREAKS = 'breaks'
    WAITS = 'waits'


@dataclass(frozen=True)
class Placement:
    """A `Placement` says how a piece, with those that waited just before it, joins the stream.

    `lost`: samples at 16 kHz that are missing: just before the pieces (GAP), or somewhere in the last seconds
    (CONTINUES). A piece that WAITS is placed with the next one.
    """

    join: Join
    lost: int = 0


class Belief(Enum):
    """A `Belief` says what stamps are good for: everything, only to stamp chunks with, or nothing."""

    FULL = 'full'
    FOLLOW = 'follow'
    NONE = 'none'


class ClockModel:
    """A `ClockModel` places the pieces of one stream, in nanoseconds and 16 kHz samples; see the module's docstring."""

    def __init__(self, start_ns: int, rate_hz: int) -> None:
        """Begin at `start_ns`, the stamp of the stream's first sample; the rate of a stream does not change."""
        self._anchor_ns = start_ns
        self._rate_hz = rate_hz
        self._lost = 0  # samples at 16 kHz that the stream lost so far
        self._frames = 0  # those that were placed, and those that wait
        self._newest_ns = start_ns
        self._loss_known = False
        self._waiting: list[tuple[int, int, int]] = []  # difference, stamp and length of each piece that waits
        self._belief = Belief.FULL
        self._recent: deque[tuple[int, int]] = deque()  # difference and length of each piece of the last seconds
        self._recent_ns = 0
        self._settled = False
        self._late_ns = 0  # how late most stamps come, at most
        self._moved_ns = 0  # by how much the count's stamps were moved so far

    @property
    def expected_ns(self) -> int:
        """Return the stamp that the next piece should carry."""
        return self.stamp_ns(self._lost) + self._frames * NS_PER_S // self._rate_hz

    def stamp_ns(self, position: int) -> int:
        """Return the capture time of the sample at a 16 kHz position, lost ones counted."""
        return self._anchor_ns + position * NS_PER_SAMPLE

    def note_loss(self) -> None:
        """Note that a piece is missing here: the next stamps tell how much."""
        self._loss_known = True

    def believe(self, belief: Belief) -> None:
        """Say what the stamps of the pieces from now on are good for."""
        if belief is not self._belief:
            self._belief = belief
            self._forget()

    def place(self, stamp_ns: int, frames: int) -> Placement:
        """Return how a piece of `frames` with this stamp joins the stream; it is counted, unless it BREAKS.

        After BREAKS call `settle` for what still waits; the piece itself then begins another model.
        """
        error_ns = stamp_ns - self.expected_ns
        if self._belief is Belief.FULL:
            if stamp_ns < self._newest_ns - BACK_NS or error_ns > RESTART_NS:
                return Placement(Join.BREAKS)
        elif self._belief is Belief.FOLLOW:
            self._anchor_ns += error_ns
            error_ns = 0
        self._newest_ns = max(self._newest_ns, stamp_ns)
        duration_ns = frames * NS_PER_S // self._rate_hz
        self._frames += frames
        if self._belief is not Belief.FULL:
            return self.settle()
        gap_ns = self._gap_ns()
        if self._waiting or error_ns > gap_ns:
            self._waiting.append((error_ns + self._moved_ns, stamp_ns, duration_ns))
            waited_ns = sum(length for _, _, length in self._waiting)
            if error_ns > gap_ns and waited_ns < _DECIDE_NS:
                return Placement(Join.WAITS)
            return self.settle()
        self._loss_known = False
        return Placement(Join.CONTINUES, self._look(error_ns + self._moved_ns, duration_ns))

    def settle(self) -> Placement:
        """Return how what still waits joins the stream, by what is known so far."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return Placement(Join.CONTINUES)
        gap_ns = self._gap_ns()
        smallest_ns = min(difference for difference, _, _ in waiting) - self._moved_ns
        sound_ns = sum(length for _, _, length in waiting[:-1])
        in_a_burst = (waiting[-1][1] - waiting[0][1]) * 2 < sound_ns
        self._loss_known = False
        if smallest_ns <= gap_ns or in_a_burst:
            return Placement(Join.CONTINUES, sum(self._look(difference, length) for difference, _, length in waiting))
        lost = round(smallest_ns / NS_PER_SAMPLE)
        self._lose(lost)
        self._forget()  # the differences of before are without this loss
        for difference, _, length in waiting:
            self._look(difference, length)
        return Placement(Join.GAP, lost)

    def _look(self, difference_ns: int, duration_ns: int) -> int:
        """Take a difference of stamp and count into account; return the samples that turn out to be missing.

        Differences are as if the anchor had never moved, so that moving it is no jump among them.
        """
        self._recent.append((difference_ns, duration_ns))
        self._recent_ns += duration_ns
        while len(self._recent) > _WINDOW_PIECES and self._recent_ns - self._recent[0][1] >= _WINDOW_NS:
            self._recent_ns -= self._recent.popleft()[1]
            self._settled = True
        if not self._settled:  # how late stamps come is not known yet: the least late one so far is the best
            self._move(min(0, difference_ns - self._moved_ns))
            return 0
        differences = sorted(difference for difference, _ in self._recent)
        smallest_ns = differences[0] - self._moved_ns
        near_ns, far_ns = (differences[n] - differences[0] for n in (_NEAR, len(differences) * 9 // 10))
        self._late_ns = far_ns
        doubt_ns = max(KNOWN_LOSS_GAP_NS, _NEAR * near_ns, far_ns // _FAR)
        if smallest_ns > doubt_ns:
            lost = round(smallest_ns / NS_PER_SAMPLE)
            self._lose(lost)
            return lost
        if smallest_ns < -doubt_ns:
            self._move(smallest_ns)
        else:
            most_ns = MAX_DRIFT * duration_ns
            self._move(round(max(-most_ns, min(most_ns, smallest_ns * min(1.0, duration_ns / _FOLLOW_NS)))))
        return 0

    def _gap_ns(self) -> int:
        return KNOWN_LOSS_GAP_NS if self._loss_known else max(GAP_NS, 2 * self._late_ns)

    def _move(self, by_ns: int) -> None:
        self._anchor_ns += by_ns
        self._moved_ns += by_ns

    def _lose(self, samples: int) -> None:
        self._lost += samples
        self._moved_ns += samples * NS_PER_SAMPLE

    def _forget(self) -> None:
        self._recent.clear()
        self._recent_ns, self._settled, self._late_ns = 0, False, 0
