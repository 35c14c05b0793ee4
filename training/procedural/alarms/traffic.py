"""Warnings and dangers of road and rail: bells, horns, skids, crashes, brakes, chimes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms.fire_alarms import pulsed
from training.procedural.home.impacts import clink
from training.procedural.people.voice import contour
from training.procedural.synth import (
    SAMPLE_RATE,
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
    shape,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import grains, stretch

Audio = NDArray[np.float32]


def bicycle_bell(rng: Rng) -> Audio:
    """Render a bicycle bell: the 'ring-ring' of a geared striker on a 1.8-3.8 kHz gong, or single dings."""
    out, now = np.zeros(samples(4.0)), 0.0
    base, t60 = log_uniform(rng, 1800.0, 3800.0), rng.uniform(0.6, 1.6)
    modes = base * np.array([1.0, 1.008, 2.15, 2.7])
    single = rng.random() < 0.35
    for _ in range(rng.integers(1, 4)):
        for time in [0.0] if single else beats(rng, rng.uniform(0.3, 0.5), 1.0 / rng.uniform(14.0, 24.0), 0.1):
            strike = modal(modes, t60 / np.array([1, 1, 2, 3]), np.array([1.0, 0.5, 0.4, 0.2]), samples(1.0), rng)
            add(out, strike, now + time, rng.uniform(0.6, 1.0))
            add(out, burst(rng, 0.01, [(800, -15), (4000, 0)]), now + time, 0.3)
        now += rng.uniform(0.55, 0.8)
    return finish(out)


def crosswalk_signal(rng: Rng) -> Audio:
    """Render a pedestrian crossing for the blind: slow ticks while waiting, or quick ones to walk (DIN 32981)."""
    total = rng.uniform(4.0, 7.5)
    walk = rng.random() < 0.5
    gap, on = (1.0 / rng.uniform(5.0, 7.5), 0.035) if walk else (rng.uniform(0.75, 1.4), 0.03)
    tone = harmonics(rng.uniform(500.0, 1200.0), [1.0, 0.5, 0.4, 0.2, 0.1], samples(total), rng)
    return finish(pulsed(tone, [(time, on) for time in beats(rng, total, gap, 0.0)], 0.001, 0.006, 0.0))


def _skid(rng: Rng, count: int) -> Signal:
    """Locked tyres: stick-slip of the tread, a harsh wavering tone of 0.7-1.4 kHz with noise around it."""
    pitch = rng.uniform(750.0, 1300.0) * contour(count, 1.08, 1.0, 0.85) * (1.0 + 0.02 * slow(rng, count, 40.0))
    tone = harmonics(pitch, [1.0, 0.7, 0.3, 0.2], count, rng) * (1.0 + 0.5 * slow(rng, count, 30.0))
    tone += harmonics(pitch * rng.uniform(1.1, 1.3), [0.7, 0.4, 0.2], count, rng) * (1.0 + 0.5 * slow(rng, count, 30.0))
    return tone + 0.8 * noise(rng, count, [(200, -10), (900, 0), (2500, -6), (7000, -18)])


def tyre_skid(rng: Rng) -> Audio:
    """Render a car that brakes with locked wheels, for 1.2-3 s."""
    count = stretch(rng, 1.2, 3.0)
    return finish(_skid(rng, count) * gate(count, 0.06, 0.25))


def car_crash(rng: Rng) -> Audio:
    """Render a car crash: tyres skid, then the impact with a boom, crumpling sheet metal, glass and falling parts."""
    out = np.zeros(samples(5.0))
    count = samples(rng.uniform(0.7, 1.5))
    add(out, _skid(rng, count) * gate(count, 0.05, 0.005), 0.0, 0.25)
    hit = count / SAMPLE_RATE
    add(out, burst(rng, 0.6, [(30, 0), (120, 0), (600, -6), (4000, -16)]), hit, 4.0)
    size = samples(0.7)
    crumple = noise(rng, size, [(200, -4), (900, 0), (4000, -6)]) * np.maximum(slow(rng, size, 45.0), 0.0)
    add(out, crumple * np.exp(-np.linspace(0.0, 4.0, size)), hit, 2.0)
    panels = log_uniform(rng, 120.0, 1800.0, 20)
    add(out, modal(panels, rng.uniform(0.1, 0.6, 20), rng.uniform(0.2, 1.0, 20), samples(1.0), rng), hit, 0.3)
    glass = grains(
        rng, 1.6, 250.0 * np.exp(-np.linspace(0.0, 4.0, samples(1.6))), 0.03, [(1500, -30), (4000, 0), (7500, 0)]
    )
    add(out, glass, hit + 0.05, 0.8)
    for lag in rng.uniform(0.4, 1.8, rng.integers(2, 6)):
        add(out, clink(rng, log_uniform(rng, 400.0, 1800.0), rng.uniform(0.1, 0.4)), hit + lag, rng.uniform(0.2, 0.5))
    return finish(out)


# Chords of train horns in Hz: Nathan K5LA and K3LA, Leslie S-3L (North America), two-tone (Britain), Germany.
_TRAIN_CHORDS = ((311, 370, 415, 494, 622), (311, 370, 494), (277, 329, 440), (311, 370), (370, 660), (660,))


def train_horn(rng: Rng) -> Audio:
    """Render a locomotive's air horn, tuned as in North America, Britain or Germany.

    Half of the draws are the long-long-short-long of a level crossing (49 CFR 222.21), the others one or two long
    blasts.
    """
    chord = np.array(_TRAIN_CHORDS[rng.integers(6)]) * rng.uniform(0.97, 1.03)
    if rng.random() < 0.5:
        lengths = [rng.uniform(1.4, 1.9), rng.uniform(1.4, 1.9), rng.uniform(0.4, 0.6), rng.uniform(1.8, 2.2)]
    else:
        lengths = [rng.uniform(1.0, 3.0) for _ in range(rng.integers(1, 3))]
    out, now = np.zeros(samples(7.9)), 0.0
    order = np.arange(1, 25)
    for length in lengths:
        count = samples(length)
        speak = 1.0 - np.exp(-np.arange(count) / SAMPLE_RATE / 0.05)
        for base in chord:
            levels = rng.uniform(0.5, 1.0, 24) / (1.0 + (order * base / 1800.0) ** 2.5)
            add(out, harmonics(base * (0.95 + 0.05 * speak), levels, count, rng) * speak * gate(count, 0.01, 0.12), now)
        now += length + rng.uniform(0.2, 0.4)
    steep = rng.uniform(0.0, 20.0)
    return finish(shape(out[: samples(min(now, 7.9))], [(50, -6), (300, 0), (1000, 0), (8000, -steep)]))


def crossing_bell(rng: Rng) -> Audio:
    """Render a level crossing's gong, 100 to 325 strokes a minute (AREMA 3.2.60), without a pause."""
    total = rng.uniform(4.0, 7.5)
    out = np.zeros(samples(total))
    base = log_uniform(rng, 650.0, 1300.0)
    modes = base * np.array([1.0, 1.52, 2.25, 2.9, 3.7]) * rng.uniform(0.98, 1.02, 5)
    strike = modal(
        modes, rng.uniform(0.5, 1.1) / np.sqrt(modes / base), np.array([1.0, 0.6, 0.5, 0.3, 0.2]), 16000, rng
    )
    add(strike, burst(rng, 0.02, [(500, -10), (2500, 0), (7000, -8)]), 0.0, 0.8)
    for time in beats(rng, total, 60.0 / rng.uniform(100.0, 325.0), 0.01):
        add(out, strike, time, rng.uniform(0.85, 1.0))
    return finish(out)


