"""The workshop and the ward: power tools, compressed air, heavy metal, gears, lifts, patient monitors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms.fire_alarms import pulsed
from training.procedural.home.everyday import drift
from training.procedural.people.voice import hump
from training.procedural.synth import (
    SAMPLE_RATE,
    Rng,
    add,
    beats,
    burst,
    finish,
    harmonics,
    log_uniform,
    modal,
    noise,
    poisson,
    samples,
    slow,
)
from training.procedural.taxonomy import event
from training.procedural.textures import firing, grains, ratchet, rush, stretch, whine

Audio = NDArray[np.float32]


def drill(rng: Rng) -> Audio:
    """Render a power drill: gears that whine at 300-900 Hz, sag as the bit bites, and grind on."""
    count = stretch(rng, 2.5, 6.0)
    time = np.arange(count) / SAMPLE_RATE
    load = np.clip(0.5 + 0.6 * slow(rng, count, 0.8), 0.0, 1.0)
    pitch = rng.uniform(350.0, 850.0) * (1.0 - 0.6 * np.exp(-time / 0.12)) * (1.0 - 0.2 * load)
    bite = rush(rng, count, 600.0, 3.0) * load * (1.0 + 0.6 * harmonics(pitch / 12.0, [1.0, 0.5], count, rng))
    return finish(whine(rng, pitch, 0.35, 20) + rng.uniform(0.6, 1.2) * bite)


def angle_grinder(rng: Rng) -> Audio:
    """Render an angle grinder on metal: a scream of disc and motor, hissing sparks, tearing at the workpiece."""
    count = stretch(rng, 3.0, 6.5)
    contact = np.clip(0.6 + 0.8 * slow(rng, count, 1.2), 0.05, 1.0)
    pitch = rng.uniform(550.0, 900.0) * (1.0 - 0.18 * contact)
    scream = noise(rng, count, [(1000, -20), (2800, -2), (5000, 0), (8000, -3)])
    plate = noise(rng, count, [(1500, -30), (rng.uniform(2000, 4000), 3), (6000, -30)])
    out = whine(rng, pitch, 0.25, 16) + contact * (1.3 * scream + 0.6 * plate * drift(rng, count, 30.0, 0.3))
    return finish(out)


def circular_saw(rng: Rng) -> Audio:
    """Render a circular saw in wood: teeth sing at 0.9-1.8 kHz, run up, then sink and roughen in the cut."""
    count = samples(rng.uniform(4.0, 6.5))
    share = np.linspace(0.0, 1.0, count)
    cut = np.clip(np.minimum((share - 0.25) / 0.06, (0.8 - share) / 0.04), 0.0, 1.0)
    spin = np.clip(share / 0.12, 0.05, 1.0) ** 0.5
    teeth = rng.uniform(900.0, 1800.0) * spin * (1.0 - 0.22 * cut)
    rasp = rush(rng, count, 900.0, 1.5) * cut * (1.0 + 0.5 * slow(rng, count, 60.0))
    out = whine(rng, teeth, 0.5, 8) + 0.5 * whine(rng, teeth / 6.0, 0.4, 20) + 1.4 * rasp
    return finish(out * (0.1 + 0.9 * spin))


def chainsaw(rng: Rng) -> Audio:
    """Render a chainsaw: a two-stroke engine at 42 Hz idling and 120-190 Hz under throttle, cutting into wood."""
    count = stretch(rng, 3.5, 7.0)
    throttle = np.clip(0.55 + 0.9 * slow(rng, count, 0.7), 0.0, 1.0)
    throttle = np.convolve(np.pad(throttle, 1200, mode='edge'), np.ones(2401) / 2401, 'valid')
    rate = 42.0 + rng.uniform(80.0, 145.0) * throttle
    engine = firing(rng, rate, 2, 0.5, 900.0)
    chain = noise(rng, count, [(600, -15), (2500, 0), (6000, -4)]) * np.maximum(engine, 0.0) * throttle
    return finish(engine * (0.5 + 0.5 * throttle) + rng.uniform(0.3, 0.7) * chain)


def jackhammer(rng: Rng) -> Audio:
    """Render a jackhammer: 15-30 blows a second on concrete, exhaust air between them, in bursts of work."""
    total = rng.uniform(3.0, 6.5)
    count = samples(total)
    blow = burst(rng, 0.04, [(100, -4), (500, 0), (2500, -4), (7000, -12)])
    steel = modal(log_uniform(rng, 900.0, 3500.0, 5), 0.06, rng.uniform(0.2, 0.8, 5), 1200, rng)
    add(blow, steel, 0.0, 0.6)
    out = ratchet(rng, np.full(count, rng.uniform(15.0, 30.0)), blow, 0.1)
    work = np.clip(4.0 * (slow(rng, count, 0.5) + 1.0), 0.0, 1.0)
    return finish(out * work + 0.15 * np.std(out) * rush(rng, count, 800.0, 1.0))


def air_compressor(rng: Rng) -> Audio:
    """Render a workshop compressor: piston thuds at 12-25 Hz, the motor's hum and valve clatter."""
    count = stretch(rng)
    rate = np.full(count, rng.uniform(12.0, 25.0))
    thud = burst(rng, 0.06, [(50, 0), (200, 0), (700, -16), (4000, -40)])
    clack = burst(rng, 0.015, [(500, -8), (2000, 0), (6000, -10)])
    out = ratchet(rng, rate, thud, 0.05) + 0.2 * ratchet(rng, rate, clack, 0.1)
    return finish(
        out / np.std(out) + 0.5 * whine(rng, np.full(count, 49.0), 0.9, 12) + 0.3 * rush(rng, count, 200.0, 7.0)
    )


