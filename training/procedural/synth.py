"""Building blocks of the procedural sounds: oscillators, shaped noise, struck resonators, envelopes.

Every signal here is a one-dimensional float64 array at 16 kHz; times are seconds, frequencies hertz,
levels decibels. `finish` turns a sketch into the float32 array a sound type returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from training.procedural.signature import Signature

SAMPLE_RATE = 16_000
SHORTEST_S = 0.6
_CEILING_HZ = 7_700.0  # partials are dropped above this, short of the Nyquist frequency
_BLOCK = 128

Signal = NDArray[np.floating[Any]]
Rng = np.random.Generator
Points = Sequence[tuple[float, float]]  # (hertz, decibels), rising in hertz


@dataclass(frozen=True)
class SoundType:
    """A `SoundType` is one kind of procedural sound: its renderer, its label and its place in the taxonomy.

    `render` takes a generator and returns float32 [n], mono at 16 kHz, with a peak in (0, 0.99], at least 0.6 s long,
    its first sound within 50 ms of index 0. The same generator state gives the same samples.

    `respond` says whether the robot must react to it; `caption` is one plain line. `subcategory` and `criterion` place
    it in the benchmark's taxonomy (see `taxonomy`); `signature` is what every render must measure.
    """

    name: str
    category: str
    respond: bool
    caption: str
    render: Callable[[Rng], NDArray[np.float32]]
    subcategory: str = ''
    criterion: str = 'none'
    signature: Signature = field(default_factory=Signature)


def ordinary(name: str, category: str, caption: str, render: Callable[[Rng], NDArray[np.float32]]) -> SoundType:
    """Return a sound type that the robot leaves alone."""
    return SoundType(name, category, False, caption, render)


def samples(seconds: float) -> int:
    """Return the number of samples in `seconds`, at 16 kHz."""
    return round(seconds * SAMPLE_RATE)


def log_uniform(rng: Rng, low: float, high: float, size: int | None = None):
    """Draw from `low` to `high`, evenly on a log scale, as pitches and times are heard.

    Returns a float, or float64 [size] where `size` is given.
    """
    drawn = np.exp(rng.uniform(np.log(low), np.log(high), size))
    return float(drawn) if size is None else drawn


def slow(rng: Rng, count: int, rate_hz: float) -> Signal:
    """Return a smooth random curve that turns `rate_hz` times a second: float64 [count], about -2..2."""
    position = np.arange(count) * (rate_hz / SAMPLE_RATE)
    index = position.astype(np.int64)
    knots = rng.standard_normal(int(index[-1]) + 2)
    share = position - index
    share = share * share * (3.0 - 2.0 * share)
    return knots[index] * (1.0 - share) + knots[index + 1] * share


def phase(frequency: float | Signal, count: int) -> Signal:
    """Return the running phase of an oscillator, in radians: float64 [count].

    `frequency` is in Hz, a number or [count], since it may change at every sample.
    """
    steps = np.broadcast_to(np.asarray(frequency, dtype=np.float64), (count,))
    return np.cumsum(steps) * (2.0 * np.pi / SAMPLE_RATE)


def harmonics(
    frequency: float | Signal, levels: Sequence[float] | Signal, count: int, rng: Rng | None = None
) -> Signal:
    """Return a tone whose k-th harmonic has amplitude `levels[k-1]`, without partials that would alias.

    `frequency` is in Hz, a number or [count]; the result is float64 [count]. With `rng` the harmonics start at random
    phases; without it they start aligned, as in a pulse.
    """
    frequency = np.asarray(frequency, dtype=np.float64)
    angle = np.mod(phase(frequency, count), 2.0 * np.pi)
    lowest, highest = float(frequency.min()), float(frequency.max())
    out = np.zeros(count)
    for order, level in enumerate(levels, start=1):
        if order * lowest > _CEILING_HZ:
            break
        if level == 0.0:
            continue
        start = rng.uniform(0.0, 2.0 * np.pi) if rng is not None else 0.0
        partial = level * np.sin((order * angle + start).astype(np.float32))
        if order * highest > _CEILING_HZ:  # a sweep: fade the partial out as it nears the ceiling
            partial = partial * np.clip((_CEILING_HZ - order * frequency) / 300.0, 0.0, 1.0)
        out += partial
    return out


def shape(signal: Signal, points: Points) -> Signal:
    """Return a signal filtered to a frequency response given at (Hz, dB) points: float64 [n].

    Between the points the response is straight on a log-frequency axis.
    """
    length = fft.next_fast_len(signal.size + 512, real=True)
    bins = np.maximum(fft.rfftfreq(length, 1.0 / SAMPLE_RATE), 10.0)
    hertz, decibels = zip(*points, strict=True)
    gain = 10.0 ** (np.interp(np.log(bins), np.log(hertz), decibels) / 20.0)
    return fft.irfft(fft.rfft(signal, length) * gain, length)[: signal.size]


def noise(rng: Rng, count: int, points: Points) -> Signal:
    """Return Gaussian noise with the spectrum of `points` (see `shape`): float64 [count], at unit root mean square."""
    shaped = shape(rng.standard_normal(count), points)
    return shaped / (np.sqrt(np.mean(shaped**2)) + 1e-12)


def resonance(rng: Rng, low_hz: float, high_hz: float, depth_db: float = 8.0) -> Points:
    """Return a random response like a loudspeaker's, as (Hz, dB) points.

    It is a band of `low_hz` to `high_hz` with ripples of up to `depth_db`, falling outside.
    """
    inner = np.sort(log_uniform(rng, low_hz * 1.1, high_hz * 0.9, 4))
    ripple = rng.uniform(-depth_db, 0.0, 4)
    return [
        (low_hz / 4, -36.0),
        (low_hz, -6.0),
        *zip(inner.tolist(), ripple.tolist(), strict=True),
        (high_hz, -6.0),
        (min(high_hz * 3, 40_000.0), -40.0),
    ]


def modal(frequencies: Signal, t60_s: float | Signal, levels: Signal, count: int, rng: Rng) -> Signal:
    """Return a struck body: the sum of exponentially dying sines at random phases, float64 [count].

    `frequencies` in Hz, `t60_s` (seconds to -60 dB) and `levels` (amplitudes) are [modes], or one number for all.

    z**n is written as z**(128 i) z**j, so the sum over modes is one small matrix product and hundreds of modes cost
    little.
    """
    frequencies = np.atleast_1d(np.asarray(frequencies, dtype=np.float64))
    kept = frequencies < _CEILING_HZ + 200.0
    frequencies = frequencies[kept]
    t60_s = np.broadcast_to(t60_s, kept.shape)[kept]
    levels = np.broadcast_to(levels, kept.shape)[kept]
    exponent = (-6.908 / np.maximum(t60_s, 1e-3) + 2j * np.pi * frequencies) / SAMPLE_RATE
    start = levels * np.exp(1j * rng.uniform(0.0, 2.0 * np.pi, frequencies.size))
    blocks = -(-count // _BLOCK)
    coarse = np.exp(np.outer(np.arange(blocks) * _BLOCK, exponent)) * start
    fine = np.exp(np.outer(exponent, np.arange(_BLOCK)))
    return (coarse.real @ fine.real - coarse.imag @ fine.imag).ravel()[:count]


def burst(rng: Rng, t60_s: float, points: Points) -> Signal:
    """Return a click of shaped noise that dies by 60 dB in `t60_s` seconds, at least 64 samples long.

    `points` are its spectrum in (Hz, dB).
    """
    count = max(samples(t60_s), 64)
    return noise(rng, count, points) * np.exp(np.linspace(0.0, -6.908, count))


def gate(count: int, attack_s: float, release_s: float) -> Signal:
    """Return an envelope of one with a raised-cosine rise and fall: float64 [count].

    `attack_s` and `release_s` are in seconds, each at most half of the length.
    """
    out = np.ones(count)
    up, down = min(samples(attack_s), count // 2), min(samples(release_s), count // 2)
    if up:
        out[:up] = 0.5 - 0.5 * np.cos(np.pi * np.arange(up) / up)
    if down:
        out[count - down :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, down + 1) / down)
    return out


def add(target: Signal, sound: Signal, at_s: float, level: float = 1.0) -> None:
    """Mix `level` times `sound` into `target` in place, from `at_s` seconds on.

    What lies outside the target is cut.
    """
    start = samples(at_s)
    skip = max(0, -start)
    stop = min(target.size, start + sound.size)
    if stop > start + skip:
        target[start + skip : stop] += level * sound[skip : stop - start]


def beats(rng: Rng, total_s: float, interval_s: float, jitter: float) -> list[float]:
    """Return times from 0 to `total_s` that are about `interval_s` apart, all in seconds.

    Each gap is off by a random share of up to `jitter`.
    """
    times, now = [], 0.0
    while now < total_s:
        times.append(now)
        now += interval_s * (1.0 + rng.uniform(-jitter, jitter))
    return times


def poisson(rng: Rng, total_s: float, rate_hz: float) -> Signal:
    """Return sorted random event times in 0..`total_s`, in seconds: float64 [events].

    There are `rate_hz` a second on average, and one more at 0.
    """
    times = np.sort(rng.uniform(0.0, total_s, rng.poisson(rate_hz * total_s)))
    return np.concatenate([[0.0], times])


def finish(signal: Signal) -> NDArray[np.float32]:
    """Return a sketch as the sound a type returns: float32 [n], peak 0.9, at least 0.6 s.

    What comes before the first sample over 5 % of the peak is cut, and what comes after the last one over 0.5 %, so
    that the whole array is the event and not silence under its label.
    """
    signal = signal - np.mean(signal)
    level = np.abs(signal) / np.max(np.abs(signal))
    first = max(0, int(np.argmax(level > 0.05)) - samples(0.01))
    last = signal.size - int(np.argmax(level[::-1] > 0.005))
    signal = signal[first : last + samples(0.03)]
    signal = signal * gate(signal.size, 0.001, 0.01)
    short = samples(SHORTEST_S) - signal.size
    if short > 0:
        signal = np.concatenate([signal, np.zeros(short)])
    return (signal * (0.9 / np.max(np.abs(signal)))).astype(np.float32)
