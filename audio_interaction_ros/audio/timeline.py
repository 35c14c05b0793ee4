"""Units of time, and the stamps that a captured block gets (contract 1). Plain integers, in nanoseconds."""

from __future__ import annotations

from audio_interaction_ros.audio import SAMPLE_RATE_HZ

NS_PER_S = 1_000_000_000
NS_PER_SAMPLE = NS_PER_S // SAMPLE_RATE_HZ  # 62 500, exactly


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
