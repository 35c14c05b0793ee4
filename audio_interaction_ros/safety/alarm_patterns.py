"""What a folded cycle is: a siren's sweep, two tones in turn, or a sweep that a standard fixes.

Salience is in decibels over the octaves around, harmonics added: a tone in noise of its own level reaches 25 to 36.
The limits below were chosen on one half of the recordings and rendered alarms; docs/safety.md reports on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.safety.alarm_cycles import Cycle
from audio_interaction_ros.safety.alarm_spectrum import LOWEST_PITCH_HZ, PITCHES, PITCHES_PER_OCTAVE, Frames, pitch_hz

_VOICED = 12.0  # salience of a pitch that is there
_CORRELATION = 0.4  # of the sound with itself one period later
_COVERED = 0.92  # of a standard's contour is there, if faintly
_LEADING = 0.7  # ... and is, or almost is, what stands out most
_CONTRAST = 5.0  # its pitches while the contour is at them, over the rest of the cycle
_NOTE = 12.0  # a tone in its half of the cycle over the other half
_STEADY = 0.82  # of a two-tone cycle belongs to one of the tones
_HI_LO_PITCHES = 2, 39  # 370 to 1050 Hz
_SIREN_OCTAVES = 0.42  # and more, between a siren's lowest and highest pitch
_DETUNED_PITCHES = 2  # about 6 %


@dataclass(frozen=True)
class Pattern:
    """A `Pattern` is a named cycle: its period, the bounds of its pitch, and how well it fits, 0 to 1."""

    name: str
    period_s: float
    low_hz: float
    high_hz: float
    fit: float


Matcher = Callable[[Cycle], Pattern | None]


@dataclass(frozen=True)
class Template:
    """A `Template` holds the pitches that a standard fixes, at even phases of the cycle; NaN where it is quiet.

    They may have one of several shapes.
    """

    name: str
    shortest_s: float
    longest_s: float
    shapes_hz: tuple[npt.NDArray[np.float64], ...]

    def match(self, cycle: Cycle) -> Pattern | None:
        """Return the pattern if the cycle follows the contour, at any phase and with its pitch somewhat off."""
        if not self.shortest_s <= cycle.period_s <= self.longest_s or cycle.correlation < _CORRELATION:
            return None
        near = _near(cycle.salience)
        phases = np.arange(len(near))
        turned = (phases[:, None] + phases) % len(near)  # [shift, phase]
        strongest = near.max(axis=1)
        best, found = 0.0, None
        for shape_hz in self.shapes_hz:
            hertz = shape_hz[((phases + 0.5) / len(near) * len(shape_hz)).astype(np.int64)]
            sounding = np.isfinite(hertz)
            centre = np.round(np.log2(hertz[sounding] / LOWEST_PITCH_HZ) * PITCHES_PER_OCTAVE)
            for detuned in range(-_DETUNED_PITCHES, _DETUNED_PITCHES + 1):
                pitch = np.clip(centre + detuned, 0, PITCHES - 1).astype(np.int64)
                along = near[turned[:, sounding], pitch]
                mean = along.mean(axis=1)
                shift = int(mean.argmax())
                if mean[shift] <= best or not _follows(along[shift], strongest[turned[shift, sounding]]):
                    continue
                if _contrast(near, turned[shift, sounding], pitch) >= _CONTRAST:
                    best = float(mean[shift])
                    bounds = pitch_hz(int(pitch.min())), pitch_hz(int(pitch.max()))
                    found = Pattern(self.name, cycle.period_s, *bounds, cycle.correlation)
        return found


def _sweep(from_hz: float, to_hz: float, share: float) -> tuple[npt.NDArray[np.float64], ...]:
    """Even in hertz, and even in octaves, over a share of the cycle."""
    phase = (np.arange(100) + 0.5) / 100 / share
    shapes = from_hz + (to_hz - from_hz) * phase, from_hz * (to_hz / from_hz) ** phase
    return tuple(np.where(phase <= 1.0, shape, np.nan) for shape in shapes)


SLOW_WHOOP = Template('slow_whoop', 3.5, 4.5, _sweep(500.0, 1200.0, 0.875))  # NEN 2575: 3.5 s up, 0.5 s quiet
DIN_SWEEP = Template('din_sweep', 0.9, 1.1, _sweep(1200.0, 500.0, 1.0))  # DIN 33404-3: down once a second
NF_TWO_TONE = Template('nf_two_tone', 0.45, 0.55, (np.repeat([554.0, 440.0], [20, 80]),))  # NF S 32-001: 0.1 s, 0.4 s


def match_yelp(cycle: Cycle) -> Pattern | None:
    """Return a yelp: up and down over half an octave or more, 150 to 250 times a minute and somewhat beyond."""
    if not 0.16 <= cycle.period_s <= 0.55:
        return None
    return _siren('yelp', cycle, _contour(cycle))


def match_wail(cycle: Cycle) -> Pattern | None:
    """Return a wail: up and down over half an octave or more, 10 to 30 times a minute, without leaps."""
    if not 1.8 <= cycle.period_s <= 7.0:
        return None
    pitch = _contour(cycle)
    around = np.concatenate([pitch[-2:], pitch, pitch[:2]])
    if len(around) < 5:
        return None
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(around, 5), axis=1)
    found = _siren('wail', cycle, smooth)
    steps = np.diff(np.append(smooth, smooth[0]))
    falling = (steps[steps != 0] < 0).mean() if steps.any() else 0.0
    if found is None or np.abs(steps).max() > 0.35 * np.ptp(smooth) or not 0.15 <= falling <= 0.85:
        return None
    return found


def match_hi_lo(cycle: Cycle) -> Pattern | None:
    """Return a hi-lo: two steady tones in turn, each for half of the cycle (DIN 14610 and its kin)."""
    if not 0.5 <= cycle.period_s <= 2.2 or cycle.correlation < _CORRELATION:
        return None
    phases = len(cycle.salience)
    half, begin, end = phases // 2, max(1, round(0.06 * phases)), max(2, round(0.44 * phases))
    total = np.cumsum(np.pad(np.tile(cycle.salience, (2, 1)), ((1, 0), (0, 0))), axis=0)
    first = (total[end : end + phases] - total[begin : begin + phases]) / (end - begin)  # [phase it begins at, pitch]
    over = first - np.roll(first, -half, axis=0)
    over[:, : _HI_LO_PITCHES[0]] = over[:, _HI_LO_PITCHES[1] :] = 0.0  # a harmonic may alternate more clearly
    one, other = over.argmax(axis=1), over.argmin(axis=1)
    rows = np.arange(phases)
    score = np.minimum(over[rows, one], -over[rows, other])
    at = int(score.argmax())
    low, high = sorted((int(one[at]), int(other[at])))
    bounds = pitch_hz(low), pitch_hz(high)
    if score[at] < _NOTE or not 0.12 <= (high - low) / PITCHES_PER_OCTAVE <= 0.85:
        return None
    near = _near(cycle.salience)[(at + rows) % phases]
    there = np.where(rows < half, near[:, one[at]], near[:, other[at]])
    if (there >= 0.8 * near.max(axis=1)).mean() < _STEADY or np.median(there) < _VOICED:
        return None
    return Pattern('hi_lo', cycle.period_s, *bounds, cycle.correlation)


def _contour(cycle: Cycle) -> npt.NDArray[np.int64]:
    """The pitch wherever there is one; empty when that is too seldom."""
    voiced = cycle.salience.max(axis=1) >= _VOICED
    return cycle.salience.argmax(axis=1)[voiced] if voiced.mean() >= 0.75 else np.empty(0, np.int64)


def _siren(name: str, cycle: Cycle, pitch: npt.NDArray[np.number]) -> Pattern | None:
    """One way up and one way down between pitches that sirens have."""
    if not len(pitch) or cycle.correlation < _CORRELATION:
        return None
    low, high = np.percentile(pitch, 5), np.percentile(pitch, 95)
    travel = np.abs(np.diff(np.append(pitch, pitch[0]))).sum()
    if high - low < _SIREN_OCTAVES * PITCHES_PER_OCTAVE or travel > 3.2 * (high - low):
        return None
    bounds = pitch_hz(low), pitch_hz(high)
    if not 380.0 <= bounds[0] <= 1000.0 <= bounds[1]:
        return None
    return Pattern(name, cycle.period_s, *bounds, cycle.correlation)


def _near(salience: Frames) -> Frames:
    """The best of a pitch and its neighbours."""
    near = salience.copy()
    near[:, 1:] = np.maximum(near[:, 1:], salience[:, :-1])
    near[:, :-1] = np.maximum(near[:, :-1], salience[:, 1:])
    return near


def _follows(along: Frames, strongest: Frames) -> bool:
    return bool((along >= 0.6 * _VOICED).mean() >= _COVERED and (along >= 0.8 * strongest).mean() >= _LEADING)


def _contrast(near: Frames, rows: npt.NDArray[np.int64], pitch: npt.NDArray[np.int64]) -> float:
    """Mean over the contour's pitches: each while the contour is there, over the rest of the cycle."""
    total, over = near.sum(axis=0), []
    for one in np.unique(pitch):
        here = near[rows[pitch == one], one]
        over.append(here.mean() - (total[one] - here.sum()) / max(len(near) - len(here), 1))
    return float(np.mean(over))
