"""Temporal three and temporal four: a steady tone that goes on and off in the rhythm that a standard fixes.

Every frequency of the band is watched on its own, and the rhythm is compared where a slot of it is certain, away from
its edges, so that the standards' tolerances and a room's echo do no harm.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.safety.alarm_spectrum import BIN_HZ, FRAMES_PER_CHUNK, FRAMES_PER_S, Frames

_FIRST_BIN, _LAST_BIN, _BIN_STEP = 24, 272, 2  # 375 to 4250 Hz
_NEAR_BINS, _AROUND_BINS = 2, 8  # of the band: the tone itself, and what it must stand out of
_PERIOD_TOLERANCE = 0.1
_RANGE_DB = 30.0  # below the loudest of the last seconds all is quiet alike

Numbers = npt.NDArray[np.float64]
Slots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Rhythm:
    """A `Rhythm` is one group of pulses, in seconds from its first pulse, and how often it comes."""

    name: str
    on_s: Slots
    off_s: Slots
    quiet_s: Slots
    scales: tuple[float, ...]
    period_s: float
    contrast_db: float  # every pulse over every gap
    quiet_db: float  # the pulses over the quiet around the group
    tonal_db: float  # the pulses over the frequencies around them
    spread_db: float  # of the pulses' levels
    near_bins: (
        int  # of 31 Hz: how far away a tone counts in the gaps; a musician's vibrato has the pace of temporal four
    )


@dataclass
class _Group:
    start: int  # frame since the beginning
    bins: npt.NDArray[np.bool_]
    score: Numbers
    first: int  # ... of the first group of the chain that it ends
    cycles: int = 1


@dataclass(frozen=True)
class RhythmHeard:
    """A `RhythmHeard` is `cycles` groups in the standard's period, the first at frame `first`, of one tone."""

    name: str
    fundamental_hz: float
    cycles: int
    first: int
    fit: float


class _Sums:
    """Running sums over time, of which two give the mean of any slot; each is made when it is needed."""

    def __init__(self, level_db: Frames, tonal_db: Frames, near_bins: int) -> None:
        self._level_db = np.maximum(level_db, level_db.max(axis=0) - _RANGE_DB)
        self._tonal_db = tonal_db
        self._near_bins = near_bins

    @functools.cached_property
    def level(self) -> Numbers:
        return _running(self._level_db)

    @functools.cached_property
    def loudest(self) -> Numbers:
        """Of a bin and those around it."""
        return _running(_highest_near(self._level_db, self._near_bins))

    @functools.cached_property
    def tonal(self) -> Numbers:
        return _running(self._tonal_db)


def _running(frames: Frames) -> Numbers:
    return np.cumsum(np.pad(frames, ((1, 0), (0, 0))), axis=0, dtype=np.float64)


class RhythmDetector:
    """A `RhythmDetector` finds groups of pulses that come in the rhythm's period.

    It holds some seconds of frames and a few groups.
    """

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm
        slots, longest = (*rhythm.on_s, *rhythm.off_s, *rhythm.quiet_s), max(rhythm.scales)
        first_s, last_s = min(begin for begin, _ in slots), max(end for _, end in slots)
        self._history = _frame(last_s * longest) - _frame(first_s * longest) + 1 + FRAMES_PER_CHUNK
        bins = len(range(_FIRST_BIN, _LAST_BIN, _BIN_STEP))
        self._level_db = np.full((self._history, bins), -120.0, np.float32)
        self._tonal_db = np.zeros((self._history, bins), np.float32)
        self._groups: list[_Group] = []
        self._frames = 0

    def push(self, levels_db: Frames) -> RhythmHeard | None:
        """Add the levels of one chunk, float32 [25, 513], and return what became certain with them."""
        band = levels_db[:, _FIRST_BIN:_LAST_BIN:_BIN_STEP]
        self._level_db = np.concatenate([self._level_db[len(band) :], band])
        self._tonal_db = np.concatenate([self._tonal_db[len(band) :], _tonal_db(band)])
        self._frames += len(band)
        sums = _Sums(self._level_db, self._tonal_db, self._rhythm.near_bins)
        groups = [self._group(sums, scale) for scale in self._rhythm.scales]
        best = max((group for group in groups if group is not None), key=lambda group: group.score.max(), default=None)
        return self._chain(best) if best is not None else None

    def _group(self, sums: _Sums, scale: float) -> _Group | None:
        """The best group that ends within the newest chunk, its times multiplied by `scale`.

        Gaps and quiet count with the bins around them: a tone that vibrates comes and goes in every bin it crosses.
        """
        rhythm = self._rhythm
        start = self._history - FRAMES_PER_CHUNK - _frame(rhythm.quiet_s[-1][1] * scale)

        def means(total: Numbers, slots: Slots) -> Numbers:
            """Return the mean levels, [slot, frame that the group may start at, bin]."""
            found = []
            for slot in slots:
                begin, end = start + _frame(slot[0] * scale), start + _frame(slot[1] * scale)
                end = max(end, begin + 1)
                found.append(
                    (total[end : end + FRAMES_PER_CHUNK] - total[begin : begin + FRAMES_PER_CHUNK]) / (end - begin)
                )
            return np.stack(found)

        on = means(sums.level, rhythm.on_s)
        softest = on.min(axis=0)
        fits = on.max(axis=0) - softest <= rhythm.spread_db
        fits &= softest - means(sums.level, rhythm.off_s).max(axis=0) >= rhythm.contrast_db
        if not fits.any():  # as nearly always: the rest is not worth the work
            return None
        contrast = softest - means(sums.loudest, rhythm.off_s).max(axis=0)
        over_quiet = softest - means(sums.loudest, rhythm.quiet_s).max(axis=0)
        fits &= (contrast >= rhythm.contrast_db) & (over_quiet >= rhythm.quiet_db)
        fits &= means(sums.tonal, rhythm.on_s).mean(axis=0) >= rhythm.tonal_db
        if not fits.any():
            return None
        score = np.where(fits, np.minimum(contrast, over_quiet), 0.0)
        row = int(score.max(axis=1).argmax())
        first = self._frames - self._history + start + row
        return _Group(first, fits[row], score[row], first=first)

    def _chain(self, found: _Group) -> RhythmHeard | None:
        """Joins the group to those before it; what is heard when it is new and follows in the rhythm's period."""
        rhythm = self._rhythm
        period = rhythm.period_s * FRAMES_PER_S
        self._groups = [group for group in self._groups if found.start - group.start < 2.3 * period]
        same = [group for group in self._groups if abs(found.start - group.start) < 0.1 * period]
        known = max((group.cycles for group in same), default=0)
        for group in same:
            found.bins |= group.bins
            found.score = np.maximum(found.score, group.score)
            self._groups.remove(group)
        common = found.bins
        for group in self._groups:
            turns = (found.start - group.start) / period
            if abs(turns - round(turns)) > _PERIOD_TOLERANCE * turns or round(turns) < 1:
                continue
            shared = _widened(group.bins) & found.bins
            if shared.any() and group.cycles + 1 > found.cycles:
                found.cycles, found.first, common = group.cycles + 1, group.first, shared
        self._groups.append(found)
        if found.cycles <= max(known, 1):
            return None
        score = np.where(common, found.score, 0.0)
        low = int(np.flatnonzero(score >= 0.6 * score.max())[0])
        while low + 1 < len(score) and score[low + 1] > score[low]:
            low += 1
        fit = float(np.clip(score.max() / (2.0 * rhythm.contrast_db), 0.0, 1.0))
        return RhythmHeard(rhythm.name, (_FIRST_BIN + _BIN_STEP * low) * BIN_HZ, found.cycles, found.first, fit)


