"""Animals and woods, from the harmless to the dangerous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.people.voice import contour, glottis, hump, tract
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
    samples,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import grains, ratchet, stretch

Audio = NDArray[np.float32]


def frogs(rng: Rng) -> Audio:
    """Render one to four frogs at a pond: croaks of 20-70 pulses a second around 0.6-2.3 kHz."""
    total = rng.uniform(4.0, 7.5)
    out = np.zeros(samples(total))
    for _ in range(rng.integers(1, 5)):
        tone, pulse = log_uniform(rng, 600.0, 2300.0), rng.uniform(22.0, 65.0)
        length, gap = rng.uniform(0.25, 0.6), rng.uniform(0.7, 1.6)
        click = modal(tone * np.array([1.0, 1.9]), 0.03, np.array([1.0, 0.4]), 500, rng)
        for time in beats(rng, total, gap, 0.15):
            size = samples(length * rng.uniform(0.9, 1.1))
            add(out, ratchet(rng, np.full(size, pulse), click) * hump(size, 0.4, 0.6), time, rng.uniform(0.4, 1.0))
    return finish(out)


def owl(rng: Rng) -> Audio:
    """Render an owl that hoots: pure, soft notes of 300-500 Hz in a fixed rhythm, twice."""
    out, base = np.zeros(samples(7.5)), rng.uniform(310.0, 500.0)
    rhythm = (
        ((0.0, 0.5), (1.3, 0.12), (1.6, 0.75))
        if rng.random() < 0.5
        else ((0.0, 0.35), (0.6, 0.2), (0.9, 0.2), (1.3, 0.5))
    )
    for start in (0.0, rng.uniform(3.2, 4.5)):
        for lag, length in rhythm:
            size = samples(length * rng.uniform(0.9, 1.1))
            pitch = contour(size, base * 0.93, base, base * 0.95) * (1.0 + 0.008 * slow(rng, size, 12.0))
            add(out, harmonics(pitch, [1.0, 0.12, 0.04], size, rng) * hump(size, 0.4, 0.8), start + lag)
    return finish(out)


def mosquito(rng: Rng) -> Audio:
    """Render a mosquito: wings at 400-700 Hz with many harmonics, coming and going."""
    count = stretch(rng, 3.0, 6.5)
    pitch = rng.uniform(420.0, 680.0) * (1.0 + 0.05 * slow(rng, count, 1.5))
    near = np.clip(0.6 + 0.6 * slow(rng, count, 0.8), 0.1, 1.5)
    return finish(harmonics(pitch, 1.0 / np.arange(1, 11) ** 0.9, count, rng) * near)


def bee_swarm(rng: Rng) -> Audio:
    """Render an agitated swarm of bees: fourteen wing tones around 235 Hz, each passing by on its own."""
    count = stretch(rng)
    out = np.zeros(count)
    for _ in range(14):
        pitch = rng.normal(235.0, 22.0) * (1.0 + 0.03 * slow(rng, count, 3.0))
        near = np.clip(0.4 + 0.6 * slow(rng, count, 1.5), 0.02, 2.0)
        out += harmonics(pitch, rng.uniform(0.4, 1.0, 9) / np.arange(1, 10) ** 0.8, count, rng) * near
    return finish(out)


def rattlesnake(rng: Rng) -> Audio:
    """Render a rattlesnake that warns: 40-90 dry ticks a second that fuse into a hiss of 4-8 kHz, without a pause."""
    count = stretch(rng, 2.5, 6.0)
    tick = burst(rng, 0.009, [(1000, -25), (3500, -5), (6000, 0), (8000, -2)])
    rate = rng.uniform(45.0, 85.0) * contour(count, 0.8, 1.05, 1.0)
    return finish(ratchet(rng, rate, tick, 0.25) * gate(count, rng.uniform(0.1, 0.4), 0.2))


def dog_growling(rng: Rng) -> Audio:
    """Render a dog that growls: a rough 50-100 Hz voice through a long tract, drawn out, with a snarl over it."""
    out, now = np.zeros(samples(7.5)), 0.0
    for _ in range(rng.integers(2, 5)):
        size = samples(rng.uniform(0.9, 1.8))
        pitch = rng.uniform(55.0, 95.0) * contour(size, 0.9, 1.1, 1.0)
        voice = tract(glottis(rng, pitch, 0.8, 1.0), (420.0, 1100.0, 2000.0, 3100.0), rng.uniform(0.9, 1.1), 4.0)
        snarl = noise(rng, size, [(500, -15), (1800, 0), (5000, -8)]) * np.maximum(slow(rng, size, 40.0), 0.0)
        add(out, (voice + rng.uniform(0.1, 0.3) * snarl) * hump(size, 0.6, 0.7), now)
        now += size / SAMPLE_RATE + rng.uniform(0.1, 0.4)
    return finish(out)


def forest_fire(rng: Rng) -> Audio:
    """Render a burning forest: a low roar that flutters, crackle upon crackle, branches that burst."""
    total = rng.uniform(4.5, 7.5)
    count = samples(total)
    roar = noise(rng, count, [(30, -4), (100, 0), (400, -5), (2000, -18), (7000, -30)])
    roar *= np.maximum(1.0 + 0.4 * slow(rng, count, 6.0), 0.1)
    crackle = grains(
        rng, total, np.clip(120.0 * drift(rng, count, 1.5, 0.5), 5, 500), 0.006, [(500, -12), (2500, 0), (8000, -2)]
    )
    bursts = grains(rng, total, rng.uniform(2.0, 5.0), 0.05, [(200, -4), (1000, 0), (5000, -5)])
    return finish(roar + 0.8 * crackle / np.std(crackle) + 0.5 * bursts / np.std(bursts))


def tree_falling(rng: Rng) -> Audio:
    """Render a falling tree: fibres crack faster and faster, leaves rush down, and the trunk hits the ground."""
    crack = rng.uniform(1.2, 2.5)
    rate = np.linspace(2.0, rng.uniform(18.0, 35.0), samples(crack)) ** 1.2
    out = np.zeros(samples(crack + 2.5))
    add(out, grains(rng, crack, rate, 0.03, [(150, -8), (900, 0), (5000, -6)]), 0.0, 1.0)
    size = samples(rng.uniform(0.9, 1.3))
    leaves = noise(rng, size, [(300, -12), (2000, 0), (6000, -3)]) * np.linspace(0.05, 1.0, size) ** 2
    add(out, leaves, crack - 0.3, 0.8)
    hit = crack - 0.3 + size / SAMPLE_RATE
    add(out, burst(rng, 0.7, [(25, 0), (80, 0), (250, -8), (1500, -24)]), hit, 5.0)
    add(
        out,
        grains(rng, 1.0, 60.0 * np.linspace(1, 0.05, samples(1.0)), 0.03, [(300, -6), (1500, 0), (6000, -5)]),
        hit,
        0.8,
    )
    return finish(out)


def rooster(rng: Rng) -> Audio:
    """Render a rooster that crows: two short notes, a rising one and a long falling end, in a voice of 400-900 Hz."""
    out, now, base = np.zeros(samples(3.5)), 0.0, rng.uniform(430.0, 560.0)
    for length, low, high, last in (
        (0.2, 0.9, 1.1, 1.0),
        (0.22, 1.1, 1.35, 1.2),
        (0.3, 1.2, 1.6, 1.5),
        (0.9, 1.5, 1.65, 0.9),
    ):
        size = samples(length * rng.uniform(0.9, 1.15))
        voice = glottis(rng, base * contour(size, low, high, last), 0.5, 0.25)
        add(out, tract(voice, (1100.0, 2200.0, 3200.0, 4300.0), 1.0, 4.0) * hump(size, 0.4, 0.5), now)
        now += size / SAMPLE_RATE + rng.uniform(0.01, 0.08)
    return finish(out)


# fmt: off
TYPES = (
    event(frogs, 'Ecological Context', 'none', 'frogs', 'Frogs croak.',
          peak_hz=(500, 4500), flutter_hz=(8, 125)),
    event(owl, 'Ecological Context', 'none', 'owl', 'An owl hoots.',
          pitch_hz=(280, 520), harmonicity=(0.9, 1.0), depth=(0.7, 2.0)),
    event(mosquito, 'Ecological Context', 'none', 'mosquito', 'A mosquito whines.',
          pitch_hz=(350, 780), harmonicity=(0.9, 1.0)),
    event(bee_swarm, 'Ecological Context', 'ii', 'bee swarm', 'A swarm of bees buzzes close by.',
          peak_hz=(170, 640), harmonicity=(0.15, 0.85), depth=(0.0, 0.6)),
    event(rattlesnake, 'Ecological Context', 'ii', 'rattlesnake', 'A rattlesnake rattles.',
          flutter_hz=(34, 95), centroid_hz=(4000, 6800)),
    event(dog_growling, 'Ecological Context', 'iv', 'dog growling', 'A dog growls and snarls.',
          pitch_hz=(50, 115), centroid_hz=(200, 1500)),
    event(forest_fire, 'Ecological Context', 'ii', 'fire crackling', 'A forest burns.',
          crest_db=(14, 34), centroid_hz=(400, 3500), depth=(0.1, 1.0)),
    event(tree_falling, 'Ecological Context', 'ii', 'tree falling', 'A tree cracks and falls.',
          crest_db=(14, 34), depth=(0.7, 3.5)),
    event(rooster, 'Ecological Context', 'none', 'rooster', 'A rooster crows.',
          pitch_hz=(380, 1000), harmonicity=(0.75, 1.0), centroid_hz=(700, 2800)),
)
# fmt: on
