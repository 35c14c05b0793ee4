"""Cooking and cleaning: brooms, knives, pans, kettles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
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
    poisson,
    samples,
    shape,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import bubbles, grains, strokes

Audio = NDArray[np.float32]


def sweeping(rng: Rng) -> Audio:
    """Render a broom: one to 1.7 long, soft strokes a second, with grit in them."""
    total = rng.uniform(3.0, 7.0)
    out = strokes(rng, total, rng.uniform(1.0, 1.7), [(200, -15), (1500, -2), (3500, 0), (8000, -10)], 0.55)
    return finish(out)


def scrubbing(rng: Rng) -> Audio:
    """Render a pan or floor being scrubbed: hard, rough strokes two to four times a second each way."""
    total = rng.uniform(3.0, 6.5)
    points: Points = [(200, -10), (700, 0), (rng.uniform(1500, 2500), 2), (8000, -12)]
    out = strokes(rng, total, rng.uniform(4.2, 7.2), points, 0.9)
    rough = 1.0 + 0.5 * np.clip(slow(rng, out.size, rng.uniform(60.0, 150.0)), -1.5, 1.5)
    return finish(out * rough)


def chopping(rng: Rng) -> Audio:
    """Render vegetables being chopped: a knife on a board two to five times a second."""
    total = rng.uniform(2.5, 6.0)
    out = np.zeros(samples(total))
    board = rng.uniform(180.0, 380.0) * np.array([1.0, 1.9, 3.1, 4.4])
    for time in beats(rng, total - 0.2, 1.0 / rng.uniform(2.2, 5.0), 0.1):
        level = rng.uniform(0.6, 1.0)
        add(out, modal(board, 0.07, np.array([1.0, 0.6, 0.3, 0.2]), 2400, rng), time, level)
        add(out, burst(rng, 0.02, [(300, -6), (2000, 0), (7000, -8)]), time, level)
        add(out, burst(rng, 0.05, [(800, -10), (3000, 0), (8000, -6)]), time - 0.035, 0.15 * level)
    return finish(out)


def frying(rng: Rng) -> Audio:
    """Render something that fries: a steady sizzle of countless small pops, and a few big spits."""
    total = rng.uniform(3.0, 7.0)
    sizzle = grains(rng, total, rng.uniform(500.0, 1200.0), 0.004, [(500, -20), (2500, -4), (6000, 0)])
    spits = grains(rng, total, rng.uniform(2.0, 8.0), 0.02, [(300, -10), (2000, 0), (7000, -3)])
    hiss = noise(rng, sizzle.size, [(500, -22), (3000, -4), (7000, 0)])
    return finish(sizzle / np.std(sizzle) + 0.5 * hiss + rng.uniform(0.2, 0.5) * spits / (np.std(spits) + 1e-9))


def kettle_whistle(rng: Rng) -> Audio:
    """Render a kettle that boils with its whistle on: steam, and a tone that climbs to 1.8-3.2 kHz and stays."""
    count = samples(rng.uniform(4.0, 7.5))
    top, rise = rng.uniform(1800.0, 3200.0), rng.uniform(0.3, 1.2)
    time = np.arange(count) / SAMPLE_RATE
    speak = 1.0 - np.exp(-time / rise)
    pitch = top * (0.82 + 0.18 * speak) * (1.0 + 0.004 * slow(rng, count, 9.0))
    tone = harmonics(pitch, [1.0, rng.uniform(0.05, 0.3), 0.05], count, rng)
    steam = noise(rng, count, [(500, -20), (2500, 0), (8000, -2)])
    return finish(tone * (0.08 + speak) * drift(rng, count, 5.0, 0.08) + rng.uniform(0.1, 0.3) * steam)


def boiling_over(rng: Rng) -> Audio:
    """Render a pot that boils over: rolling bubbles, the lid rattling on its rim, spills hissing on the hot plate."""
    total = rng.uniform(4.5, 7.5)
    count = samples(total)
    boil = bubbles(rng, total, rng.uniform(120.0, 250.0), 150.0, 1000.0)
    out = boil / np.std(boil)
    lid = log_uniform(rng, 900.0, 1800.0) * np.array([1.0, 1.6, 2.4, 3.7])
    taps = [modal(lid, 0.12, rng.uniform(0.3, 1.0, 4), 2400, rng) for _ in range(4)]
    for time in poisson(rng, total, rng.uniform(9.0, 16.0)):
        add(out, taps[rng.integers(4)], time, rng.uniform(0.8, 2.5))
    spill = noise(rng, count, [(800, -25), (3500, -3), (7000, 0)])
    for start in rng.uniform(0.0, total - 0.8, rng.integers(4, 8)):
        size = samples(rng.uniform(0.5, 1.4))
        piece = spill[: min(size, count)]
        add(out, piece * np.exp(-np.linspace(0.0, 4.0, piece.size)) * gate(piece.size, 0.02, 0.05), start, 2.5)
    return finish(shape(out, [(60, -6), (150, 0), (8000, 0)]))


# fmt: off
TYPES = (
    event(sweeping, 'Housekeeping', 'none', 'sweeping', 'Someone sweeps the floor.',
          rhythm_hz=(0.8, 2.0), centroid_hz=(2000, 4500)),
    event(scrubbing, 'Housekeeping', 'none', 'scrubbing', 'Someone scrubs a pan.',
          rhythm_hz=(1.0, 8), centroid_hz=(900, 3000)),
    event(chopping, 'Housekeeping', 'none', 'chopping', 'Someone chops vegetables.',
          rhythm_hz=(1.9, 5.5), crest_db=(20, 36)),
    event(frying, 'Housekeeping', 'none', 'frying', 'Something fries in a pan.',
          centroid_hz=(3000, 6000), depth=(0.0, 0.6), crest_db=(12, 38)),
    event(kettle_whistle, 'Housekeeping', 'iii', 'kettle whistle', 'A boiling kettle whistles and nobody comes.',
          peak_hz=(1600, 3300), flatness=(0.0, 0.25), depth=(0.0, 0.5)),
    event(boiling_over, 'Housekeeping', 'iii', 'boiling over', 'A pot boils over onto the stove.',
          centroid_hz=(600, 4500), flatness=(0.02, 0.6)),
)
# fmt: on
