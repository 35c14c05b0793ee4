"""What a procedural sound must measure: spectral and temporal signatures that hold for every random draw.

Nobody can listen to a library on a build machine, so each type says in numbers what makes it what it is, and
the tests and the contact sheet hold the renders against that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from audio_interaction_ros.audio import SAMPLE_RATE_HZ

Samples = NDArray[np.floating[Any]]
Range = tuple[float, float]

_STEP_S = 0.004  # of the decay curve
_FRAME = 1024
_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ = 50.0, 1_500.0


def spectrum(samples: Samples) -> tuple[Samples, Samples]:
    """Return the power spectrum by Welch's method as (Hz, mean power), each float64 [bins].

    Bins are 4 Hz wide for sounds of at least 4096 samples, wider for shorter ones.
    """
    hertz, power = signal.welch(samples.astype(np.float64), SAMPLE_RATE_HZ, nperseg=min(4096, samples.size))
    return hertz, power + 1e-20


def envelope(samples: Samples, step_s: float) -> Samples:
    """Return the level of a sound as the root mean square in steps of `step_s` seconds: float64 [steps]."""
    size = round(step_s * SAMPLE_RATE_HZ)
    rows = samples[: samples.size // size * size].reshape(-1, size)
    return np.sqrt(np.mean(rows.astype(np.float64) ** 2, axis=1))


def peak_hz(samples: Samples) -> float:
    """Return the strongest frequency of the spectrum, in Hz."""
    hertz, power = spectrum(samples)
    return float(hertz[np.argmax(power)])


def centroid_hz(samples: Samples) -> float:
    """Return the centre of gravity of the power spectrum (spectral centroid), in Hz."""
    hertz, power = spectrum(samples)
    return float(np.sum(hertz * power) / np.sum(power))


def flatness(samples: Samples) -> float:
    """Return the spectral flatness between 100 Hz and 7 kHz: 1 for white noise, 0 for a tone.

    It is the geometric over the arithmetic mean of the power.
    """
    hertz, power = spectrum(samples)
    band = power[(hertz > 100.0) & (hertz < 7_000.0)]
    return float(np.exp(np.mean(np.log(band))) / np.mean(band))


def crest_db(samples: Samples) -> float:
    """Return the crest factor in dB: peak over root mean square.

    A sine has 3 dB, noise about 12 dB, separate blows more.
    """
    return float(20 * np.log10(np.max(np.abs(samples)) / np.sqrt(np.mean(samples.astype(np.float64) ** 2))))


def depth(samples: Samples) -> float:
    """Return how much the level varies: the standard deviation over the mean of its 40 ms steps.

    A steady sound has 0, separate events over 1.
    """
    level = envelope(samples, 0.04)
    return float(np.std(level) / np.mean(level))


def _repetition_hz(level: Samples, step_s: float, low_hz: float, high_hz: float) -> float:
    """How often a second a level curve repeats itself: the shortest lag that fits nearly as well as any."""
    level = level - np.mean(level)
    size = fft.next_fast_len(2 * level.size, real=True)
    fit = fft.irfft(np.abs(fft.rfft(level, size)) ** 2, size)[: level.size]
    first, last = max(2, round(1.0 / high_hz / step_s)), min(level.size * 3 // 4, round(1.0 / low_hz / step_s))
    # The unbiased estimate, so that a slow rhythm is not taken for less alike than a fast one.
    fit = fit[:last] / (level.size - np.arange(last))
    found, _ = signal.find_peaks(fit, height=0.0)
    found = found[found >= first]
    if found.size == 0:
        return 0.0
    return float(1.0 / (found[np.argmax(fit[found] >= 0.75 * np.max(fit[found]))] * step_s))


def flutter_hz(samples: Samples) -> float:
    """Return the rate of a buzz or rattle, 8 to 125 Hz, or 0 where the level does not repeat.

    It is how often a second the level in 1 ms steps repeats.
    """
    return _repetition_hz(envelope(samples, 0.001), 0.001, 8.0, 125.0)


def rhythm_hz(samples: Samples) -> float:
    """Return the rate of separate events, 0.3 to 8 a second, or 0 where the level does not repeat.

    It is how often a second the level, smoothed over 80 ms, repeats.
    """
    smooth = np.hanning(10)[1:-1]
    level = np.convolve(np.pad(envelope(samples, 0.01), (16, 16)), smooth / smooth.sum(), 'same')
    return _repetition_hz(level, 0.01, 0.3, 8.0)


def onsets_hz(samples: Samples) -> float:
    """Return how many events begin per second.

    An onset is a rise of the level, in 20 ms steps, from under 20 % of its loudest to over 40 %.
    """
    level = envelope(samples, 0.02)
    level = level / np.max(level)
    count, low = 0, True
    for value in level:
        if low and value > 0.4:
            count, low = count + 1, False
        low = low or value < 0.2
    return count / (samples.size / SAMPLE_RATE_HZ)


def runs_s(samples: Samples, share: float = 0.25, step_s: float = 0.01) -> list[tuple[bool, float]]:
    """Return the stretches over and under `share` of the loudest level as (sounding, seconds), in order.

    The level is taken in steps of `step_s` seconds; dips and peaks of at most four steps are ignored.
    """
    level = envelope(samples, step_s)
    active = np.pad(level > share * np.max(level), 5)
    active = ndimage.binary_opening(ndimage.binary_closing(active, iterations=2), iterations=2)[5:-5]
    edges = np.flatnonzero(np.diff(active.astype(int))) + 1
    return [(bool(part[0]), part.size * step_s) for part in np.split(active, edges)]


def on_s(samples: Samples) -> float:
    """Return the median length of a pulse, in seconds.

    The first and the last pulse, which the excerpt may cut, count only if there is no other; 0 where there is no pulse.
    """
    runs = runs_s(samples)
    inner = [seconds for sounding, seconds in runs[1:-1] if sounding]
    return float(np.median(inner)) if inner else max((seconds for sounding, seconds in runs if sounding), default=0.0)


def off_s(samples: Samples) -> float:
    """Return the median length of a gap between pulses, in seconds; 0 where there is none."""
    inner = [seconds for sounding, seconds in runs_s(samples)[1:-1] if not sounding]
    return float(np.median(inner)) if inner else 0.0


def t60_s(samples: Samples) -> float:
    """Return the time in which the sound decays by 60 dB, in seconds; infinite if it does not fall by 18 dB.

    It is extrapolated from the -3 dB and -18 dB points of the energy left after the loudest instant (Schroeder 1965).
    """
    level = envelope(samples, _STEP_S) ** 2
    left = np.cumsum(level[int(np.argmax(level)) :][::-1])[::-1]
    decibels = 10 * np.log10(left / left[0] + 1e-12)
    early, late = int(np.argmax(decibels < -3.0)), int(np.argmax(decibels < -18.0))
    return 4.0 * (late - early) * _STEP_S if late else float('inf')


def _voicing(samples: Samples) -> tuple[Samples, Samples]:
    """(Hz, 0..1): pitch and its strength in every 64 ms frame within 25 dB of the loudest."""
    rows = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[:: _FRAME // 2].astype(np.float64)
    power = np.mean(rows**2, axis=1)
    rows = rows[power > 0.003 * np.max(power)] * np.hanning(_FRAME)
    own = np.hanning(_FRAME)

    def correlation(frames: Samples) -> Samples:
        return fft.irfft(np.abs(fft.rfft(frames, 2 * _FRAME, axis=-1)) ** 2, axis=-1)[..., :_FRAME]

    # Dividing by the window's own autocorrelation takes the window's taper out (Boersma 1993).
    fit = correlation(rows) / correlation(own)
    fit = fit / fit[:, :1]
    low, high = round(SAMPLE_RATE_HZ / _HIGHEST_PITCH_HZ), round(SAMPLE_RATE_HZ / _LOWEST_PITCH_HZ)
    band = fit[:, low:high]
    best = np.max(band, axis=1)
    # The first lag that fits nearly as well as any is one period, not several; its peak lies a little further on.
    first = np.argmax(band >= 0.93 * best[:, None], axis=1)[:, None]
    lags = np.arange(band.shape[1])[None, :]
    near = (lags >= first) & (lags + low <= 1.15 * (first + low) + 1)
    lag = low + np.argmax(np.where(near, band, -1.0), axis=1)
    return SAMPLE_RATE_HZ / lag, np.clip(best, 0.0, 1.0)


def pitch_hz(samples: Samples) -> float:
    """Return the median pitch of the voiced frames, 50 Hz to 1.5 kHz, or 0 where no frame is voiced."""
    hertz, strength = _voicing(samples)
    voiced = hertz[strength > 0.5]
    return float(np.median(voiced)) if voiced.size else 0.0


def harmonicity(samples: Samples) -> float:
    """Return the median strength of pitch over the frames: 1 for a periodic sound, under 0.4 for noise."""
    return float(np.median(_voicing(samples)[1]))


def sweep_octaves_s(samples: Samples) -> float:
    """Return how fast the strongest frequency moves, in octaves a second.

    It is the median over the loud frames, each compared with the one a quarter of a second before; jumps do not count.
    """
    size, hop = 2048, 512
    rows = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop].astype(np.float64)
    power = np.mean(rows**2, axis=1)
    bins = np.abs(fft.rfft(rows * np.hanning(size), 4 * size, axis=1))
    track = np.log2(np.maximum(np.argmax(bins, axis=1), 1))
    loud = power > 0.1 * np.max(power)
    # Over a quarter of a second, so that the width of a bin does not matter; jumps are not sweeps.
    lag = 8
    both = loud[lag:] & loud[:-lag]
    moved = np.abs(track[lag:] - track[:-lag])[both]
    moved = moved[moved < 0.8]
    return float(np.median(moved) / (lag * hop / SAMPLE_RATE_HZ)) if moved.size else 0.0


def in_tune(samples: Samples) -> float:
    """Return how well the strong partials of 75 to 500 Hz keep to one equal-tempered scale, 0 to 1.

    The scale may lie at any pitch.
    """
    size = fft.next_fast_len(4 * samples.size, real=True)
    power = np.abs(fft.rfft(samples * np.hanning(samples.size), size)) ** 2
    hertz = fft.rfftfreq(size, 1.0 / SAMPLE_RATE_HZ)
    power, hertz = power[(hertz > 75.0) & (hertz < 500.0)], hertz[(hertz > 75.0) & (hertz < 500.0)]
    found, _ = signal.find_peaks(power, height=0.05 * np.max(power))
    # On one scale all partials have the same phase on a circle that a semitone goes round once.
    return float(np.abs(np.average(np.exp(2j * np.pi * 12.0 * np.log2(hertz[found])), weights=power[found])))


@dataclass(frozen=True)
class Signature:
    """A `Signature` states what every render of a type measures: (least, most) for each measure that matters.

    Each field is named like the function of this module that measures it; None states nothing.
    """

    peak_hz: Range | None = None
    centroid_hz: Range | None = None
    flatness: Range | None = None
    crest_db: Range | None = None
    depth: Range | None = None
    flutter_hz: Range | None = None
    rhythm_hz: Range | None = None
    onsets_hz: Range | None = None
    on_s: Range | None = None
    off_s: Range | None = None
    t60_s: Range | None = None
    pitch_hz: Range | None = None
    harmonicity: Range | None = None
    sweep_octaves_s: Range | None = None
    in_tune: Range | None = None

    def limits(self) -> dict[str, Range]:
        """Return the stated ranges, (least, most) by name of measure."""
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: limits for name, limits in stated.items() if limits is not None}

    def measure(self, samples: Samples) -> dict[str, float]:
        """Return the stated measures of `samples` (float [n] at 16 kHz, at least 0.6 s), by name."""
        return {name: MEASURES[name](samples) for name in self.limits()}

    def violations(self, samples: Samples) -> list[str]:
        """Return one line for every measure outside its range; none where the sound is what it claims to be."""
        measured = self.measure(samples)
        return [
            f'{name} is {measured[name]:.4g}, stated {low:g} to {high:g}'
            for name, (low, high) in self.limits().items()
            if not low <= measured[name] <= high
        ]


MEASURES: dict[str, Callable[[Samples], float]] = {
    measure.__name__: measure
    for measure in (
        peak_hz,
        centroid_hz,
        flatness,
        crest_db,
        depth,
        flutter_hz,
        rhythm_hz,
        onsets_hz,
        on_s,
        off_s,
        t60_s,
        pitch_hz,
        harmonicity,
        sweep_octaves_s,
        in_tune,
    )
}
