"""Sample counts and clocks: what a stamp means for a stream of pieces (contract 1). Plain integers, in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from audio_interaction_ros.audio import SAMPLE_RATE_HZ

NS_PER_S = 1_000_000_000
NS_PER_SAMPLE = NS_PER_S // SAMPLE_RATE_HZ  # 62 500, exactly

GAP_NS = 100_000_000  # a stamp this far ahead means that sound is missing
KNOWN_LOSS_GAP_NS = 2_000_000  # ... when a piece is known to be missing, less is enough
RESTART_NS = 2 * NS_PER_S  # a gap longer than this is a new stream


class Join(Enum):
    """A `Join` is how a piece joins the one before it."""

    CONTINUES = 'continues'
    GAP = 'gap'
    BREAKS = 'breaks'


@dataclass(frozen=True)
class Placement:
    """A `Placement` says how a piece joins its stream and, after a gap, where it begins.

    `position` is in 16 kHz samples from the start of the stream.
    """

    join: Join
    position: int = 0


class StreamTimeline:
    """A `StreamTimeline` compares every piece's stamp with the one that its predecessors' sample counts promise.

    Stamps jitter and a sound card's clock drifts against the computer's; both are followed slowly, so that a
    long stream needs no gap. Only a stamp more than 100 ms off says that something happened.
    """

    def __init__(self, start_ns: int) -> None:
        """Begin at `start_ns`, the stamp of the stream's first sample."""
        self._anchor_ns = start_ns
        self._offset = 0  # 16 kHz position where the current run of unbroken pieces begins
        self._frames = 0  # frames of that run so far
        self._rate_hz = SAMPLE_RATE_HZ
        self._loss_known = False

    @property
    def expected_ns(self) -> int:
        """Return the stamp that the next piece should carry."""
        return self.stamp_ns(self._offset) + self._frames * NS_PER_S // self._rate_hz

    def stamp_ns(self, position: int) -> int:
        """Return the capture time of the sample at a 16 kHz position."""
        return self._anchor_ns + position * NS_PER_SAMPLE

    def note_loss(self) -> None:
        """Note that a piece is missing here: the next stamp tells how much."""
        self._loss_known = True

    def place(self, stamp_ns: int) -> Placement:
        """Return how a piece with this stamp joins the stream; call `advance` with its length afterwards."""
        error_ns = stamp_ns - self.expected_ns
        gap_ns = KNOWN_LOSS_GAP_NS if self._loss_known else GAP_NS
        if error_ns < -GAP_NS or error_ns > RESTART_NS:
            return Placement(Join.BREAKS)
        self._loss_known = False
        if error_ns > gap_ns:
            self._offset = (stamp_ns - self._anchor_ns) // NS_PER_SAMPLE
            self._frames = 0
            return Placement(Join.GAP, self._offset)
        self._anchor_ns += error_ns // 100
        return Placement(Join.CONTINUES)

    def advance(self, frames: int, rate_hz: int) -> None:
        """Count the length of the piece that was placed last; the rate of a stream does not change."""
        self._frames += frames
        self._rate_hz = rate_hz


class CaptureClock:
    """A `CaptureClock` stamps a device's blocks: a sample count on an anchor that follows the computer's clock slowly.

    A block's arrival says when it was captured only roughly (schedulers are late), so the anchor moves by at
    most 50 µs a block: stamps neither jump with the scheduler nor drift with the sound card.
    """

    _FOLLOW = 200  # part of the error corrected with each block
    _MAX_ERROR_NS = 10_000_000
    _LOST_NS = 5_000_000  # after an overflow: this much later than counted is sound that is missing
    _STEP_NS = NS_PER_S  # the computer's clock was set

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._anchor_ns: int | None = None
        self._frames = 0

    def stamp_ns(self, captured_ns: int, frames: int, lost: bool = False) -> int:
        """Return the stamp of a block of `frames` whose first one was captured at about `captured_ns`.

        `lost`: the device reported that sound before this block is missing; the stamp then jumps by it.
        """
        if self._anchor_ns is None:
            self._anchor_ns = captured_ns
        counted_ns = self._anchor_ns + self._frames * NS_PER_S // self._rate_hz
        error_ns = captured_ns - counted_ns
        if (lost and error_ns > self._LOST_NS) or abs(error_ns) > self._STEP_NS:
            self._anchor_ns, self._frames, counted_ns = captured_ns, 0, captured_ns
        else:
            bounded_ns = max(-self._MAX_ERROR_NS, min(self._MAX_ERROR_NS, error_ns))
            self._anchor_ns += bounded_ns // self._FOLLOW
        self._frames += frames
        return counted_ns
