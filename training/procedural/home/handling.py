"""People at home: washing and grooming, paper, zips, drinks, food, and what falls down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.home.impacts import clink
from training.procedural.people.voice import VOWELS, contour, glottis, hump, person, tract
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
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
from training.procedural.textures import bubbles, grains, strokes

Audio = NDArray[np.float32]


def brushing_teeth(rng: Rng) -> Audio:
    """Render teeth brushed by hand: bristles go to and fro three or four times a second, bright and foamy."""
    total = rng.uniform(2.5, 6.0)
    rate, top = rng.uniform(5.5, 7.6), rng.uniform(3000.0, 5500.0)
    out = strokes(rng, total, rate, [(300, -25), (1200, -8), (top, 0), (8000, -8)], 0.85)
    return finish(out)


def electric_toothbrush(rng: Rng) -> Audio:
    """Render a sonic toothbrush: a 220-280 Hz buzz that changes with the mouth's resonance, and foam over it."""
    count = samples(rng.uniform(3.0, 6.5))
    pitch = rng.uniform(220.0, 280.0) * (1.0 + 0.006 * slow(rng, count, 3.0))
    buzz = harmonics(pitch, rng.uniform(0.4, 1.0, 24) / np.arange(1, 25) ** 0.7, count)
    mix = np.clip(0.5 + 0.4 * slow(rng, count, 1.2), 0, 1)
    mouth = tract(buzz, VOWELS['o']) * mix + tract(buzz, VOWELS['e']) * (1 - mix)
    foam = noise(rng, count, [(500, -20), (3000, 0), (8000, -4)]) * drift(rng, count, 4.0, 0.3)
    return finish(mouth + rng.uniform(0.05, 0.2) * foam)


def nail_clipping(rng: Rng) -> Audio:
    """Render nails being clipped: single bright snaps of the jaws, each with the lever's click before it."""
    total = rng.uniform(2.0, 5.0)
    out = np.zeros(samples(total))
    jaw = log_uniform(rng, 2200.0, 4500.0) * np.array([1.0, 1.7, 2.4])
    for time in beats(rng, total - 0.3, rng.uniform(0.55, 1.1), 0.3):
        add(out, burst(rng, 0.02, [(500, -15), (2500, 0)]), time, rng.uniform(0.15, 0.3))
        snap = modal(jaw * rng.uniform(0.98, 1.02), 0.03, np.array([1.0, 0.7, 0.4]), 1600, rng)
        add(snap, burst(rng, 0.015, [(800, -12), (4000, 0)]), 0.0, 0.8)
        add(out, snap, time + rng.uniform(0.05, 0.12), rng.uniform(0.8, 1.2))
    return finish(out)


def _shower(rng: Rng, total_s: float) -> Signal:
    count = samples(total_s)
    spray = noise(rng, count, [(150, -16), (800, -5), (2500, 0), (7500, rng.uniform(-8, -2))])
    tub = grains(rng, total_s, rng.uniform(150.0, 400.0), 0.02, [(200, -10), (900, 0), (4000, -8)])
    return spray * drift(rng, count, 1.5, 0.06) + rng.uniform(0.3, 0.8) * tub / (np.std(tub) + 1e-9)


def shower(rng: Rng) -> Audio:
    """Render a shower that runs: dense spray, and drops on the tray."""
    return finish(_shower(rng, rng.uniform(3.5, 7.0)))


def shower_fall(rng: Rng) -> Audio:
    """Render a fall in the shower: under the spray a squeak of wet skin, a heavy thud, bottles and a groan."""
    total = rng.uniform(4.5, 6.5)
    out = 0.12 * _shower(rng, total)
    start = rng.uniform(0.8, 1.6)
    size = samples(rng.uniform(0.12, 0.25))
    squeak = harmonics(contour(size, rng.uniform(700, 1100), rng.uniform(1300, 2000)), [1, 0.6, 0.4, 0.2], size, rng)
    add(out, squeak * hump(size), start - 0.25, 0.35)
    for turn, lag in enumerate(np.cumsum(rng.uniform(0.0, 0.2, 3))):
        add(out, burst(rng, 0.4, [(30, -3), (90, 0), (300, -8), (2000, -25)]), start + lag, (3.0, 1.8, 1.0)[turn])
    tray = modal(rng.uniform(90.0, 400.0, 6), rng.uniform(0.1, 0.35, 6), rng.uniform(0.3, 1.0, 6), 8000, rng)
    add(out, tray, start, 0.6)
    for lag in rng.uniform(0.15, 0.9, rng.integers(2, 5)):
        add(out, burst(rng, 0.09, [(200, -8), (700, 0), (3000, -10)]), start + lag, rng.uniform(0.3, 0.8))
    who, size = person(rng), samples(rng.uniform(0.5, 0.9))
    groan = tract(glottis(rng, contour(size, who.pitch_hz * 1.9, who.pitch_hz), 0.9, 0.6), VOWELS['a'], who.size)
    add(out, groan * hump(size, 0.2), start + rng.uniform(0.6, 1.1), rng.uniform(0.3, 0.6))
    return finish(out)


