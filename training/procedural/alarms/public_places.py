"""Public places: evacuation and emergency signals, disasters indoors and out, bells, games and play."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms.fire_alarms import pulsed
from training.procedural.home.impacts import clink
from training.procedural.nature.outdoors import crowd_murmur
from training.procedural.people.voice import VOWELS, contour, glottis, hump, laugh, person, tract
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
    poisson,
    resonance,
    samples,
    shape,
)
from training.procedural.taxonomy import event
from training.procedural.textures import grains, rush

Audio = NDArray[np.float32]


def _sounder(rng: Rng, pitch: Signal) -> Signal:
    """A building's electronic sounder or loudspeaker at `pitch` Hz [n]."""
    levels = 1.0 / np.arange(1, 11) ** rng.uniform(0.8, 2.0)
    levels[1::2] *= rng.uniform(0.1, 0.8)
    return shape(harmonics(pitch, levels, pitch.size, rng), resonance(rng, 450.0, rng.uniform(3500.0, 7000.0), 5.0))


def evacuation_slow_whoop(rng: Rng) -> Audio:
    """Render the slow whoop of NEN 2575 and ISO 7731, which rises from 500 to 1200 Hz in 3.5 s.

    Half a second of silence follows each rise. Times vary by 5 %, frequencies by 3 %.
    """
    rise, pause = 3.5 * rng.uniform(0.95, 1.05), 0.5 * rng.uniform(0.95, 1.05)
    count = samples(rng.uniform(6.0, 8.0))
    turn = np.mod(np.arange(count) / SAMPLE_RATE, rise + pause)
    low, high = 500.0 * rng.uniform(0.97, 1.03), 1200.0 * rng.uniform(0.97, 1.03)
    share = np.minimum(turn / rise, 1.0)
    pitch = low + (high - low) * share if rng.random() < 0.5 else low * (high / low) ** share
    edge = np.clip(np.minimum(turn, rise - turn) / 0.01, 0.0, 1.0)
    return finish(_sounder(rng, pitch) * edge)


def evacuation_din_tone(rng: Rng) -> Audio:
    """Render the German emergency signal (DIN 33404-3): 1200 falling to 500 Hz once a second, without a pause."""
    count = samples(rng.uniform(3.5, 7.5))
    turn = np.mod(np.arange(count) / SAMPLE_RATE * rng.uniform(0.95, 1.05) + rng.uniform(), 1.0)
    pitch = (1200.0 + (500.0 - 1200.0) * turn) * rng.uniform(0.97, 1.03)
    return finish(_sounder(rng, pitch))


def emergency_alert_tone(rng: Rng) -> Audio:
    """Render the Emergency Alert System: one to three bursts of data, then the attention signal.

    The data are random bits at 520.83 bit/s (1562.5 and 2083.3 Hz); the attention signal is 853 and 960 Hz together.
    """
    out, now = np.zeros(samples(7.9)), 0.0
    for _ in range(rng.integers(1, 4)):
        bits = rng.integers(0, 2, int(rng.uniform(0.35, 0.6) * 520.83))
        count = int(bits.size / 520.83 * SAMPLE_RATE)
        bit = bits[np.minimum((np.arange(count) / SAMPLE_RATE * 520.83).astype(int), bits.size - 1)]
        add(out, harmonics(np.where(bit == 1, 2083.3, 1562.5), [1.0], count), now)
        now += count / SAMPLE_RATE + rng.uniform(0.25, 0.4)
    count = samples(rng.uniform(3.0, 4.5))
    attention = harmonics(853.0, [1.0, 0.1, 0.15], count) + harmonics(960.0, [1.0, 0.1, 0.15], count)
    add(out, attention * gate(count, 0.003, 0.003), now, 0.6)
    return finish(shape(out, resonance(rng, 350.0, rng.uniform(3000.0, 6000.0), 3.0)))


def explosion(rng: Rng) -> Audio:
    """Render an explosion: a shock of milliseconds, a boom that decays over seconds, debris that rains down."""
    out = np.zeros(samples(rng.uniform(4.0, 6.5)))
    add(out, burst(rng, 0.05, [(60, 0), (1000, 0), (8000, -4)]), 0.0, 4.0)
    for time in np.concatenate([[0.0], rng.uniform(0.05, 0.6, 3)]):
        size = samples(rng.uniform(1.5, 3.0))
        boom = noise(rng, size, [(10, -30), (25, 0), (80, 0), (250, -8), (1000, -20), (6000, -40)])
        add(out, boom * gate(size, 0.006, 0.2) * np.exp(-np.linspace(0.0, 6.9, size)), time, rng.uniform(0.7, 1.8))
    fall = out.size / SAMPLE_RATE - 0.8
    rate = 35.0 * hump(samples(fall), 0.3, 1.5)
    add(out, grains(rng, fall, rate, 0.03, [(200, -8), (1200, 0), (6000, -6)]), 0.5, 0.4)
    return finish(out)


