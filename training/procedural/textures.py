"""Textures that many sounds share: crackle, rubbing, bubbles, rushing air, motors and engines."""

from __future__ import annotations

import numpy as np

from training.procedural.people.voice import hump
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
    add,
    beats,
    burst,
    harmonics,
    log_uniform,
    noise,
    samples,
    slow,
)


def stretch(rng: Rng, low_s: float = 3.0, high_s: float = 7.0) -> int:
    """Return a random number of samples, `low_s` to `high_s` seconds at 16 kHz, for a sound that just goes on."""
    return samples(rng.uniform(low_s, high_s))


def grains(rng: Rng, total_s: float, rate_hz: Signal | float, t60_s: float, points: Points) -> Signal:
    """Return crackle: clicks of one kind of material at random times, float64 [samples of `total_s`].

    `rate_hz` is how many there are a second, fixed or [n] by the sample; `t60_s` is a click's decay by 60 dB; `points`
    are its spectrum in (Hz, dB).
    """
    count = samples(total_s)
    kinds = [burst(rng, t60_s * rng.uniform(0.5, 1.5), points) for _ in range(12)]
    out, rate = np.zeros(count + samples(2 * t60_s)), np.broadcast_to(np.asarray(rate_hz, dtype=np.float64), (count,))
    share = np.cumsum(rate) / SAMPLE_RATE
    times = np.searchsorted(share, rng.uniform(0.0, share[-1], rng.poisson(share[-1]) + 1))
    for time in times:
        kind = kinds[rng.integers(12)]
        out[time : time + kind.size] += kind[: out.size - time] * rng.lognormal(-0.5, 0.8)
    return out[:count]


def strokes(rng: Rng, total_s: float, rate_hz: float, points: Points, duty: float = 0.8) -> Signal:
    """Return the sound of rubbing to and fro: `rate_hz` swells of shaped noise a second, float64 [n] at 16 kHz.

    Every second swell is a little darker. `points` are the spectrum in (Hz, dB); `duty` is the share of the time that
    sounds.
    """
    out = np.zeros(samples(total_s))
    for turn, time in enumerate(beats(rng, total_s, 1.0 / rate_hz, 0.08)):
        size = samples(duty / rate_hz * rng.uniform(0.85, 1.1))
        tilt = 4.0 if turn % 2 else 0.0
        swish = noise(rng, size, [(hertz, level - tilt * np.log2(hertz / 500.0) / 4) for hertz, level in points])
        add(out, swish * hump(size, rng.uniform(0.35, 0.6)), time, rng.uniform(0.7, 1.0))
    return out


def bubbles(rng: Rng, total_s: float, rate_hz: float, low_hz: float, high_hz: float) -> Signal:
    """Return air bubbles in a liquid: decaying tones that rise as each nears the surface (Minnaert 1933).

    `rate_hz` bubbles a second begin at `low_hz` to `high_hz`. The result is float64 [samples of `total_s`].
    """
    count = samples(0.08)
    time = np.arange(count) / SAMPLE_RATE
    kinds = []
    for hertz in log_uniform(rng, low_hz, high_hz, 16):
        angle = 2.0 * np.pi * hertz * time * (1.0 + rng.uniform(0.5, 3.0) * time)
        kinds.append(np.sin(angle) * np.exp(-time * hertz * rng.uniform(0.04, 0.1)) * (1.0 - np.exp(-time * 1500.0)))
    out = np.zeros(samples(total_s))
    for start in rng.uniform(0.0, total_s, rng.poisson(rate_hz * total_s) + 1):
        add(out, kinds[rng.integers(16)], start, rng.lognormal(-0.5, 0.7))
    return out


def rush(rng: Rng, count: int, knee_hz: float, tilt_db: float) -> Signal:
    """Return rushing air: noise that falls `tilt_db` an octave above `knee_hz`, with a few broad ripples.

    The result is float64 [count] at unit root mean square.
    """
    hertz = np.geomspace(knee_hz, 8000.0, 6)
    level = -tilt_db * np.log2(hertz / knee_hz) + rng.uniform(-3.0, 3.0, 6)
    return noise(rng, count, [(knee_hz / 8, -18.0), *zip(hertz.tolist(), level.tolist(), strict=True)])


def whine(rng: Rng, pitch: Signal, fall: float, partials: int = 16) -> Signal:
    """Return an electric motor at `pitch` Hz [n]: float64 [n] at unit root mean square.

    Its harmonics are uneven and fall as order ** -fall.
    """
    levels = rng.uniform(0.2, 1.0, partials) / np.arange(1, partials + 1) ** fall
    out = harmonics(pitch * (1.0 + 0.003 * slow(rng, pitch.size, 7.0)), levels, pitch.size, rng)
    return out / (np.std(out) + 1e-12)


def firing(rng: Rng, rate: Signal, cylinders: int, uneven: float, dull_hz: float = 300.0) -> Signal:
    """Return a piston engine that fires at `rate` Hz [n]: float64 [n] at unit root mean square.

    `uneven` in 0..1 makes the cylinders differ, which puts power between the harmonics of the firing rate. Above
    `dull_hz` the exhaust muffles them.
    """
    partials = 15 * cylinders
    order = np.arange(1, partials + 1)
    levels = np.where(order % cylinders == 0, rng.uniform(0.7, 1.0, partials), uneven * rng.uniform(0.2, 1.0, partials))
    levels = levels / (1.0 + (order * float(np.mean(rate)) / cylinders / dull_hz) ** 1.6)
    out = harmonics(rate / cylinders * (1.0 + 0.01 * slow(rng, rate.size, 5.0)), levels, rate.size)
    return out / (np.std(out) + 1e-12)


def ratchet(rng: Rng, rate: Signal, blow: Signal, jitter: float = 0.1) -> Signal:
    """Return one `blow` for every cycle of `rate` Hz [n], each at its own level: float64 [n].

    `jitter` is how far levels differ: the softest blow has 1 - 3 × jitter of the level of the loudest.
    """
    out = np.zeros(rate.size + blow.size)
    cycles = np.cumsum(rate) / SAMPLE_RATE
    ticks = np.searchsorted(cycles, np.arange(0, int(cycles[-1]) + 1) + jitter * rng.uniform(0.0, 1.0))
    for tick in ticks:
        at = min(int(tick), rate.size)
        out[at : at + blow.size] += blow * rng.uniform(1.0 - 3 * jitter, 1.0)
    return out[: rate.size]