def pneumatic_leak(rng: Rng) -> Audio:
    """Render a compressed-air hose that bursts: a crack, then a roaring jet that slackens while the hose whips."""
    count = stretch(rng, 3.0, 6.0)
    time = np.arange(count) / SAMPLE_RATE
    jet = noise(rng, count, [(200, -14), (1200, -3), (3500, 0), (8000, -3)])
    whip = 1.0 + 0.45 * np.clip(slow(rng, count, rng.uniform(7.0, 14.0)), -1.6, 1.6)
    out = jet * whip * (0.5 + 0.5 * np.exp(-time / 2.0))
    add(out, burst(rng, 0.12, [(60, 0), (500, 0), (4000, -3)]), 0.0, 5.0)
    return finish(out)


def metal_crash(rng: Rng) -> Audio:
    """Render heavy metal that falls: a clang of plate and beams with long low modes, and one to three bounces."""
    out = np.zeros(samples(4.5))
    low = log_uniform(rng, 90.0, 260.0)
    modes = low * np.cumsum(np.concatenate([[1.0], rng.uniform(0.3, 1.6, 22)]))
    t60 = rng.uniform(1.0, 2.8) / (modes / low) ** 0.5
    start, level = 0.0, 1.0
    for _ in range(rng.integers(2, 5)):
        ring = modal(modes, t60, rng.uniform(0.2, 1.0, 23) / np.sqrt(modes / low) ** 0.7, samples(2.5), rng)
        add(out, ring / np.std(ring[:1600]), start, level)
        add(out, burst(rng, 0.12, [(60, 0), (400, -2), (3000, -6)]), start, 1.5 * level)
        start, level = start + rng.uniform(0.15, 0.6) * level, level * rng.uniform(0.35, 0.6)
    return finish(out)


def gears_jammed(rng: Rng) -> Audio:
    """Render gears that jam: the train turns, catches with a crunch, strains and skips teeth with hard clacks."""
    total = rng.uniform(3.5, 6.5)
    count = samples(total)
    rate = rng.uniform(18.0, 40.0) * np.clip(0.5 + 0.8 * slow(rng, count, 1.6), 0.02, 1.3)
    tooth = modal(log_uniform(rng, 600.0, 3000.0, 5), 0.04, rng.uniform(0.3, 1.0, 5), 900, rng)
    out = ratchet(rng, rate, tooth, 0.25)
    for time in poisson(rng, total - 0.3, rng.uniform(2.0, 4.0)):
        crunch = grains(rng, 0.18, 400.0, 0.01, [(200, -6), (1200, 0), (5000, -6)])
        add(out, crunch * hump(crunch.size, 0.2), time, 1.0)
        add(out, burst(rng, 0.1, [(80, 0), (500, -2), (4000, -10)]), time, rng.uniform(2.0, 4.0))
    strain = whine(rng, rng.uniform(90.0, 160.0) * (1.0 + 0.1 * slow(rng, count, 2.0)), 0.6)
    return finish(out + 0.3 * np.std(out) * strain)