def building_collapse(rng: Rng) -> Audio:
    """Render a building that comes down: beams crack, floor after floor slams, rubble pours and trickles out."""
    total = rng.uniform(5.5, 7.8)
    count = samples(total)
    share = np.linspace(0.0, 1.0, count)
    swell = np.clip(share / 0.25, 0.1, 1.0) * np.clip((1.05 - share) / 0.45, 0.05, 1.0)
    out = noise(rng, count, [(10, -30), (25, 0), (80, 0), (300, -6), (1500, -16), (6000, -26)]) * swell
    for time in np.cumsum(rng.uniform(0.3, 0.8, rng.integers(4, 8))):
        add(
            out,
            burst(rng, 0.5, [(30, 0), (120, 0), (600, -6), (4000, -16)]),
            min(float(time), total * 0.7),
            rng.uniform(2, 4),
        )
    rubble = grains(rng, total, 90.0 * swell + 2.0, 0.04, [(150, -6), (800, 0), (5000, -8)])
    for time in (0.0, rng.uniform(0.1, 0.5)):
        add(out, burst(rng, 0.1, [(200, -6), (1500, 0), (7000, -4)]), time, 1.5)
    return finish(out + 0.7 * rubble / np.std(rubble))


def church_bell(rng: Rng) -> Audio:
    """Render a church bell with a prime of 150-450 Hz, one stroke every 1-2 s.

    Its partials are hum, prime, minor tierce, quint, nominal and four above.
    """
    total = rng.uniform(5.0, 8.0)
    out = np.zeros(samples(total))
    prime = log_uniform(rng, 150.0, 450.0)
    modes = prime * np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17]) * rng.uniform(0.995, 1.005, 9)
    t60 = np.array([9.0, 5.0, 4.5, 2.5, 3.0, 1.5, 1.5, 1.2, 0.8])
    levels = np.array([0.5, 0.7, 0.9, 0.3, 1.0, 0.4, 0.4, 0.5, 0.3]) * rng.uniform(0.7, 1.2, 9)
    strike = modal(modes, t60, levels, samples(4.0), rng)
    add(strike, burst(rng, 0.03, [(300, -10), (1500, 0), (6000, -10)]), 0.0, 0.6)
    for time in beats(rng, total, rng.uniform(1.0, 2.0), 0.03):
        add(out, strike, time, rng.uniform(0.8, 1.0))
    return finish(out)


def arcade_game(rng: Rng) -> Audio:
    """Render an arcade or video game: square-wave arpeggios, lasers that dive, coins that jump a fourth."""
    out, now = np.zeros(samples(6.0)), 0.0
    square = 1.0 / np.arange(1, 12) * (np.arange(1, 12) % 2)
    while now < 5.5:
        kind = rng.integers(3)
        if kind == 0:
            base = log_uniform(rng, 300.0, 700.0)
            for step in rng.choice([0, 4, 7, 12, 16], rng.integers(4, 9)):
                count = samples(0.07)
                add(out, harmonics(base * 2.0 ** (step / 12.0), square, count) * gate(count, 0.002, 0.01), now)
                now += 0.075
        elif kind == 1:
            count = samples(rng.uniform(0.15, 0.35))
            add(out, harmonics(contour(count, rng.uniform(1500, 2800), rng.uniform(150, 300)), square, count), now, 0.8)
            now += count / SAMPLE_RATE
        else:
            base = rng.uniform(900.0, 1100.0)
            for ratio, length in ((1.0, 0.08), (4.0 / 3.0, 0.35)):
                count = samples(length)
                add(out, harmonics(base * ratio, square, count) * np.exp(-np.linspace(0, 2, count)), now)
                now += length
        now += rng.uniform(0.05, 0.5)
    return finish(out)