def spray_can(rng: Rng) -> Audio:
    """Render a deodorant spray: one to four bright hisses with a crisp start."""
    out, now = np.zeros(samples(6.0)), 0.0
    points: Points = [(400, -35), (2000, -10), (rng.uniform(4500, 6500), 0), (8000, -2)]
    for _ in range(rng.integers(1, 5)):
        size = samples(rng.uniform(0.4, 1.1))
        add(out, noise(rng, size, points) * gate(size, 0.012, 0.06), now)
        now += size / SAMPLE_RATE + rng.uniform(0.25, 0.6)
    return finish(out)


def tearing_paper(rng: Rng) -> Audio:
    """Render a sheet of paper that is torn in one to three pulls: fibres snap ever faster towards the end of each."""
    out, now = np.zeros(samples(5.0)), 0.0
    for _ in range(rng.integers(1, 4)):
        length = rng.uniform(0.35, 1.0)
        rate = np.linspace(rng.uniform(150, 400), rng.uniform(900, 1800), samples(length))
        rip = grains(rng, length, rate, 0.006, [(300, -22), (1500, -4), (4000, 0), (8000, -4)])
        add(out, rip * gate(rip.size, 0.03, 0.02), now)
        now += length + rng.uniform(0.15, 0.5)
    return finish(out)


def turning_pages(rng: Rng) -> Audio:
    """Render the turning pages of a book or newspaper: a soft swish with a few crisp creases, now and then."""
    total = rng.uniform(2.5, 6.0)
    out = np.zeros(samples(total))
    for time in beats(rng, total - 0.6, rng.uniform(0.8, 1.6), 0.3):
        size = samples(rng.uniform(0.25, 0.5))
        add(out, noise(rng, size, [(200, -18), (1200, -3), (3000, 0), (8000, -12)]) * hump(size, 0.6, 2.0), time)
        crease = grains(rng, size / SAMPLE_RATE, rng.uniform(30, 90), 0.012, [(400, -15), (2500, 0), (8000, -3)])
        add(out, crease * hump(size, 0.6), time, rng.uniform(0.5, 1.2))
    return finish(out)


def zipper(rng: Rng) -> Audio:
    """Render a zip that is drawn once or twice: teeth click at 60 to 400 a second, the rate changing with the hand."""
    out, now = np.zeros(samples(4.0)), 0.0
    tooth = modal(log_uniform(rng, 1500.0, 5000.0, 4), 0.008, rng.uniform(0.4, 1.0, 4), 300, rng)
    for _ in range(rng.integers(1, 3)):
        count = samples(rng.uniform(0.5, 1.3))
        rate = contour(count, *rng.permutation([rng.uniform(60, 120), rng.uniform(180, 260), rng.uniform(260, 400)]))
        ticks = np.flatnonzero(np.diff(np.floor(np.cumsum(rate) / SAMPLE_RATE)))
        for tick in ticks:
            add(out, tooth, now + tick / SAMPLE_RATE, rng.uniform(0.6, 1.0))
        now += count / SAMPLE_RATE + rng.uniform(0.2, 0.5)
    slide = noise(rng, out.size, [(500, -20), (3000, 0), (7000, -3)]) * (np.abs(out) > 0.05 * np.max(out))
    return finish(out + 0.15 * np.std(out) * slide)


def stapler(rng: Rng) -> Audio:
    """Render a stapler pressed once to four times: a dull press, the snap of the blade, the spring back."""
    out, now = np.zeros(samples(4.0)), 0.0
    for _ in range(rng.integers(1, 5)):
        add(out, burst(rng, 0.05, [(100, 0), (600, -3), (4000, -18)]), now, 0.5)
        add(out, clink(rng, rng.uniform(900.0, 1800.0), 0.04), now + 0.09, 1.0)
        add(out, burst(rng, 0.03, [(200, -5), (2000, 0), (7000, -6)]), now + 0.09, 1.5)
        add(out, clink(rng, rng.uniform(1800.0, 3500.0), 0.06), now + rng.uniform(0.25, 0.35), 0.35)
        now += rng.uniform(0.6, 1.0)
    return finish(out)


def pouring_drink(rng: Rng) -> Audio:
    """Render a glass that is filled: bubbles over an air column whose resonance climbs as the space shrinks."""
    total = rng.uniform(2.5, 5.0)
    count = samples(total)
    low = rng.uniform(350.0, 600.0)
    column = contour(count, low, low * 1.3, low * rng.uniform(2.2, 3.2))
    out = bubbles(rng, total, rng.uniform(80.0, 200.0), 600.0, 3000.0)
    out = out / np.std(out)
    # A band that follows the column: noise as slow random amplitude and phase on the moving tone.
    tone = harmonics(column * (1.0 + 0.02 * slow(rng, count, 40.0)), [1.0], count) * slow(rng, count, 60.0)
    return finish((out * 0.6 + rng.uniform(1.2, 2.0) * tone) * gate(count, 0.1, 0.15))


