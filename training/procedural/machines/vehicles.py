"""Cars, sound and failing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms.fire_alarms import pulsed
from training.procedural.home.everyday import drift
from training.procedural.home.impacts import clink
from training.procedural.people.voice import contour, hump
from training.procedural.synth import (
    SAMPLE_RATE,
    Rng,
    add,
    beats,
    burst,
    finish,
    gate,
    harmonics,
    log_uniform,
    modal,
    noise,
    resonance,
    samples,
    shape,
)
from training.procedural.taxonomy import event
from training.procedural.textures import firing, grains, ratchet, rush, stretch, whine

Audio = NDArray[np.float32]


def engine_knocking(rng: Rng) -> Audio:
    """Render an engine that knocks: a hard metallic rap of 1-3 kHz with every other turn, over the idle."""
    count = stretch(rng)
    rate = rng.uniform(24.0, 44.0) * drift(rng, count, 0.5, 0.05)
    rod = modal(log_uniform(rng, 900.0, 3000.0, 5), 0.03, rng.uniform(0.4, 1.0, 5), 900, rng)
    add(rod, burst(rng, 0.02, [(150, -3), (600, 0), (5000, -12)]), 0.0, 1.5)
    knock = ratchet(rng, rate / 4.0, rod, 0.05)
    return finish(
        firing(rng, rate, 4, 0.1) + rng.uniform(1.0, 1.6) * knock / np.std(knock) + 0.1 * rush(rng, count, 300, 4)
    )


def engine_misfiring(rng: Rng) -> Audio:
    """Render an engine that misfires: cylinders drop out at random, the idle stumbles, the exhaust pops."""
    count = stretch(rng)
    rate = rng.uniform(20.0, 34.0) * np.clip(drift(rng, count, 2.5, 0.12), 0.5, 1.4)
    pop = burst(rng, 0.06, [(50, 0), (150, 0), (600, -14), (3000, -38)])
    out = ratchet(rng, rate, pop, 0.15)
    cycles = np.floor(np.cumsum(rate) / SAMPLE_RATE).astype(int)
    alive = (rng.random(int(cycles[-1]) + 1) > rng.uniform(0.25, 0.45)).astype(float)
    out = out * (0.08 + 0.92 * alive[cycles])
    for time in rng.uniform(0.3, count / SAMPLE_RATE - 0.3, rng.integers(1, 5)):
        add(out, burst(rng, 0.15, [(60, 0), (250, 0), (1200, -12), (6000, -36)]), time, rng.uniform(1.2, 2.2))
    return finish(out + 0.05 * rush(rng, count, 200.0, 8.0))


def starter_failing(rng: Rng) -> Audio:
    """Render a starter on a weak battery: it groans ever slower over compression strokes and clicks at the end."""
    out, now = np.zeros(samples(7.5)), 0.0
    for _ in range(rng.integers(1, 3)):
        count = samples(rng.uniform(1.5, 2.6))
        rate = contour(count, rng.uniform(5.0, 6.5), rng.uniform(3.0, 4.0), rng.uniform(1.5, 2.2))
        stroke = 0.5 + 0.5 * harmonics(rate, [1.0], count)
        motor = whine(rng, rng.uniform(28.0, 40.0) * rate * (0.85 + 0.3 * stroke), 0.5, 20)
        add(out, motor * (0.15 + stroke) * gate(count, 0.02, 0.05), now, 0.5)
        now += count / SAMPLE_RATE + 0.08
    for _ in range(rng.integers(2, 6)):
        add(out, clink(rng, rng.uniform(500.0, 1200.0), 0.04), now, 0.6)
        add(out, burst(rng, 0.03, [(100, 0), (900, 0), (5000, -10)]), now, 1.5)
        now += rng.uniform(0.12, 0.3)
    return finish(out)


def flat_tyre(rng: Rng) -> Audio:
    """Render a flat tyre that flaps: one wet slap of rubber with each of 3-7 turns of the wheel a second."""
    total = rng.uniform(4.0, 7.0)
    out = rush(rng, samples(total), 120.0, 8.0) * 0.5
    for time in beats(rng, total, 1.0 / rng.uniform(3.0, 7.0), 0.02):
        slap = burst(rng, rng.uniform(0.07, 0.11), [(60, 0), (250, 0), (1000, -14), (5000, -38)])
        add(out, slap, time, rng.uniform(2.5, 3.5))
    return finish(out)


def car_alarm(rng: Rng) -> Audio:
    """Render a car's alarm: its horn or siren switched on and off 1-2.6 times a second (UN R97 asks for 1-3)."""
    total = rng.uniform(4.5, 7.5)
    count, rate = samples(total), rng.uniform(1.0, 2.6)
    if rng.random() < 0.5:
        low = rng.uniform(340.0, 430.0)  # the two discs of the car's own horn
        tone = harmonics(low, rng.uniform(0.3, 1.0, 16), count, rng)
        tone += harmonics(low * rng.uniform(1.17, 1.27), rng.uniform(0.3, 1.0, 16), count, rng)
    else:
        turn = np.mod(np.arange(count) / SAMPLE_RATE * rng.uniform(3.0, 8.0), 1.0)
        tone = harmonics(rng.uniform(1100.0, 1500.0) * 2.0**turn, [1.0, 0.2, 0.4], count, rng)
    pulses = [(start, 0.5 / rate) for start in beats(rng, total, 1.0 / rate, 0.0)]
    return finish(pulsed(shape(tone, resonance(rng, 400.0, 5000.0)), pulses, 0.01, 0.01, 0.0))