def children_playing(rng: Rng) -> Audio:
    """Render a playground: brief, high calls and laughter of children, running feet between them."""
    total = rng.uniform(4.5, 7.5)
    out = np.zeros(samples(total))
    for start in rng.uniform(0.0, total - 0.5, rng.integers(8, 15)):
        who, size = person(rng, 260.0, 380.0), samples(rng.uniform(0.25, 0.6))
        high = who.pitch_hz * rng.uniform(1.1, 1.6)
        voice = glottis(rng, contour(size, high * 0.85, high, high * rng.uniform(0.7, 1.0)), 0.8, 0.1)
        call = tract(voice, VOWELS[('a', 'e', 'i', 'o')[rng.integers(4)]], who.size) * hump(size, 0.35)
        add(out, call, start, rng.lognormal(-0.8, 0.6))
    for start in rng.uniform(0.0, total - 1.0, rng.integers(1, 4)):
        add(out, laugh(rng, person(rng, 250.0, 350.0), int(rng.integers(3, 7))), start, rng.uniform(0.2, 0.7))
    for time in poisson(rng, total, 4.0):
        add(out, burst(rng, 0.06, [(100, -2), (400, 0), (3000, -14)]), time, rng.uniform(0.05, 0.2))
    return finish(out + 0.02 * noise(rng, out.size, [(100, 0), (1000, -6), (8000, -16)]))


def cafe(rng: Rng) -> Audio:
    """Render a cafe: a soft hubbub, cups, and in half of the draws the milk steamer."""
    out = 0.8 * crowd_murmur(rng).astype(np.float64)
    total = out.size / SAMPLE_RATE
    for time in poisson(rng, total - 0.3, rng.uniform(1.0, 2.5)):
        add(out, clink(rng, log_uniform(rng, 1500.0, 4500.0), rng.uniform(0.05, 0.3)), time, rng.uniform(0.05, 0.25))
    if rng.random() < 0.5:
        size = samples(rng.uniform(1.0, 2.5))
        steam = rush(rng, size, 900.0, 1.0) * hump(size, 0.3, 0.5)
        add(out, steam, rng.uniform(0.0, total - 1.0), 0.2)
    return finish(out)


def shop_scanner(rng: Rng) -> Audio:
    """Render a checkout: single equal beeps at irregular times, bags and boxes put down between them."""
    total = rng.uniform(4.0, 7.5)
    tone = harmonics(log_uniform(rng, 1800.0, 3200.0), [1.0, 0.1, 0.2], samples(total), rng)
    starts = beats(rng, total - 0.2, rng.uniform(0.8, 1.6), 0.4)
    out = pulsed(tone, [(start, 0.09) for start in starts], 0.002, 0.004, 0.0)
    for start in starts[1:]:
        add(out, burst(rng, 0.12, [(80, 0), (400, -3), (3000, -14)]), start - 0.3, rng.uniform(0.1, 0.4))
    return finish(out)


# fmt: off
TYPES = (
    event(evacuation_slow_whoop, 'Social Places', 'iii', 'smoke alarm', 'A slow whoop orders everyone out.',
          sweep_octaves_s=(0.2, 0.6), on_s=(3.25, 3.75), off_s=(0.42, 0.58)),
    event(evacuation_din_tone, 'Social Places', 'iii', 'smoke alarm', 'A falling emergency tone orders everyone out.',
          sweep_octaves_s=(0.8, 1.9), depth=(0.0, 0.5), centroid_hz=(500, 3500)),
    event(emergency_alert_tone, 'Social Places', 'ii', 'emergency alert', 'A radio sounds the emergency alert tone.',
          peak_hz=(840, 970), flatness=(0.0, 0.02), harmonicity=(0.5, 1.0)),
    event(explosion, 'Social Places', 'iv', 'explosion', 'Something explodes.',
          crest_db=(14, 36), depth=(0.8, 4.0), centroid_hz=(50, 1800)),
    event(building_collapse, 'Social Places', 'ii', 'crash', 'A building collapses.',
          centroid_hz=(300, 2200), depth=(0.3, 1.4)),
    event(church_bell, 'Social Places', 'none', 'church bell', 'A church bell tolls.',
          rhythm_hz=(0.45, 1.1), peak_hz=(70, 1000), flatness=(0.0, 0.01)),
    event(arcade_game, 'Social Places', 'none', 'video game', 'A video game beeps and zaps.',
          pitch_hz=(200, 1500), harmonicity=(0.75, 1.0)),
    event(children_playing, 'Social Places', 'none', 'children playing', 'Children play and call.',
          pitch_hz=(220, 620), depth=(0.4, 1.5)),
    event(cafe, 'Social Places', 'none', 'cafe', 'A cafe murmurs and clinks.',
          centroid_hz=(300, 3600), depth=(0.15, 0.9)),
    event(shop_scanner, 'Social Places', 'none', 'shop scanner', 'A checkout scanner beeps.',
          peak_hz=(1750, 3250), onsets_hz=(0.4, 2.2), crest_db=(8, 22)),
)
# fmt: on