def tram_bell(rng: Rng) -> Audio:
    """Render a tram's foot gong: two to eight quick strokes on a deep, long-ringing bell."""
    out = np.zeros(samples(5.5))
    base = log_uniform(rng, 380.0, 760.0)
    modes = base * np.array([1.0, 1.51, 2.0, 2.74, 3.76, 4.9]) * rng.uniform(0.98, 1.02, 6)
    strike = modal(modes, rng.uniform(1.2, 2.4) / (modes / base) ** 0.6, rng.uniform(0.4, 1.0, 6), samples(2.0), rng)
    add(strike, burst(rng, 0.02, [(400, -8), (2000, 0), (7000, -10)]), 0.0, 1.2)
    gap = rng.uniform(0.18, 0.32)
    for time in beats(rng, gap * rng.integers(2, 9) - 0.01, gap, 0.08):
        add(out, strike, time, rng.uniform(0.8, 1.0))
    return finish(out)


def air_brake(rng: Rng) -> Audio:
    """Render a bus or lorry that lets its brakes off: a burst of air that dies in a second, perhaps a sigh after it."""
    out = np.zeros(samples(2.5))
    for start, level in [(0.0, 1.0), (rng.uniform(0.7, 1.2), rng.uniform(0.0, 0.5))]:
        size = samples(rng.uniform(0.4, 1.0))
        air = noise(rng, size, [(200, -18), (1500, -3), (4000, 0), (8000, -5)])
        add(out, air * gate(size, 0.008, 0.02) * np.exp(-np.linspace(0.0, rng.uniform(3.0, 5.0), size)), start, level)
    return finish(out)


