"""Appliances and installations of a house, sound and failing: motors, leaks, sparks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.home.impacts import clink
from training.procedural.people.voice import contour
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
    poisson,
    samples,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import bubbles, grains, ratchet, rush, stretch, whine

Audio = NDArray[np.float32]


def fridge(rng: Rng) -> Audio:
    """Render a refrigerator: the compressor's hum at 48 or 58 Hz with harmonics, and a trickle of refrigerant."""
    count = stretch(rng)
    shaft = float(rng.choice([48.5, 58.3])) * rng.uniform(0.99, 1.01)
    hum = whine(rng, np.full(count, shaft), 1.0, 14) + 0.4 * whine(rng, np.full(count, 2.06 * shaft), 1.2, 6)
    trickle = bubbles(rng, count / SAMPLE_RATE, rng.uniform(3.0, 15.0), 300.0, 1200.0)
    return finish(hum + 0.15 * rush(rng, count, 200.0, 6.0) + 0.1 * trickle)


def blender(rng: Rng) -> Audio:
    """Render a blender: a loud 200-400 Hz whine, and chunks that knock against the jug less and less."""
    count = stretch(rng)
    time = np.arange(count) / SAMPLE_RATE
    pitch = (
        rng.uniform(200.0, 400.0) * (1.0 - 0.7 * np.exp(-time / rng.uniform(0.1, 0.3))) * drift(rng, count, 2.0, 0.03)
    )
    chunks = grains(rng, count / SAMPLE_RATE, 60.0 * np.exp(-time / 2.0) + 3.0, 0.03, [(150, -6), (700, 0), (4000, -8)])
    return finish(whine(rng, pitch, 0.4, 24) + 0.8 * rush(rng, count, 500.0, 2.0) + 0.6 * chunks / np.std(chunks))


def toilet_flush(rng: Rng) -> Audio:
    """Render a toilet that is flushed: a rush that swells at once, gurgles and dies down into the filling cistern."""
    count = samples(rng.uniform(5.5, 8.0))
    time = np.arange(count) / SAMPLE_RATE
    swell = (1.0 - np.exp(-time / 0.25)) * (np.exp(-((time / rng.uniform(2.0, 3.0)) ** 2)) + 0.12)
    gurgle = bubbles(rng, count / SAMPLE_RATE, 150.0, 150.0, 900.0)
    return finish((rush(rng, count, 300.0, 3.0) + 0.7 * gurgle / np.std(gurgle) * drift(rng, count, 3.0, 0.4)) * swell)


def printer(rng: Rng) -> Audio:
    """Render a printer: the head goes to and fro under a stepper's whirr, paper is fed between the lines."""
    total = rng.uniform(3.5, 7.0)
    out = np.zeros(samples(total))
    step, line = rng.uniform(350.0, 700.0), rng.uniform(0.45, 0.8)
    for turn, time in enumerate(beats(rng, total, line, 0.02)):
        count = samples(line * 0.72)
        pitch = contour(count, step * 0.6, step, step, step * 0.6) * (1.0 if turn % 2 else 1.06)
        add(out, (whine(rng, pitch, 0.6, 12) + 0.5 * rush(rng, count, 900.0, 2.0)) * gate(count, 0.03, 0.03), time, 0.6)
        add(out, burst(rng, 0.05, [(200, -6), (1200, 0), (5000, -8)]), time + line * 0.76, 1.5)
        feed = samples(line * 0.15)
        add(out, whine(rng, np.full(feed, step * 0.3), 0.5, 20) * gate(feed, 0.01, 0.01), time + line * 0.8, 0.4)
    return finish(out)


