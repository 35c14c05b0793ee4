"""Breaking glass, built from its physics: the crack, the ringing fragments, the falling splinters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.impacts import clink
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
    SoundType,
    add,
    beats,
    burst,
    finish,
    log_uniform,
    modal,
    noise,
    samples,
    slow,
)

Audio = NDArray[np.float32]


def _tick(rng: Rng) -> Signal:
    """The contact noise of a splinter."""
    return burst(rng, rng.uniform(0.003, 0.015), [(900.0, -30.0), (3000.0, -3.0), (7000.0, 0.0)])


def _shard(rng: Rng, low_hz: float, ring_s: float, tick: Signal) -> Signal:
    """One splinter landing: a tick and a few unrelated partials; small splinters are higher and shorter."""
    count = int(rng.integers(2, 9))
    pitch = log_uniform(rng, low_hz, 7800.0, count)
    t60 = ring_s * log_uniform(rng, 0.3, 2.5, count) * (3000.0 / pitch) ** 0.7
    out = modal(pitch, t60, rng.exponential(1.0, count), samples(min(float(t60.max()), 0.5)), rng)
    add(out, tick, 0.0, rng.uniform(0.2, 1.0))
    return out / np.max(np.abs(out))


def _shatter(rng: Rng, total_s: float, size: float) -> Signal:
    """A pane or vessel breaking: crack, dense ring of the fragments, then their fall. `size` is 0..1.

    `total_s` only has to be long enough for the last splinter; `finish` cuts the silence after it.
    """
    out = np.zeros(samples(total_s))
    # The fracture: a broadband crack of a few milliseconds, with a thump under it when the pane is large.
    crack: Points = [(100, -30 + 22 * size), (700, -14 + 8 * size), (2500, 0), (7000, rng.uniform(-8, 2))]
    for time in np.concatenate([[0.0], rng.uniform(0.0, 0.02 + 0.06 * size, rng.integers(1, 6))]):
        add(out, burst(rng, rng.uniform(0.02, 0.09 + 0.12 * size), crack), time, rng.uniform(0.3, 1.0))
    # Dozens to hundreds of fragments ring at once, high modes dying first.
    count = int(rng.integers(40, 120 + int(180 * size)))
    pitch = log_uniform(rng, 1600.0 - 500.0 * size, 7800.0, count)
    t60 = rng.uniform(0.08, 0.35) * log_uniform(rng, 0.3, 3.0, count) * (3000.0 / pitch) ** 0.5
    ring = modal(pitch, t60, rng.exponential(1.0, count), samples(min(total_s, 1.2)), rng)
    add(out, ring, rng.uniform(0.0, 0.01), rng.uniform(0.5, 2.0) / np.sqrt(count))
    out /= np.max(np.abs(out))
    # The cascade: splinters land at random, thinning out; panes drop after a moment, vessels at once.
    fall, spread = rng.uniform(0.0, 0.05 + 0.25 * size), rng.uniform(0.3, 1.5) * (0.4 + 0.6 * size)
    ring_s, low = log_uniform(rng, 0.04, 0.22), rng.uniform(1600.0, 2600.0)
    pieces = int(log_uniform(rng, 25, 60 + 160 * size))
    loudness = log_uniform(rng, 0.4, 1.3)
    ticks = [_tick(rng) for _ in range(4)]
    library = [_shard(rng, low, ring_s, ticks[turn % 4]) for turn in range(min(pieces, 32))]
    times = fall + np.minimum(rng.exponential(spread / 2.5, pieces), total_s)
    for time in np.sort(times):
        weight = loudness * rng.lognormal(-1.4, 0.8) * np.exp(-0.8 * (time - fall) / spread)
        shard = library[rng.integers(len(library))]
        add(out, shard, time, weight)
        if rng.random() < 0.3:  # a bounce or two, each sooner and softer
            gap = rng.uniform(0.03, 0.12)
            add(out, shard, time + gap, weight * 0.4)
            add(out, shard, time + gap * 1.6, weight * 0.15)
    # Under the single splinters lies the grit: too many tiny contacts to tell apart.
    grit = noise(rng, out.size, [(1000, -40), (3500, -3), (6000, 0), (8000, -4)])
    grit *= np.maximum(slow(rng, out.size, rng.uniform(40.0, 120.0)), 0.0) ** 2
    grit *= np.exp(-np.arange(out.size) / SAMPLE_RATE * (6.908 / rng.uniform(0.3, 1.0)))
    add(out, grit, 0.0, log_uniform(rng, 0.005, 0.15) * np.max(np.abs(out)))
    return out


def glass_pane(rng: Rng) -> Audio:
    """Render a window or glass door that is smashed, and its pieces as they rain down."""
    return finish(_shatter(rng, 3.2, rng.uniform(0.4, 1.0)))


def glass_vessel(rng: Rng) -> Audio:
    """Render a drinking glass or bowl that drops and shatters, in a third of the draws after a first bounce."""
    out = np.zeros(samples(2.4))
    start = 0.0
    if rng.random() < 0.3:
        first = clink(rng, log_uniform(rng, 1200.0, 3000.0), rng.uniform(0.1, 0.5))
        add(out, first, 0.0, rng.uniform(0.3, 1.0))
        start = rng.uniform(0.08, 0.3)
    add(out, _shatter(rng, out.size / SAMPLE_RATE, rng.uniform(0.0, 0.35)), start)
    return finish(out)


def glass_bottle(rng: Rng) -> Audio:
    """Render a bottle that bursts on a hard floor: a hollow knock inside the crack, and thick, duller pieces."""
    out = _shatter(rng, 2.4, rng.uniform(0.1, 0.6))
    body = log_uniform(rng, 500.0, 1400.0) * np.array([1.0, 1.9, 2.8, 4.1])
    add(
        out,
        modal(body, rng.uniform(0.03, 0.12), rng.uniform(0.3, 1.0, 4), 3200, rng),
        0.0,
        rng.uniform(0.3, 1.2),
    )
    if rng.random() < 0.4:  # the neck or base rolls and clinks on
        for time in beats(rng, rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.12), 0.4):
            add(out, _shard(rng, 1800.0, 0.2, _tick(rng)), 0.4 + time, rng.uniform(0.05, 0.3))
    return finish(out)


TYPES = (
    SoundType('glass_pane', 'glass breaking', True, 'A window pane shatters.', glass_pane),
    SoundType('glass_vessel', 'glass breaking', True, 'A drinking glass shatters on the floor.', glass_vessel),
    SoundType('glass_bottle', 'glass breaking', True, 'A bottle smashes on a hard floor.', glass_bottle),
)