def rail_squeal(rng: Rng) -> Audio:
    """Render a train in a tight curve, whose wheels squeal over a rumble.

    The squeal stands at two to four fixed modes of 1.2-4.5 kHz, each swelling in and out.
    """
    count = stretch(rng, 4.0, 7.5)
    out = 0.35 * noise(rng, count, [(30, 0), (150, 0), (600, -10), (4000, -32)])
    for mode in log_uniform(rng, 1200.0, 4500.0, int(rng.integers(2, 5))):
        swell = np.clip(slow(rng, count, rng.uniform(0.5, 1.5)) + 0.6, 0.05, 2.0)
        out += harmonics(mode * (1.0 + 0.0015 * slow(rng, count, 5.0)), [1.0, 0.15], count, rng) * swell
    return finish(out)


def station_chime(rng: Rng) -> Audio:
    """Render a station's announcement chime: two to four soft notes of a major chord, in any order."""
    out = np.zeros(samples(4.0))
    base, gap = rng.uniform(330.0, 620.0), rng.uniform(0.35, 0.6)
    steps = rng.permutation(np.array([0, 4, 7, 12]))[: rng.integers(2, 5)]
    for turn, step in enumerate(steps):
        pitch = base * 2.0 ** (step / 12.0) * np.arange(1, 5)
        t60 = rng.uniform(1.0, 1.6) / np.arange(1, 5)
        add(out, modal(pitch, t60, np.array([1.0, 0.3, 0.15, 0.05]), samples(1.6), rng), turn * gap)
    return finish(out)


# fmt: off
TYPES = (
    event(bicycle_bell, 'Traffic', 'iv', 'bell', 'A bicycle bell rings close by.',
          peak_hz=(1700, 3950), t60_s=(0.2, 4.5), flatness=(0.0, 0.05)),
    event(crosswalk_signal, 'Traffic', 'none', 'crossing signal', 'A pedestrian crossing ticks.',
          rhythm_hz=(0.6, 7.8), peak_hz=(480, 2500), crest_db=(10, 30)),
    event(tyre_skid, 'Traffic', 'iv', 'tyre squeal', 'Tyres scream as a car brakes.',
          peak_hz=(600, 1900), centroid_hz=(800, 2200), depth=(0.05, 0.7)),
    event(car_crash, 'Traffic', 'iv', 'crash', 'Cars crash.',
          crest_db=(14, 32), depth=(0.8, 3.5), centroid_hz=(900, 3300)),
    event(train_horn, 'Large Traffic', 'iv', 'train horn', 'A train sounds its horn.',
          flatness=(0.0, 0.02), centroid_hz=(400, 2200), peak_hz=(250, 2100)),
    event(crossing_bell, 'Large Traffic', 'iv', 'bell', 'The bell of a level crossing rings.',
          rhythm_hz=(1.6, 5.5), peak_hz=(620, 3000)),
    event(tram_bell, 'Large Traffic', 'iv', 'bell', 'A tram rings its bell.',
          peak_hz=(360, 3000), t60_s=(0.6, 4.5), flatness=(0.0, 0.03)),
    event(air_brake, 'Large Traffic', 'none', 'air brake', 'A bus lets its air brakes off.',
          centroid_hz=(2500, 5500), depth=(0.4, 2.5), flatness=(0.2, 0.95)),
    event(rail_squeal, 'Large Traffic', 'none', 'rail squeal', 'Train wheels squeal in a curve.',
          peak_hz=(1100, 4600), flatness=(0.0, 0.02), centroid_hz=(900, 4600)),
    event(station_chime, 'Large Traffic', 'none', 'station chime', 'A station chime announces a train.',
          peak_hz=(320, 1300), flatness=(0.0, 0.005), t60_s=(0.4, 5.0)),
)
# fmt: on