def wipers(rng: Rng) -> Audio:
    """Render windscreen wipers: a soft sweep each way and a thump at the turn, 40-60 times to and fro a minute."""
    total = rng.uniform(4.0, 7.5)
    out, half = np.zeros(samples(total)), rng.uniform(0.5, 0.75)
    for turn, time in enumerate(beats(rng, total, half, 0.02)):
        size = samples(half * 0.85)
        sweep = noise(rng, size, [(150, -8), (600, 0), (2500 + 800 * (turn % 2), -4), (7000, -20)])
        add(out, sweep * hump(size, 0.5), time, 0.3)
        add(out, burst(rng, 0.08, [(60, 0), (200, -2), (1000, -12)]), time + half * 0.88, rng.uniform(0.6, 1.0))
    return finish(out)


def car_door(rng: Rng) -> Audio:
    """Render a car door that shuts: a damped thump of the body, the latch's double click, a rattle of the pane."""
    out = np.zeros(samples(1.2))
    add(out, burst(rng, 0.25, [(35, 0), (90, 0), (300, -8), (1500, -22)]), 0.0, 1.5)
    add(out, modal(rng.uniform(50.0, 300.0, 5), 0.12, rng.uniform(0.3, 1.0, 5), 4000, rng), 0.0, 0.4)
    for lag in (0.0, rng.uniform(0.02, 0.05)):
        add(out, clink(rng, rng.uniform(700.0, 1600.0), 0.05), lag, 0.15)
    add(out, grains(rng, 0.2, 80.0, 0.01, [(500, -8), (2500, 0), (6000, -6)]), 0.02, 0.05)
    return finish(out)


def engine_accelerating(rng: Rng) -> Audio:
    """Render a car that pulls away: the firing rate climbs, drops at a change of gear, and climbs again."""
    count = samples(rng.uniform(4.0, 7.5))
    low, high = rng.uniform(40.0, 60.0), rng.uniform(120.0, 190.0)
    first = int(count * rng.uniform(0.35, 0.5))
    rate = np.concatenate([contour(first, low, high), contour(count - first, high * 0.62, high * 1.05)])
    rate = np.convolve(np.pad(rate, 800, mode='edge'), np.ones(1601) / 1601, 'valid')
    level = np.clip(rate / high, 0.3, 1.0)
    return finish(
        (firing(rng, rate, 4, 0.3, 400.0) + 0.25 * rush(rng, count, 200.0, 4.0)) * level * drift(rng, count, 1, 0.1)
    )


# fmt: off
TYPES = (
    event(engine_knocking, 'Vehicle', 'iii', 'engine knocking', 'An engine knocks.',
          flutter_hz=(8, 50), crest_db=(12, 30), centroid_hz=(150, 2200)),
    event(engine_misfiring, 'Vehicle', 'iii', 'engine misfiring', 'An engine misfires and stumbles.',
          centroid_hz=(60, 900), crest_db=(12, 32), depth=(0.25, 1.8)),
    event(starter_failing, 'Vehicle', 'iii', 'starter failing', 'A starter motor groans and gives up.',
          depth=(0.4, 1.6), centroid_hz=(150, 1500)),
    event(flat_tyre, 'Vehicle', 'iii', 'flat tyre', 'A flat tyre flaps on the road.',
          rhythm_hz=(1.4, 7.3), centroid_hz=(80, 700)),
    event(car_alarm, 'Vehicle', 'iv', 'alarm', 'A car alarm sounds.',
          rhythm_hz=(0.95, 2.7), on_s=(0.18, 0.56), off_s=(0.12, 0.52)),
    event(wipers, 'Vehicle', 'none', 'windscreen wipers', 'Windscreen wipers sweep.',
          rhythm_hz=(0.6, 2.2), centroid_hz=(600, 2500)),
    event(car_door, 'Vehicle', 'none', 'car door', 'A car door shuts.',
          centroid_hz=(40, 1300), crest_db=(12, 30), t60_s=(0.05, 0.6)),
    event(engine_accelerating, 'Vehicle', 'none', 'engine', 'A car accelerates away.',
          sweep_octaves_s=(0.1, 3.0), centroid_hz=(80, 800)),
)
# fmt: on