def gas_leak(rng: Rng) -> Audio:
    """Render escaping gas: an unbroken, bright, turbulent hiss, sometimes with the whistle of the crack it passes."""
    count = stretch(rng, 3.5, 7.5)
    high = rng.uniform(3500.0, 6500.0)
    hiss = noise(rng, count, [(300, -35), (1200, -14), (high, 0), (8000, -3)])
    whistle = noise(rng, count, [(high * 0.62, -60), (high * 0.7, 0), (high * 0.78, -60)])
    out = hiss + rng.uniform(0.0, 0.4) * whistle * drift(rng, count, 3.0, 0.4)
    return finish(out * drift(rng, count, 1.0, 0.04) * gate(count, 0.02, 0.0))


def arcing(rng: Rng) -> Audio:
    """Render an electrical arc: snaps and frying bursts that strike at the mains' half-waves, over a faint buzz."""
    total = rng.uniform(3.0, 6.5)
    count = samples(total)
    half_wave = 2.0 * float(rng.choice([50.0, 60.0]))
    snap = burst(rng, rng.uniform(0.003, 0.008), [(300, -12), (2000, 0), (8000, -2)])
    on = np.clip(3.0 * slow(rng, count, rng.uniform(3.0, 8.0)), 0.0, 1.0)
    on[: samples(0.2)] = 1.0
    arc = ratchet(rng, np.full(count, half_wave), snap, 0.3) * on
    crackle = grains(rng, total, 200.0 * on + 5.0, 0.004, [(500, -12), (3000, 0), (8000, -2)])
    for time in poisson(rng, total - 0.2, rng.uniform(1.5, 4.0)):
        add(arc, burst(rng, 0.03, [(150, -6), (1500, 0), (8000, -4)]), time, rng.uniform(2.0, 4.0))
    return finish(arc + 0.8 * crackle + 0.03 * harmonics(half_wave, 1.0 / np.arange(1, 12), count, rng))


def bearing_failing(rng: Rng) -> Audio:
    """Render a motor whose bearing grinds: each ball that crosses the flaw rings the housing, in the shaft's rhythm."""
    count = stretch(rng)
    shaft = np.full(count, rng.uniform(18.0, 30.0)) * drift(rng, count, 0.7, 0.01)
    housing = log_uniform(rng, 1200.0, 3800.0, 4)
    blow = modal(housing, rng.uniform(0.01, 0.03), rng.uniform(0.4, 1.0, 4), 500, rng)
    balls = ratchet(rng, shaft * rng.uniform(3.0, 3.7), blow, 0.15)  # ball-pass frequency of the outer race
    turn = 1.0 + rng.uniform(0.5, 0.9) * harmonics(shaft, [1.0], count, rng)
    grind = noise(rng, count, [(200, -14), (1000, -2), (3000, 0), (7000, -10)]) * turn**2
    hum = whine(rng, shaft, 0.8, 20)
    return finish(balls / np.std(balls) * turn + rng.uniform(0.3, 0.7) * grind + rng.uniform(0.2, 0.5) * hum)


def pump_cavitating(rng: Rng) -> Audio:
    """Render a cavitating pump: collapsing vapour that sounds like gravel in the pipe, over the whine of vanes."""
    total = rng.uniform(3.5, 7.0)
    count = samples(total)
    vanes = np.full(count, rng.uniform(90.0, 180.0))
    rate = np.clip(700.0 * drift(rng, count, 2.5, 0.5), 100.0, 2000.0)
    gravel = grains(rng, total, rate, 0.006, [(200, -14), (1200, -2), (4000, 0), (8000, -8)])
    knock = grains(rng, total, rng.uniform(4.0, 10.0), 0.06, [(80, -3), (300, 0), (1500, -10)])
    return finish(
        gravel / np.std(gravel) + 0.7 * knock / np.std(knock) + rng.uniform(0.4, 0.8) * whine(rng, vanes, 0.9)
    )