def elevator_bell(rng: Rng) -> Audio:
    """Render a lift that arrives: one soft bell, or two falling ones, then the rolling doors."""
    out = np.zeros(samples(3.5))
    base, t60 = rng.uniform(600.0, 1300.0), rng.uniform(0.7, 1.5)
    for turn in range(rng.integers(1, 3)):
        pitch = base * 0.8**turn * np.array([1.0, 2.0, 3.01])
        add(
            out,
            modal(pitch, np.array([t60, t60 / 2, t60 / 3]), np.array([1.0, 0.25, 0.1]), samples(1.6), rng),
            turn * 0.4,
        )
    size = samples(rng.uniform(0.9, 1.4))
    add(out, rush(rng, size, 150.0, 4.0) * hump(size, 0.3), 1.1, 0.06)
    return finish(out)


def heart_monitor(rng: Rng) -> Audio:
    """Render a patient monitor: one short, equal beep with each of 55-100 heartbeats a minute."""
    total = rng.uniform(4.5, 8.0)
    gap, on = 60.0 / rng.uniform(55.0, 100.0), rng.uniform(0.07, 0.14)
    tone = harmonics(rng.uniform(700.0, 1000.0), [1.0, 0.15, 0.1], samples(total), rng)
    return finish(pulsed(tone, [(time, on) for time in beats(rng, total, gap, 0.015)], 0.003, 0.006, 0.0))


def monitor_alarm(rng: Rng) -> Audio:
    """Render a patient monitor's high-priority alarm (IEC 60601-1-8): bursts of ten pulses as 3 + 2 + 3 + 2."""
    on = rng.uniform(0.1, 0.2)
    short, middle, long = on + rng.uniform(0.06, 0.12), on + rng.uniform(0.25, 0.35), rng.uniform(0.6, 0.9) + on
    starts, now = [], 0.0
    while now < 7.0:
        for gap in (short, short, middle, short, long, short, short, middle, short, rng.uniform(1.0, 1.6)):
            starts.append(now)
            now += gap
    total = rng.uniform(4.5, 7.5)
    levels = [1.0, *rng.uniform(0.2, 0.7, 4)]  # the standard asks for at least four harmonics
    tone = harmonics(rng.uniform(440.0, 900.0), levels, samples(total), rng)
    return finish(pulsed(tone, [(start, on) for start in starts if start < total], 0.01, 0.01, 0.0))


# fmt: off
TYPES = (
    event(drill, 'Industrial Tools', 'iv', 'drill', 'A power drill bores close by.',
          depth=(0.0, 0.6), centroid_hz=(1200, 4200)),
    event(angle_grinder, 'Industrial Tools', 'iv', 'saw', 'An angle grinder cuts metal.',
          centroid_hz=(2200, 5500), depth=(0.0, 0.6)),
    event(circular_saw, 'Industrial Tools', 'iv', 'saw', 'A circular saw cuts wood.',
          centroid_hz=(900, 4000), depth=(0.1, 0.8)),
    event(chainsaw, 'Industrial Tools', 'iv', 'chainsaw', 'A chainsaw runs.',
          flutter_hz=(15, 125), centroid_hz=(250, 2500)),
    event(jackhammer, 'Industrial Tools', 'none', 'jackhammer', 'A jackhammer pounds far off.',
          flutter_hz=(14, 32), crest_db=(12, 30)),
    event(air_compressor, 'Industrial Tools', 'none', 'air compressor', 'An air compressor runs.',
          flutter_hz=(10, 52), centroid_hz=(60, 900)),
    event(pneumatic_leak, 'Industrial Tools', 'iii', 'burst hose', 'A compressed-air hose bursts.',
          centroid_hz=(2200, 5000), flatness=(0.3, 0.95), depth=(0.1, 0.7)),
    event(metal_crash, 'Industrial Tools', 'iii', 'crash', 'Heavy metal parts crash down.',
          crest_db=(12, 30), t60_s=(0.3, 5), centroid_hz=(300, 2400)),
    event(gears_jammed, 'Industrial Tools', 'iii', 'jammed gears', 'Gears jam and skip.',
          crest_db=(14, 32), depth=(0.3, 1.6)),
    event(elevator_bell, 'Industrial Tools', 'none', 'elevator bell', 'A lift arrives with a bell.',
          peak_hz=(450, 1350), flatness=(0.0, 0.12), onsets_hz=(0.2, 1.8)),
    event(heart_monitor, 'Industrial Tools', 'none', 'heart monitor', 'A patient monitor beeps steadily.',
          on_s=(0.06, 0.17), off_s=(0.4, 1.1), rhythm_hz=(0.85, 1.75), peak_hz=(680, 1020)),
    event(monitor_alarm, 'Industrial Tools', 'i', 'patient alarm', 'A patient monitor sounds its highest alarm.',
          on_s=(0.09, 0.24), off_s=(0.04, 0.4), onsets_hz=(1.3, 4.5)),
)
# fmt: on
