"""What the stamps of the last seconds look like, and the likeliest cause where they do not fit the sound.

Three clocks are compared over the last pieces: the count of samples by the format, the stamps, and the arrivals. Where
count and arrivals agree, the stamps are wrong; where stamps and arrivals agree, the format is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from audio_interaction_ros.audio.clock_model import BACK_NS, Belief
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.audio.timeline import NS_PER_S

_SOUND_NS = NS_PER_S  # of sound before anything is said, so that it is known within two seconds
_LONGEST_NS = 4 * NS_PER_S  # and what is older is forgotten
_LOOK_NS = 100_000_000  # of sound between two looks
_BURST_NS, _LONGEST_BURST_NS = 300_000_000, 3 * NS_PER_S  # to send what sounds so long may take so little
_MIN_PIECES, _MAX_PIECES = 4, 800
_JUMPS = 3  # a clock that is set back so often in that time is two clocks
_SLACK_NS = 50_000_000
_OFF = 0.03  # of the rate: a clock is never so wrong
_TYPICAL_OFF, _MOST = (
    0.05,
    0.6,
)  # of a step that fits, jitter allowed, and of all steps: two drivers make half of them fit
_APART = 0.25  # of the average step: what is nearer was sent at once
_STALE_NS = 10 * NS_PER_S  # a pause: what was before it says nothing of now
_RATES_HZ = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)


@dataclass(frozen=True)
class StampFault:
    """A `StampFault` has a short name of its kind, a sentence with the likeliest cause, and what stamps are good for.

    `unusable`: the sound is not what its description says, so what is made of it cannot be right.
    """

    kind: str
    sentence: str
    belief: Belief
    unusable: bool = False


class StampWatch:
    """A `StampWatch` is told of every piece and says what is wrong with the stamps now, if anything is."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, int, int]] = deque(maxlen=_MAX_PIECES)  # arrival, stamp and length in ns
        self._sound_ns = self._unseen_ns = 0
        self.fault: StampFault | None = None

    def forget(self) -> None:
        """Begin afresh: what follows is another stream, of another format or after a pause."""
        self._pieces.clear()
        self._sound_ns = self._unseen_ns = 0
        self.fault = None

    def told(self, stamp_ns: int, arrived_ns: int, frames: int, pcm: PcmFormat) -> None:
        """Take a piece into account: its stamp, when it arrived by whatever clock, and its length."""
        if self._pieces and abs(arrived_ns - self._pieces[-1][0]) > _STALE_NS:
            self.forget()
        duration_ns = max(1, frames * NS_PER_S // pcm.sample_rate_hz)
        if len(self._pieces) == _MAX_PIECES:
            self._sound_ns -= self._pieces[0][2]
        self._pieces.append((arrived_ns, stamp_ns, duration_ns))
        self._sound_ns += duration_ns
        while len(self._pieces) > _MIN_PIECES and self._sound_ns - self._pieces[0][2] > _LONGEST_NS:
            self._sound_ns -= self._pieces.popleft()[2]
        passed_ns = arrived_ns - self._pieces[0][0]
        self._unseen_ns += duration_ns
        if self._unseen_ns < _LOOK_NS:
            return
        self._unseen_ns = 0
        if passed_ns < _BURST_NS and self._sound_ns < _LONGEST_BURST_NS:
            return  # all of it may have been sent at once
        if len(self._pieces) >= _MIN_PIECES and max(self._sound_ns, passed_ns) >= _SOUND_NS:
            fault = self._look(pcm)
            if fault is None or self.fault is None or fault.kind != self.fault.kind:
                self.fault = fault  # while it lasts it is said in the same words

    def _look(self, pcm: PcmFormat) -> StampFault | None:
        arrivals, stamps, durations = map(list, zip(*self._pieces, strict=True))
        steps = [later - earlier for earlier, later in pairwise(stamps)]
        durations.pop()  # what the last piece holds comes after its stamp
        sound_ns, stamped_ns = sum(durations), stamps[-1] - stamps[0]
        if not any(steps):
            return StampFault(
                'one_stamp',
                'every message has the same stamp, so sound is placed by counting it, and what gets lost is not '
                'noticed; the audio driver probably stamps when it starts: let it stamp each message with the capture '
                'time of its first sample',
                Belief.NONE,
            )
        jumps = sum(step < -BACK_NS for step in steps)
        if jumps >= _JUMPS:
            return StampFault(
                'jumping_stamps',
                f'stamps jump back ({jumps} times in {sound_ns / NS_PER_S:.1f} s of sound), so sound is '
                'placed by counting it; probably two publishers with different clocks: leave one, and let it stamp '
                'each message with the capture time of its first sample',
                Belief.NONE,
            )
        if _fits(stamps, sound_ns):
            return None
        ratios = _ratios(steps, durations)
        fitting = sum(0.5 < ratio < 1.5 for ratio in ratios)
        typical = abs(median(ratios) - 1.0) < _TYPICAL_OFF
        if stamped_ns > sound_ns and (typical or abs(ratios[len(ratios) // 4] - 1.0) < _TYPICAL_OFF):
            return None  # sound was lost, even much of it, and the rest fits
        if typical and fitting > _MOST * len(ratios):
            return None  # here and there it came late all at once
        if _fits(arrivals, sound_ns):
            return StampFault(
                'other_clock',
                f'stamps run at {stamped_ns / sound_ns:.2f} times the rate of the sound, which comes in real time, so '
                'sound is placed by counting it; the audio driver probably stamps by another clock, such as simulated '
                'time beside a real microphone: let it stamp by the clock that the sound is captured by',
                Belief.NONE,
            )
        return _wrong_format(pcm, sound_ns / len(steps), sound_ns / max(1, stamped_ns))


def _ratios(steps_ns: list[int], durations_ns: list[int]) -> list[float]:
    """How long it took, by the stamps, to send what was sent at once, by how long that sounds; sorted.

    What is sent at once is one piece, or, of a driver that sends in bursts, all with about the same stamp.
    """
    apart_ns = sum(steps_ns) / len(steps_ns) * _APART
    ratios, passed_ns, sound_ns = [], 0, 0
    for step_ns, duration_ns in zip(steps_ns, durations_ns, strict=True):
        passed_ns, sound_ns = passed_ns + step_ns, sound_ns + duration_ns
        if step_ns > apart_ns:
            ratios.append(passed_ns / sound_ns)
            passed_ns = sound_ns = 0
    return sorted(ratios)


def _wrong_format(pcm: PcmFormat, piece_ns: float, factor: float) -> StampFault:
    """`piece_ns` is the length of a piece by its format, which is `factor` times what it takes by the stamps."""
    said = f'{pcm.sample_rate_hz} Hz, {pcm.channels} channel{"s" if pcm.channels > 1 else ""}, {pcm.sample_format}'
    return StampFault(
        'wrong_format',
        f'messages hold {piece_ns / 1e6:.0f} ms of sound each by their description ({said}), but are '
        f'{piece_ns / factor / 1e6:.0f} ms apart, so what is heard cannot be right; probably audio_info is wrong '
        f'({_cures(pcm, factor)} would fit) or two publishers send on one topic: correct the audio driver, or '
        'sample_rate, channels and sample_format where they are set',
        Belief.FOLLOW,
        unusable=True,
    )


def _fits(times_ns: list[int], sound_ns: int) -> bool:
    """Whether so much time has passed as there is sound, but for a burst at either end, or a loss."""
    longest_ns = max(abs(later - earlier) for earlier, later in pairwise(times_ns))
    off_ns = abs(times_ns[-1] - times_ns[0] - sound_ns)
    return off_ns <= max(_OFF * sound_ns, 1.5 * longest_ns + _SLACK_NS)


def _cures(pcm: PcmFormat, factor: float) -> str:
    """Return what else the format could be, if a message holds `factor` times as much as fits between two."""
    real_hz = pcm.sample_rate_hz * factor
    rate_hz = min(_RATES_HZ, key=lambda rate: abs(rate - real_hz))
    cures = [f'{rate_hz} Hz' if abs(rate_hz - real_hz) < _OFF * real_hz else f'about {real_hz:.0f} Hz']
    channels = round(pcm.channels * factor)
    if channels and channels != pcm.channels and abs(channels - pcm.channels * factor) < _OFF * channels:
        cures.append(f'{channels} channel{"s" if channels > 1 else ""}')
    return ' or '.join(cures)
