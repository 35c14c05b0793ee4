"""Rain, hail, storm and lightning, and ground that moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
    add,
    burst,
    finish,
    gate,
    harmonics,
    log_uniform,
    modal,
    noise,
    poisson,
    samples,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import bubbles, grains, rush, stretch

Audio = NDArray[np.float32]


def heavy_rain(rng: Rng) -> Audio:
    """Render a cloudburst: a dense roar without separate drops, deeper than rain, and a gushing gutter."""
    count = stretch(rng)
    roar = noise(rng, count, [(80, -6), (300, -1), (1200, 0), (4000, -3), (8000, -8)])
    gush = bubbles(rng, count / SAMPLE_RATE, rng.uniform(250.0, 450.0), 200.0, 1500.0)
    sheets = 1.0 + 0.25 * np.clip(slow(rng, count, 1.2), -1.5, 2.0)
    return finish(roar * sheets + rng.uniform(0.3, 0.6) * gush / np.std(gush))


def rain_on_umbrella(rng: Rng) -> Audio:
    """Render light rain on an umbrella: separate drops thump the taut cloth 12-35 times a second."""
    total = rng.uniform(4.0, 7.5)
    cloth = [modal(log_uniform(rng, 250, 900, 2), 0.02, np.array([1, 0.5]), 800, rng) for _ in range(10)]
    out = 0.06 * noise(rng, samples(total), [(300, -15), (2500, 0), (8000, -5)])
    for time in poisson(rng, total, rng.uniform(12.0, 35.0)):
        level = rng.lognormal(-0.5, 0.6)
        add(out, cloth[rng.integers(10)], time, level)
        add(out, burst(rng, 0.008, [(400, -8), (2000, 0), (7000, -6)]), time, 0.4 * level)
    return finish(out)


def hail(rng: Rng) -> Audio:
    """Render hail on tin and glass: about a hundred hard, bright knocks a second, each ringing what it hits."""
    total = rng.uniform(3.5, 7.0)
    out = 0.15 * rush(rng, samples(total), 600.0, 1.5)
    plate = log_uniform(rng, 500.0, 1500.0)
    for _ in range(12):
        hit = modal(plate * rng.uniform(0.6, 4.0, 4), rng.uniform(0.01, 0.05), rng.uniform(0.3, 1.0, 4), 1000, rng)
        add(hit, burst(rng, 0.006, [(500, -10), (3000, 0), (8000, -3)]), 0.0, 1.5)
        for time in rng.uniform(0.0, total, rng.poisson(total * 9.0)):
            add(out, hit, time, rng.lognormal(-0.6, 0.7))
    return finish(out)


def storm_wind(rng: Rng) -> Audio:
    """Render a hurricane: a roar that never calms, howls that slide up and down with the gusts, things that rattle."""
    count = stretch(rng, 5.0, 8.0)
    gust = np.clip(1.0 + 0.4 * slow(rng, count, 0.8), 0.4, 2.0)
    out = 1.2 * noise(rng, count, [(10, -30), (25, -3), (80, 0), (300, -6), (1500, -18), (6000, -34)]) * gust
    for _ in range(rng.integers(2, 4)):
        howl = log_uniform(rng, 250.0, 550.0) * gust**0.8 * (1.0 + 0.02 * slow(rng, count, 6.0))
        band = harmonics(howl * (1.0 + 0.02 * slow(rng, count, 30.0)), [1.0, 0.25], count, rng)
        out += rng.uniform(0.4, 0.9) * band * np.maximum(gust - 0.5, 0.0) * (1.0 + 0.4 * slow(rng, count, 18.0))
    rattle = grains(rng, count / SAMPLE_RATE, 12.0 * gust**3, 0.03, [(200, -6), (900, 0), (4000, -10)])
    return finish(out + 0.25 * rattle / np.std(rattle))


def thunder_close(rng: Rng) -> Audio:
    """Render lightning that strikes nearby: a tearing crack of 0.1-0.3 s, then a boom that rolls away."""
    count = stretch(rng, 4.0, 7.5)
    out = np.zeros(count)
    tear = grains(rng, rng.uniform(0.08, 0.3), 900.0, 0.012, [(200, -10), (1500, 0), (7000, -3)])
    add(out, tear * np.linspace(0.3, 1.0, tear.size), 0.0, 0.8)
    hit = tear.size / SAMPLE_RATE
    add(out, burst(rng, 0.3, [(40, 0), (300, 0), (2000, -3), (8000, -8)]), hit, 5.0)
    for time in np.concatenate([[hit + 0.05], hit + rng.exponential(0.8, 5)]):
        size = samples(rng.uniform(1.0, 3.0))
        roll = noise(rng, size, [(10, -30), (25, -3), (60, 0), (200, -8), (800, -26), (4000, -50)])
        add(out, roll * np.exp(-np.linspace(0.0, 5.0, size)) * gate(size, 0.05, 0.1), time, rng.uniform(0.8, 1.6))
    return finish(out)


def brook(rng: Rng) -> Audio:
    """Render a brook or fountain: bubbles without end and a soft splash."""
    total = rng.uniform(4.0, 7.5)
    water = bubbles(rng, total, rng.uniform(150.0, 400.0), 350.0, 2500.0)
    return finish(water / np.std(water) + rng.uniform(0.1, 0.3) * rush(rng, water.size, 700.0, 2.0))


def _stone(rng: Rng, size: float) -> Signal:
    """A stone on stone: big ones (`size` 1) thud, small ones (0) click."""
    low = 120.0 * (1.0 / (0.06 + size)) ** 0.9
    out = modal(low * rng.uniform(0.8, 4.0, 5), 0.03 + 0.09 * size, rng.uniform(0.3, 1.0, 5), 3200, rng)
    dull: Points = [(40, -20 + 20 * size), (low, 0), (4 * low, -4), (8000, -12 - 12 * size)]
    add(out, burst(rng, 0.03 + 0.12 * size, dull), 0.0, 1.5)
    return out / np.max(np.abs(out))


def rockfall(rng: Rng) -> Audio:
    """Render falling rocks: boulders bounce ever faster and crack on the slope, gravel streams after them."""
    total = rng.uniform(4.0, 7.0)
    out = np.zeros(samples(total))
    for _ in range(rng.integers(3, 7)):
        size, now, gap = rng.uniform(0.4, 1.0), rng.uniform(0.0, total * 0.45) * (rng.random() < 0.8), 0.5
        boulder = [_stone(rng, size) for _ in range(3)]
        while now < total - 0.3 and gap > 0.07:
            add(out, boulder[rng.integers(3)], now, size**1.5 * rng.uniform(0.5, 1.0))
            now, gap = now + gap * rng.uniform(0.6, 1.2), gap * rng.uniform(0.75, 0.95)
    pebbles = [_stone(rng, rng.uniform(0.0, 0.25)) for _ in range(8)]
    for time in poisson(rng, total - 0.3, rng.uniform(20.0, 45.0)):
        add(out, pebbles[rng.integers(8)], time, 0.35 * rng.lognormal(-0.8, 0.7))
    return finish(out)


def landslide(rng: Rng) -> Audio:
    """Render a slope that gives way: a rumble that grows and grows, full of breaking stone and wood."""
    total = rng.uniform(5.5, 8.0)
    count = samples(total)
    grow = np.clip(np.linspace(0.15, rng.uniform(1.1, 1.6), count), 0.0, 1.0) * drift(rng, count, 2.0, 0.15)
    out = noise(rng, count, [(10, -30), (20, -2), (50, 0), (150, -4), (600, -18), (3000, -32)]) * grow * 1.3
    stones = [_stone(rng, rng.uniform(0.1, 1.0)) for _ in range(12)]
    for time in poisson(rng, total, rng.uniform(25.0, 50.0)):
        add(out, stones[rng.integers(12)], time, rng.lognormal(-0.6, 0.6) * grow[min(count - 1, samples(time))])
    for time in rng.uniform(0.5, total - 0.3, rng.integers(2, 6)):  # trees that snap
        add(out, burst(rng, 0.08, [(200, -6), (1000, 0), (5000, -8)]), time, 1.5)
    return finish(out)


def earthquake(rng: Rng) -> Audio:
    """Render an earthquake: the ground rumbles at 20-80 Hz, and the house rattles to its swaying at 3-8 Hz."""
    total = rng.uniform(5.0, 8.0)
    count = samples(total)
    shake = np.full(count, rng.uniform(3.5, 7.5)) * drift(rng, count, 1.0, 0.15)
    sway = 0.5 + 0.5 * harmonics(shake, [1.0], count)
    swell = np.clip(np.linspace(0.3, 2.5, count), 0.0, 1.0) * drift(rng, count, 0.8, 0.2)
    out = 1.5 * noise(rng, count, [(10, -30), (20, 0), (60, 0), (120, -8), (400, -26), (3000, -55)])
    wood = grains(rng, total, 90.0 * sway**3 + 1.0, 0.05, [(80, -4), (400, 0), (2000, -10), (6000, -22)])
    dishes = [modal(log_uniform(rng, 1200, 5000, 3), 0.1, rng.uniform(0.3, 1, 3), 2400, rng) for _ in range(8)]
    for time in poisson(rng, total, rng.uniform(15.0, 30.0)):
        add(
            out,
            dishes[rng.integers(8)],
            time,
            0.6 * rng.lognormal(-0.8, 0.5) * (0.2 + sway[min(count - 1, samples(time))]),
        )
    return finish((out + 0.9 * wood / np.std(wood)) * swell)


def gravel_trickling(rng: Rng) -> Audio:
    """Render a handful of gravel that trickles from a hand: small stones click, ever softer."""
    total = rng.uniform(1.5, 4.0)
    out = np.zeros(samples(total + 0.3))
    pebbles = [_stone(rng, rng.uniform(0.0, 0.06)) for _ in range(10)]
    times = rng.uniform(0.0, total, int(total * rng.uniform(30, 80)))
    for time in np.sort(times):
        add(out, pebbles[rng.integers(10)], time, rng.lognormal(-0.7, 0.6) * (1.05 - time / total))
    return finish(out)


# fmt: off
TYPES = (
    event(heavy_rain, 'Meteorology', 'ii', 'heavy rain', 'Heavy rain pours down.',
          depth=(0.0, 0.3), flatness=(0.2, 0.9), centroid_hz=(1500, 3600)),
    event(rain_on_umbrella, 'Meteorology', 'none', 'rain', 'Light rain drips on an umbrella.',
          crest_db=(15, 36), centroid_hz=(400, 2500)),
    event(hail, 'Meteorology', 'ii', 'hail', 'Hail batters the roof.',
          crest_db=(14, 38), depth=(0.0, 0.8), centroid_hz=(1000, 4200)),
    event(storm_wind, 'Meteorology', 'ii', 'storm', 'A hurricane howls around the house.',
          centroid_hz=(60, 900), depth=(0.15, 1.0), flatness=(0.0, 0.25)),
    event(thunder_close, 'Meteorology', 'ii', 'lightning strike', 'Lightning strikes close by.',
          crest_db=(16, 36), depth=(0.8, 4.0), centroid_hz=(100, 2500)),
    event(brook, 'Meteorology', 'none', 'water', 'A brook babbles.',
          depth=(0.0, 0.55), centroid_hz=(500, 2800)),
    event(rockfall, 'Geological Hazards', 'ii', 'rockfall', 'Rocks fall down a slope.',
          crest_db=(14, 34), depth=(0.5, 2.5), centroid_hz=(150, 2600)),
    event(landslide, 'Geological Hazards', 'ii', 'landslide', 'A slope slides down with a growing rumble.',
          centroid_hz=(40, 900), depth=(0.2, 0.9)),
    event(earthquake, 'Geological Hazards', 'ii', 'earthquake', 'An earthquake shakes the house.',
          peak_hz=(10, 130), depth=(0.2, 1.0)),
    event(gravel_trickling, 'Geological Hazards', 'none', 'gravel', 'Gravel trickles from a hand.',
          centroid_hz=(1500, 4500), crest_db=(12, 32)),
)
# fmt: on
