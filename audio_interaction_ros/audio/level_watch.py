"""Is it sound that the model gets, and how loud? Measured on what is encoded, mixed to mono, from 40 Hz up.

A robot whose microphone is dead, or whose channels cancel when they are mixed, must not call itself well, however
lively the raw samples look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.audio.channels import Averaging
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.high_pass import HighPass
from audio_interaction_ros.audio.levels import power_dbfs

# Root mean square of 100 ms. Measured on the demo scene (docs/reference.md): with its loudest sounds at −45 dBFS nearly
# everything is answered, at −55 half, at −60 next to nothing.
USABLE_DBFS = (-45.0, -10.0)  # where the loudest sounds should be
_AIM_DBFS = -25.0
QUIET_DBFS, QUIET_FLOOR_DBFS = -50.0, -78.0  # a quiet room with a microphone that is loud enough lies above the latter
_CUTOFF_HZ = 40.0
_BLOCK_S = 0.1
_DEAD_BLOCKS = 14  # no microphone is dead for so long, 1.4 s, and well
_RECENT_BLOCKS, _SURE_BLOCKS = 20, 10
_QUIET_AFTER_BLOCKS, _LONG_BLOCKS = 100, 300  # 10 s before it is said, of the last 30 s
_LOWEST_BITS = 3 / 32_768  # from the lowest to the highest sample: two steps of 16 bits, and a little
_DC_DBFS = -34.0
_CLIPPED = 0.999
_CLIPPED_SHARE = 0.005


@dataclass(frozen=True)
class LevelFault:
    """A `LevelFault` has a short name and a sentence with the measured level and the cure; `deaf`: nothing is heard."""

    kind: str
    sentence: str
    deaf: bool = False


@dataclass(frozen=True)
class Levels:
    """`Levels` are what was measured over the last 2 s; `loudest_dbfs` and `floor_dbfs`, of 100 ms, within 30 s.

    A tenth of the time is below the floor.
    """

    level_dbfs: float
    loudest_dbfs: float
    floor_dbfs: float
    channels_dbfs: float  # before mixing, their mean power
    dc_dbfs: float
    peak_dbfs: float
    clipped_share: float


@dataclass(frozen=True)
class _Block:
    samples: int
    low: float
    high: float
    total: float
    squares: float
    channel_squares: npt.NDArray[np.float64]  # of each channel
    clipped: float


class LevelWatch:
    """A `LevelWatch` is told of every piece of sound and says what is wrong with its level now, if anything is.

    `fault` is None where nothing is, or where too little came to say; `levels` is None before the first 100 ms. One
    thread may tell while another reads these.
    """

    def __init__(self, numbers: Sequence[int] = ()) -> None:
        """Take the numbers of the channels in their source, where some of its channels are measured only."""
        self._numbers = numbers
        self._format: PcmFormat | None = None
        self._blocks: deque[_Block] = deque(maxlen=_LONG_BLOCKS)
        self._rest: list[Samples] = []
        self._waiting = 0
        self._high_pass: HighPass
        self.levels: Levels | None = None
        self.fault: LevelFault | None = None
        self.faults: dict[str, LevelFault] = {}  # of each kind, as it was measured last

    def forget(self) -> None:
        """Begin afresh, as after a pause."""
        self._format = None
        self._blocks.clear()
        self._rest, self._waiting = [], 0
        self.levels = self.fault = None

    def told(self, samples: Samples, pcm: PcmFormat) -> None:
        """Take a piece into account, float32 [frames, channels]."""
        if pcm != self._format:
            self.forget()
            self._format = pcm
            self._high_pass = HighPass(pcm.sample_rate_hz, _CUTOFF_HZ)
        self._rest.append(samples)
        self._waiting += len(samples)
        frames = round(pcm.sample_rate_hz * _BLOCK_S)
        if self._waiting < frames:
            return
        joined = np.concatenate(self._rest)
        whole = len(joined) // frames * frames
        for first in range(0, whole, frames):
            self._blocks.append(self._measure(joined[first : first + frames]))
            averaging = self._averaging()
            self.levels = self._levels(averaging)
            fault = self._look(self.levels, averaging)
            if fault is None or self.fault is None or fault.kind != self.fault.kind:
                self.fault = fault  # while it lasts it is said in the same words
            if fault is not None:
                self.faults[fault.kind] = fault
        self._rest, self._waiting = [joined[whole:]], len(joined) - whole

    def _averaging(self) -> Averaging:
        recent = list(self._blocks)[-_RECENT_BLOCKS:]
        samples = sum(block.samples for block in recent)
        powers = np.sum([block.channel_squares for block in recent], axis=0) / samples
        return Averaging.of(powers, sum(block.squares for block in recent) / samples, self._numbers)

    def _levels(self, averaging: Averaging) -> Levels:
        recent = list(self._blocks)[-_RECENT_BLOCKS:]
        samples = sum(block.samples for block in recent)
        powers = sorted(block.squares / block.samples for block in self._blocks)
        return Levels(
            level_dbfs=averaging.average_dbfs,
            loudest_dbfs=power_dbfs(powers[-1]),
            floor_dbfs=power_dbfs(powers[len(powers) // 10]),
            channels_dbfs=averaging.each_dbfs,
            dc_dbfs=power_dbfs((sum(block.total for block in recent) / samples) ** 2),
            peak_dbfs=power_dbfs(max(max(block.high, -block.low) for block in recent) ** 2),
            clipped_share=sum(block.clipped for block in recent) / samples,
        )

    def _look(self, levels: Levels, averaging: Averaging) -> LevelFault | None:
        if len(self._blocks) >= _DEAD_BLOCKS:
            dead = list(self._blocks)[-_DEAD_BLOCKS:]
            if fault := _dead(dead, averaging):
                return fault
        if len(self._blocks) < _SURE_BLOCKS:
            return None
        return _worse(levels, long_enough=len(self._blocks) >= _QUIET_AFTER_BLOCKS)

    def _measure(self, samples: Samples) -> _Block:
        mono = samples.mean(axis=1, dtype=np.float64)
        heard = self._high_pass.push(samples)
        return _Block(
            len(samples),
            float(mono.min()),
            float(mono.max()),
            float(mono.sum()),
            float(np.square(heard.mean(axis=1, dtype=np.float64)).sum()),
            np.square(heard, dtype=np.float64).sum(axis=0),
            float((np.abs(samples).max(axis=1) >= _CLIPPED).sum()),
        )


def _dead(blocks: Sequence[_Block], averaging: Averaging) -> LevelFault | None:
    low, high = min(block.low for block in blocks), max(block.high for block in blocks)
    if averaging.channels > 1 and averaging.cancels:
        return LevelFault('channels_cancel', averaging.sentence, deaf=True)
    if low == high == 0.0:
        return LevelFault(
            'digital_silence',
            'the microphone gives digital silence; unmute it, by its switch or in the mixer (alsamixer, pavucontrol), '
            'or try another',
            deaf=True,
        )
    if low == high:
        return LevelFault(
            'constant',
            f'the microphone gives one value only, {low:.5f} of full scale; it is dead, or its plug is not in: '
            'try another socket, or another microphone',
            deaf=True,
        )
    if high - low <= _LOWEST_BITS:
        level_dbfs = power_dbfs(sum(block.squares for block in blocks) / sum(block.samples for block in blocks))
        return LevelFault(
            'lowest_bit',
            f'the microphone gives only its lowest bit, {level_dbfs:.0f} dBFS; it is dead or all but muted: '
            'raise its gain in the mixer (alsamixer, pavucontrol), or try another',
            deaf=True,
        )
    return None


def _worse(levels: Levels, long_enough: bool) -> LevelFault | None:
    if levels.clipped_share > _CLIPPED_SHARE:
        return LevelFault(
            'clipping',
            f'the sound is clipped, {levels.clipped_share:.1%} of the samples are at full scale; lower the '
            "microphone's gain (alsamixer, pavucontrol), by 10 dB to begin with",
        )
    if levels.dc_dbfs > _DC_DBFS:
        return LevelFault(
            'dc',
            f'the microphone adds a constant (DC) of {levels.dc_dbfs:.0f} dBFS, which makes the model mistake sounds; '
            'set high_pass_hz of chunk_encoder to 2, or use another sound card',
        )
    if long_enough and levels.loudest_dbfs < QUIET_DBFS and levels.floor_dbfs < QUIET_FLOOR_DBFS:
        return LevelFault(
            'quiet',
            f'the microphone is too quiet: nothing above {levels.loudest_dbfs:.0f} dBFS in the last half minute, a '
            f'floor of {levels.floor_dbfs:.0f} dBFS, and loud sounds should reach {USABLE_DBFS[0]:.0f} dBFS; raise its '
            f'gain (alsamixer, pavucontrol), by {_AIM_DBFS - levels.loudest_dbfs:.0f} dB to begin with, or clap '
            'and look again (`audio-interaction levels`)',
        )
    return None
