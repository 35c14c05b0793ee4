"""Harmless weather, water, crowds and plain noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift, length
from training.procedural.synth import (
    SAMPLE_RATE,
    Rng,
    Signal,
    add,
    burst,
    finish,
    harmonics,
    log_uniform,
    modal,
    noise,
    ordinary,
    poisson,
    samples,
    shape,
    slow,
)

Audio = NDArray[np.float32]


def wind(rng: Rng) -> Audio:
    """Render wind that gusts: low noise swelling at random, and a band that rises and falls with it, as at a gap."""
    count = length(rng)
    gust = np.clip(0.6 + 0.5 * slow(rng, count, rng.uniform(0.3, 1.5)), 0.05, 2.0)
    low = noise(rng, count, [(30, 0), (150, -3), (600, -18), (4000, -50)])
    middle = log_uniform(rng, 300.0, 900.0)
    howls = [
        noise(rng, count, [(pitch * 0.6, -40), (pitch, 0), (pitch * 1.6, -40)]) for pitch in (middle, middle * 1.3)
    ]
    share = np.clip(gust / 1.5, 0.0, 1.0)
    howl = howls[0] * (1 - share) + howls[1] * share
    return finish((low + rng.uniform(0.0, 0.5) * howl) * gust)


def rain(rng: Rng) -> Audio:
    """Render rain: a bright hiss and separate drops on leaves, glass or tin."""
    count = length(rng)
    drops = np.zeros(count)
    total = count / SAMPLE_RATE
    pitch = log_uniform(rng, 600.0, 4000.0)
    kinds = [
        modal(pitch * rng.uniform(0.6, 1.7, 2), rng.uniform(0.005, 0.04), np.array([1.0, 0.5]), 700, rng)
        for _ in range(8)
    ]
    for time in poisson(rng, total, log_uniform(rng, 5.0, 120.0)):
        add(drops, kinds[rng.integers(8)], time, rng.lognormal(-0.5, 0.8))
    hiss = noise(rng, count, [(200, -18), (1500, -5), (4000, 0), (8000, -3)])
    return finish(hiss * drift(rng, count, 0.5, 0.1) + rng.uniform(0.3, 3.0) * drops)


def sea(rng: Rng) -> Audio:
    """Render surf: each wave builds as a rumble and breaks into a hiss, over 4-8 s."""
    count = samples(rng.uniform(5.0, 8.0))
    wave = np.mod(np.arange(count) / SAMPLE_RATE / rng.uniform(4.0, 8.0) + rng.uniform(0.1, 0.6), 1.0)
    swell = np.where(wave < 0.35, wave / 0.35, np.exp(-(wave - 0.35) * 4.0)) ** 1.5 + 0.12
    low = noise(rng, count, [(40, -3), (200, 0), (800, -8), (4000, -30)])
    hiss = noise(rng, count, [(200, -20), (1500, -3), (4000, 0), (8000, -6)])
    return finish((low + rng.uniform(0.3, 1.2) * hiss * swell) * swell * drift(rng, count, 3.0, 0.1))


def _bubbles(rng: Rng, total_s: float, rate_hz: float, low: float, high: float) -> Signal:
    """Bubbles in water: short tones that rise slightly as each nears the surface (Minnaert)."""
    out = np.zeros(samples(total_s))
    kinds = []
    for _ in range(24):
        time = np.arange(samples(0.06)) / SAMPLE_RATE
        hertz = log_uniform(rng, low, high)
        angle = 2 * np.pi * hertz * time * (1.0 + rng.uniform(0.5, 4.0) * time)
        kinds.append(np.sin(angle) * np.exp(-time * hertz * rng.uniform(0.03, 0.12)) * (1 - np.exp(-time * 2000)))
    for time in poisson(rng, total_s, rate_hz):
        add(out, kinds[rng.integers(24)], time, rng.lognormal(-0.5, 0.7))
    return out


def tap_water(rng: Rng) -> Audio:
    """Render water that runs from a tap into a basin, sink or glass."""
    count = length(rng)
    out = _bubbles(rng, count / SAMPLE_RATE, rng.uniform(60.0, 300.0), 400.0, 3500.0)
    jet = noise(rng, count, [(200, -25), (900, -6), (2500, 0), (7500, rng.uniform(-15.0, -2.0))])
    return finish(out + rng.uniform(0.1, 0.8) * jet * drift(rng, count, 4.0, 0.1))


def kettle(rng: Rng) -> Audio:
    """Render a kettle that comes to the boil without a whistle: a hiss, then rumbling bubbles."""
    count = length(rng)
    boil = np.linspace(rng.uniform(0.2, 0.8), 1.0, count)
    simmer = noise(rng, count, [(100, -15), (500, 0), (1500, -3), (5000, -18)]) * drift(rng, count, 9.0, 0.15)
    roll = _bubbles(rng, count / SAMPLE_RATE, rng.uniform(80.0, 250.0), 120.0, 900.0)
    return finish(simmer * boil + rng.uniform(0.3, 1.0) * roll * boil**2)


def thunder(rng: Rng) -> Audio:
    """Render distant thunder: overlapping low rumbles that roll and fade."""
    count = samples(rng.uniform(3.0, 8.0))
    out = np.zeros(count)
    for time in np.concatenate([[0.0], rng.exponential(1.0, rng.integers(2, 8))]):
        size = samples(rng.uniform(0.8, 3.0))
        grow = np.minimum(np.arange(size) / samples(rng.uniform(0.03, 0.3)), 1.0)
        roll = noise(rng, size, [(25, -3), (70, 0), (200, -10), (600, -28), (3000, -60)])
        add(out, roll * grow * np.exp(-np.linspace(0.0, 5.0, size)), time, rng.uniform(0.4, 1.0))
    return finish(out)


# First three formants in Hz of five vowels; a babble needs only their flavour.
_VOWELS = ((700, 1200, 2600), (400, 2000, 2600), (300, 2300, 3000), (450, 850, 2500), (350, 700, 2400))


def crowd_murmur(rng: Rng) -> Audio:
    """Render six to fifteen people who talk at once: voices with moving pitch and vowels, nothing intelligible."""
    count = length(rng)
    channels = np.zeros((5, count))
    for _ in range(rng.integers(6, 16)):
        pitch = log_uniform(rng, 90.0, 260.0) * np.exp(0.12 * slow(rng, count, 3.0))
        cycles = np.cumsum(pitch) / SAMPLE_RATE + rng.uniform()
        pulses = np.diff(np.floor(cycles), prepend=np.floor(cycles[0])) - pitch / SAMPLE_RATE
        talk = np.clip(slow(rng, count, rng.uniform(4.0, 7.0)) + 0.3, 0, 1.5) * (slow(rng, count, 0.6) > -0.6)
        vowel = np.mod((2.5 + 2.0 * slow(rng, count, 5.0)).astype(np.int64), 5)
        channels[vowel, np.arange(count)] += pulses * talk * rng.uniform(0.3, 1.0)
    out = np.zeros(count)
    for channel, formants in zip(channels, _VOWELS, strict=True):
        points = [(80.0, -10.0)]
        for order, hertz in enumerate(formants):
            points += [
                (hertz * 0.88, -13.0 - 6 * order),
                (float(hertz), -6.0 * order),
                (hertz * 1.12, -13.0 - 6 * order),
            ]
        out += shape(channel, [*sorted(points), (7000.0, -45.0)])
    hiss = noise(rng, count, [(200, -12), (500, 0), (3000, -14), (7000, -24)])
    return finish(out / np.std(out) + rng.uniform(0.05, 0.35) * hiss)


def mains_hum(rng: Rng) -> Audio:
    """Render mains hum and its buzz: harmonics of 50 or 60 Hz, mostly even ones."""
    count = length(rng)
    levels = rng.exponential(1.0, 24) / np.arange(1, 25) ** rng.uniform(0.5, 1.6)
    levels[::2] *= rng.uniform(0.05, 0.6)
    return finish(
        harmonics(float(rng.choice([50.0, 60.0])), levels, count, rng)
        + 0.01 * noise(rng, count, [(50, 0), (8000, -10)])
    )


def static(rng: Rng) -> Audio:
    """Render radio static: a hiss with crackle and dropouts."""
    count = length(rng)
    out = noise(rng, count, [(100, -20), (400, 0), (rng.uniform(2500, 7000), 0), (8000, -30)])
    out *= drift(rng, count, rng.uniform(1.0, 20.0), rng.uniform(0.0, 0.5))
    for time in poisson(rng, count / SAMPLE_RATE, rng.uniform(0.0, 40.0)):
        add(out, burst(rng, 0.005, [(200, -10), (2000, 0)]), time, rng.lognormal(0.5, 0.7))
    return finish(out)


def _coloured(tilt_db: float):
    def render(rng: Rng) -> Audio:
        tilt = tilt_db + rng.uniform(-0.7, 0.7)
        count = length(rng)
        return finish(noise(rng, count, [(20.0, 0.0), (8000.0, -tilt * np.log2(400.0))]) * drift(rng, count, 0.5, 0.05))

    return render


TYPES = (
    ordinary('wind', 'wind', 'The wind blows.', wind),
    ordinary('rain', 'rain', 'Rain falls.', rain),
    ordinary('sea', 'sea', 'Waves break on a beach.', sea),
    ordinary('tap_water', 'running water', 'Water runs from a tap.', tap_water),
    ordinary('kettle', 'kettle', 'A kettle boils.', kettle),
    ordinary('thunder', 'thunder', 'Thunder rolls far away.', thunder),
    ordinary('crowd_murmur', 'crowd', 'A crowd murmurs.', crowd_murmur),
    ordinary('mains_hum', 'hum', 'Electrical equipment hums.', mains_hum),
    ordinary('static', 'static', 'A radio hisses and crackles.', static),
    ordinary('white_noise', 'noise', 'White noise.', _coloured(0.0)),
    ordinary('pink_noise', 'noise', 'Pink noise.', _coloured(3.0)),
    ordinary('brown_noise', 'noise', 'Brown noise.', _coloured(6.0)),
)