def _frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_S)


def _highest_near(band: Frames, bins: int) -> Frames:
    """The highest level of a bin and those up to `bins` away."""
    highest = band.copy()
    for shift in range(1, bins + 1):
        highest[:, shift:] = np.maximum(highest[:, shift:], band[:, :-shift])
        highest[:, :-shift] = np.maximum(highest[:, :-shift], band[:, shift:])
    return highest


def _tonal_db(band: Frames) -> Frames:
    """How far every bin stands out of its neighbours' mean power."""
    power = np.power(10.0, 0.1 * band)
    total = np.cumsum(np.pad(power, ((0, 0), (_AROUND_BINS + 1, _AROUND_BINS)), mode='edge'), axis=1, dtype=np.float64)
    wide = total[:, 2 * _AROUND_BINS + 1 :] - total[:, : -2 * _AROUND_BINS - 1]
    low, high = _AROUND_BINS - _NEAR_BINS, _AROUND_BINS + _NEAR_BINS + 1
    near = total[:, high : high + band.shape[1]] - total[:, low : low + band.shape[1]]
    around = np.maximum(wide - near, 1e-12) / (2 * (_AROUND_BINS - _NEAR_BINS))
    return (band - 10.0 * np.log10(around)).astype(np.float32)


def _widened(bins: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    wide = bins.copy()
    wide[1:] |= bins[:-1]
    wide[:-1] |= bins[1:]
    return wide


def _pieces(longest_s: float, *spans: tuple[float, float]) -> Slots:
    """So short that something else in one of them shows."""
    edges = [np.linspace(begin, end, int(np.ceil((end - begin) / longest_s)) + 1).tolist() for begin, end in spans]
    return tuple(slot for span in edges for slot in itertools.pairwise(span))


# Slots keep clear of the pulses' edges: by what the tolerances leave, the window blurs, and a room rings on.
TEMPORAL_THREE = Rhythm(
    'temporal_three',  # ISO 8201: 0.5 s on and off three times, then 1.5 s off
    on_s=_pieces(0.2, (0.06, 0.44), (1.06, 1.44), (2.06, 2.44)),
    off_s=((0.59, 0.91), (1.59, 1.91)),
    quiet_s=_pieces(0.25, (-1.1, -0.15), (2.7, 3.7)),
    scales=(0.92, 0.96, 1.0, 1.04, 1.08),
    period_s=4.0,
    contrast_db=7.0,
    quiet_db=8.0,
    tonal_db=9.0,
    spread_db=8.0,
    near_bins=1,
)
TEMPORAL_FOUR = Rhythm(
    'temporal_four',  # UL 2034: 0.1 s on and off four times, then 5 s off
    on_s=((0.016, 0.084), (0.216, 0.284), (0.416, 0.484), (0.616, 0.684)),
    off_s=((0.12, 0.18), (0.32, 0.38), (0.52, 0.58)),
    quiet_s=_pieces(0.25, (-2.0, -0.1), (0.95, 2.7)),
    scales=(0.9, 0.94, 0.98, 1.02, 1.06, 1.1),
    period_s=5.7,
    contrast_db=2.0,
    quiet_db=9.0,
    tonal_db=9.0,
    spread_db=12.0,
    near_bins=4,
)
