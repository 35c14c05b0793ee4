"""Sound that repeats: find its period and lay it over itself, so that cycles add up and all else averages out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.safety.alarm_spectrum import FRAMES_PER_CHUNK, FRAMES_PER_S, PITCHES, Frames

_REPEATS = 0.3  # correlation of the sound with itself one period later


@dataclass(frozen=True)
class Window:
    """A `Window` is `length_s` of sound, its frames averaged in groups of `stride`, searched for these periods."""

    length_s: float
    stride: int
    shortest_s: float
    longest_s: float

    @property
    def frames_per_s(self) -> float:
        """Return the rate of the averaged frames, in Hz."""
        return FRAMES_PER_S / self.stride


@dataclass(frozen=True)
class Cycle:
    """A `Cycle` is one folded period: pitch salience, float32 [phases, 63], and how well the sound repeats, 0 to 1."""

    period_s: float
    salience: Frames
    correlation: float


class CycleFinder:
    """A `CycleFinder` holds the pitch salience of a window and looks for the period of what repeats in it."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._frames = np.zeros((round(window.length_s * window.frames_per_s), PITCHES), np.float32)
        self._lags = np.arange(
            round(window.shortest_s * window.frames_per_s), round(window.longest_s * window.frames_per_s) + 1
        )

    def push(self, salience: Frames) -> Cycle | None:
        """Add the salience of one chunk, float32 [25, 63], and return the cycle found; `stride` divides 25."""
        stride = self._window.stride
        coarse = salience.reshape(FRAMES_PER_CHUNK // stride, stride, PITCHES).mean(axis=1)
        self._frames = np.concatenate([self._frames[len(coarse) :], coarse])
        varying = self._frames - self._frames.mean(axis=0)
        correlation = _autocorrelation(varying, int(self._lags[-1]) + 2)
        period = self._period(correlation)
        if period is None:
            return None
        folded = _fold(self._frames, period)
        return Cycle(period / self._window.frames_per_s, folded, float(correlation[round(period)]))

    def _period(self, correlation: Frames) -> float | None:
        """In frames: the shortest that explains much of what the best does, refined over its multiples.

        Much, not all: a fast sweep that ends between two frames correlates better over two of its periods.
        """
        inner = correlation[self._lags]
        peaks = (inner >= correlation[self._lags - 1]) & (inner > correlation[self._lags + 1]) & (inner >= _REPEATS)
        if not peaks.any():
            return None
        best = inner[peaks].max()
        period = _vertex(correlation, int(self._lags[peaks & (inner >= 0.7 * best)][0]))
        multiple = 2
        while round(multiple * period) + 3 < len(correlation):
            near = round(multiple * period)
            near += int(np.argmax(correlation[near - 2 : near + 3])) - 2
            if correlation[near] < 0.7 * best:
                break
            period = _vertex(correlation, near) / multiple
            multiple += 1
        return period


def _autocorrelation(frames: Frames, lags: int) -> Frames:
    """Of frames without their mean, over time, summed over pitches; 1 at lag 0, unbiased. float32 [lags + 1]."""
    size = 1 << (len(frames) + lags).bit_length()
    spectrum = np.fft.rfft(frames.T, size)
    raw = np.fft.irfft((spectrum.real**2 + spectrum.imag**2).sum(axis=0), size)[: lags + 1]
    unbiased = raw / (len(frames) - np.arange(lags + 1))
    return (unbiased / max(float(unbiased[0]), 1e-9)).astype(np.float32)


def _vertex(values: Frames, at: int) -> float:
    left, middle, right = (float(v) for v in values[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return at + float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5) if bend < 0 else 0.0)


def _fold(frames: Frames, period: float) -> Frames:
    phases = max(4, int(period))
    place = (np.mod(np.arange(len(frames)) / period, 1.0) * phases).astype(np.int64) % phases
    order = np.argsort(place, kind='stable')
    count = np.bincount(place, minlength=phases)  # none is empty: the window holds a period or more
    folded = np.add.reduceat(frames[order], np.cumsum(count) - count) / count[:, None]
    return folded.astype(np.float32)