def eating_crisps(rng: Rng) -> Audio:
    """Render someone who eats crisps: one or two dense crackles a second, softer and softer over a mouthful."""
    total = rng.uniform(3.0, 6.5)
    out = np.zeros(samples(total))
    points: Points = [(200, -12), (1200, -2), (3500, 0), (8000, -8)]
    for turn, time in enumerate(beats(rng, total - 0.3, rng.uniform(0.5, 0.85), 0.15)):
        size = rng.uniform(0.15, 0.3)
        crunch = grains(rng, size, rng.uniform(150.0, 500.0), 0.008, points)
        add(out, crunch * hump(crunch.size, 0.25), time, 0.85 ** (turn % 6) * rng.uniform(0.7, 1.0))
    return finish(out)


def shelf_collapse(rng: Rng) -> Audio:
    """Render a shelf that gives way: wood cracks, then boards, books and metal come down for a second or two."""
    total = rng.uniform(2.5, 4.5)
    out = np.zeros(samples(total))
    for time in (0.0, rng.uniform(0.08, 0.3)):
        add(out, burst(rng, 0.08, [(200, -4), (1200, 0), (6000, -6)]), time, rng.uniform(0.5, 0.9))
    for time in 0.35 + rng.exponential(0.45, rng.integers(14, 30)):
        level = rng.lognormal(-0.4, 0.5) * np.exp(-0.4 * time)
        plank = rng.uniform(70.0, 350.0) * np.array([1.0, 1.8, 2.9, 4.6, 6.8])
        add(out, modal(plank, rng.uniform(0.06, 0.2), rng.uniform(0.2, 1.0, 5), 4800, rng), time, 0.6 * level)
        add(out, burst(rng, rng.uniform(0.1, 0.3), [(50, 0), (300, 0), (1500, -8), (6000, -18)]), time, level)
        if rng.random() < 0.4:
            add(out, clink(rng, log_uniform(rng, 500.0, 2500.0), rng.uniform(0.05, 0.3)), time, 0.4 * level)
    return finish(out)


# fmt: off
TYPES = (
    event(brushing_teeth, 'Personal Care', 'none', 'brushing teeth', 'Someone brushes their teeth.',
          rhythm_hz=(2.4, 8), centroid_hz=(2500, 5500)),
    event(electric_toothbrush, 'Personal Care', 'none', 'electric toothbrush', 'An electric toothbrush buzzes.',
          pitch_hz=(210, 290), harmonicity=(0.8, 1.0), depth=(0.0, 0.4)),
    event(nail_clipping, 'Personal Care', 'none', 'nail clipping', 'Someone clips their nails.',
          onsets_hz=(0.7, 2.5), centroid_hz=(2000, 6500), crest_db=(20, 40)),
    event(shower, 'Personal Care', 'none', 'shower', 'A shower runs.',
          flatness=(0.3, 0.98), depth=(0.0, 0.3), centroid_hz=(1500, 4500)),
    event(shower_fall, 'Personal Care', 'i', 'fall', 'Someone slips and falls in the shower.',
          crest_db=(15, 32), depth=(0.6, 3.0), centroid_hz=(60, 1900)),
    event(spray_can, 'Personal Care', 'none', 'spray can', 'Someone sprays deodorant.',
          centroid_hz=(4000, 6800), harmonicity=(0.0, 0.6)),
    event(tearing_paper, 'Daily Affairs', 'none', 'tearing paper', 'Paper is torn.',
          centroid_hz=(2500, 5500), crest_db=(18, 42), flatness=(0.3, 1.0)),
    event(turning_pages, 'Daily Affairs', 'none', 'turning pages', 'Pages of a book turn.',
          onsets_hz=(0.5, 5), centroid_hz=(1500, 4500)),
    event(zipper, 'Daily Affairs', 'none', 'zipper', 'A zip is drawn.',
          centroid_hz=(1500, 6000), flutter_hz=(40, 125)),
    event(stapler, 'Daily Affairs', 'none', 'stapler', 'Someone uses a stapler.',
          crest_db=(18, 40), onsets_hz=(0.8, 6)),
    event(pouring_drink, 'Daily Affairs', 'none', 'pouring', 'A drink is poured into a glass.',
          peak_hz=(350, 2000), depth=(0.1, 0.8)),
    event(eating_crisps, 'Daily Affairs', 'none', 'eating', 'Someone eats crisps.',
          depth=(0.6, 2.5), centroid_hz=(1500, 4500)),
    event(shelf_collapse, 'Daily Affairs', 'ii', 'falling object', 'A shelf collapses and everything on it falls.',
          centroid_hz=(150, 1600), crest_db=(12, 28)),
)
# fmt: on