def washer_unbalanced(rng: Rng) -> Audio:
    """Render a washing machine that spins out of balance: the drum bangs on the housing 1.8-4.2 times a second."""
    total = rng.uniform(4.0, 7.5)
    count = samples(total)
    out = 0.2 * rush(rng, count, 150.0, 7.0) + 0.3 * whine(rng, np.full(count, rng.uniform(180.0, 350.0)), 0.7)
    panel = rng.uniform(50.0, 220.0, 5)
    for time in beats(rng, total - 0.2, 1.0 / rng.uniform(1.8, 4.2), 0.03):
        level = rng.uniform(0.8, 1.1)
        add(out, modal(panel, 0.25, np.array([1.0, 0.8, 0.6, 0.5, 0.3]), 4800, rng), time, level * 1.5)
        add(out, burst(rng, 0.2, [(60, 0), (200, -2), (900, -16), (5000, -40)]), time, level * 3.0)
        if rng.random() < 0.5:
            add(out, clink(rng, rng.uniform(700, 1800), 0.08), time + rng.uniform(0.02, 0.08), 0.6)
    return finish(out)


def hard_drive_failing(rng: Rng) -> Audio:
    """Render the click of death: a hard disk's arm hits its stop over and over while the spindle whines."""
    total = rng.uniform(4.0, 7.0)
    count = samples(total)
    spindle = whine(rng, np.full(count, float(rng.choice([90.0, 120.0])) * 4.0), 0.6, 12)
    out = 0.06 * spindle + 0.03 * rush(rng, count, 600.0, 2.0)
    body, gap = log_uniform(rng, 900.0, 3000.0, 4), rng.uniform(0.35, 0.8)
    for time in beats(rng, total - 0.2, gap, 0.02):
        for lag, level in ((0.0, 1.0), (rng.uniform(0.07, 0.11), 0.6)):
            add(out, modal(body, 0.03, np.ones(4), 900, rng), time + lag, level * 0.5)
            add(out, burst(rng, 0.015, [(400, -8), (2500, 0), (7000, -6)]), time + lag, level)
    return finish(out)


# fmt: off
TYPES = (
    event(fridge, 'House Equipment', 'none', 'refrigerator', 'A refrigerator hums.',
          peak_hz=(40, 420), depth=(0.0, 0.2), centroid_hz=(40, 500)),
    event(blender, 'House Equipment', 'none', 'blender', 'A blender runs.',
          centroid_hz=(700, 3200), depth=(0.0, 0.4)),
    event(toilet_flush, 'House Equipment', 'none', 'toilet flush', 'A toilet is flushed.',
          depth=(0.5, 1.5), flatness=(0.02, 0.9)),
    event(printer, 'House Equipment', 'none', 'printer', 'A printer prints.',
          rhythm_hz=(0.6, 4.6), centroid_hz=(500, 3000)),
    event(gas_leak, 'House Equipment', 'iii', 'gas leak', 'Gas hisses from a leak.',
          centroid_hz=(3500, 6500), depth=(0.0, 0.15), crest_db=(9, 16)),
    event(arcing, 'House Equipment', 'iii', 'electric spark', 'Electricity arcs and crackles.',
          centroid_hz=(2000, 5000), crest_db=(14, 36), depth=(0.2, 2.5)),
    event(bearing_failing, 'House Equipment', 'iii', 'failing motor', 'A motor grinds on a failing bearing.',
          flutter_hz=(15, 125), centroid_hz=(800, 3800)),
    event(pump_cavitating, 'House Equipment', 'iii', 'failing pump', 'A pump rattles as if full of gravel.',
          centroid_hz=(700, 4000), depth=(0.05, 0.8)),
    event(washer_unbalanced, 'House Equipment', 'iii', 'unbalanced washing machine',
          'A washing machine bangs, spinning out of balance.',
          rhythm_hz=(1.7, 4.4), centroid_hz=(100, 900)),
    event(hard_drive_failing, 'House Equipment', 'iii', 'failing hard drive', 'A hard drive clicks as it fails.',
          rhythm_hz=(1.1, 3.1), crest_db=(16, 36)),
)
# fmt: on
