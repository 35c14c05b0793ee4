"""Instruments played well, and instruments so broken or out of tune that something must be wrong with them.

In tune every note lies on the equal-tempered scale; a ruined piano or guitar has each string, even each of the
two strings of one note, 18 to 36 cents off, now sharp, now flat, so that notes beat and intervals are sour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.people.voice import hump
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
from training.procedural.textures import grains

Audio = NDArray[np.float32]
_MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)


def cents_off(rng: Rng, least: float, most: float, side: int = 1) -> float:
    """Return a frequency factor between `least` and `most` cents sharp, or flat where `side` is -1."""
    return float(2.0 ** (side * rng.uniform(least, most) / 1200.0))


def _string(rng: Rng, pitch_hz: float, t60_s: float, brightness: float, stiffness: float) -> Signal:
    """A plucked or struck string: partials stretched by stiffness, the high ones dying sooner."""
    order = np.arange(1, 19)
    pitch = pitch_hz * order * np.sqrt(1.0 + stiffness * order**2)
    count = samples(min(t60_s, 2.5))
    levels = rng.uniform(0.6, 1.0, 18) / order**brightness
    return modal(pitch, t60_s / order**0.6, levels, count, rng) * gate(count, 0.002, 0.05)


def _piano(rng: Rng, detune: tuple[float, float]) -> Audio:
    """Arpeggios and chords; every note has two strings, each off by `detune` cents (least, most)."""
    total = rng.uniform(4.0, 7.0)
    out = np.zeros(samples(total))
    strings: dict[int, list[Signal]] = {}
    t60, bright = rng.uniform(1.5, 3.0), rng.uniform(1.1, 1.7)
    for time in beats(rng, total - 0.4, rng.uniform(0.35, 0.7), 0.04):
        root = int(rng.choice([0, 5, 7, 9]))
        for step in (root, root + (3 if root == 9 else 4), root + 7)[: rng.integers(1, 4)]:
            if step not in strings:
                pitch = 196.0 * 2.0 ** (step / 12.0)
                strings[step] = [
                    _string(rng, pitch * cents_off(rng, *detune, side), t60, bright, 4e-4) for side in (-1, 1)
                ]
            for string in strings[step]:
                add(out, string, time + rng.uniform(0.0, 0.015), rng.uniform(0.6, 1.0))
        add(out, burst(rng, 0.04, [(80, 0), (400, -3), (2500, -16)]), time, 0.4)
    return finish(out)


def piano_in_tune(rng: Rng) -> Audio:
    """Render a well-kept piano: the two strings of a note are each within 0.8 cents of its pitch."""
    return _piano(rng, (0.0, 0.8))


def piano_out_of_tune(rng: Rng) -> Audio:
    """Render a ruined piano: of the two strings of a note, one is 18-36 cents flat and one as much sharp."""
    return _piano(rng, (18.0, 36.0))


def _guitar(rng: Rng, detune: tuple[float, float], buzz: float) -> Audio:
    """Strummed open chords over six strings, each off by `detune` cents all the time; `buzz` is fret rattle."""
    total = rng.uniform(4.0, 7.0)
    out = np.zeros(samples(total))
    tuning = [cents_off(rng, *detune, side) for side in (-1, 1, -1, 1, -1, 1)]
    chords = ((0, 7, 12, 16, 19, 24), (5, 12, 17, 21, 24, 29), (7, 14, 19, 23, 26, 31))
    t60, bright = rng.uniform(1.2, 2.4), rng.uniform(0.9, 1.4)
    for time in beats(rng, total - 0.4, rng.uniform(0.5, 0.95), 0.04):
        chord, lag, level = chords[int(rng.integers(3))], rng.uniform(0.012, 0.03), rng.uniform(0.7, 1.0)
        for turn, step in enumerate(chord):
            note = _string(rng, 82.41 * 2.0 ** (step / 12.0) * tuning[turn], t60, bright, 5e-5)
            if buzz:  # the string slaps the frets while it swings wide
                swing = np.exp(-np.arange(note.size) / SAMPLE_RATE * 6.0)
                note = note + buzz * swing * shape(
                    np.clip(4.0 * note / np.max(np.abs(note)), -0.5, 0.5), [(800, -24), (3000, 0)]
                )
            add(out, note, time + turn * lag, level)
    return finish(shape(out, [(60, -8), (110, 2), (220, 0), (3000, -3), (8000, -14)]))


def guitar_in_tune(rng: Rng) -> Audio:
    """Render a guitar that is strummed and in tune within two cents."""
    return _guitar(rng, (0.0, 2.0), 0.0)


def guitar_out_of_tune(rng: Rng) -> Audio:
    """Render a wrecked guitar that is strummed: strings 18-36 cents flat and sharp in turn, rattling on the frets."""
    return _guitar(rng, (18.0, 36.0), rng.uniform(0.3, 0.8))


def violin(rng: Rng) -> Audio:
    """Render a violin: a bowed sawtooth through the body's air, wood and bridge resonances, vibrato of 5-7 Hz."""
    total = rng.uniform(3.5, 7.0)
    out, now, base = np.zeros(samples(total)), 0.0, float(rng.choice([293.7, 440.0, 329.6]))
    body = [(150, -25), (275, 0), (350, -8), (460, 2), (700, -6), (1200, -3), (2600, 2), (4000, -8), (8000, -26)]
    rate, depth = rng.uniform(5.0, 6.8), rng.uniform(0.003, 0.009)
    while now < total:
        count = samples(rng.choice([0.3, 0.6, 0.6, 1.1]))
        pitch = base * 2.0 ** (rng.choice(_MAJOR) / 12.0)
        turn = np.arange(count) / SAMPLE_RATE
        vibrato = 1.0 + depth * np.minimum(turn / 0.3, 1.0) * np.sin(2 * np.pi * rate * turn)
        bow = 1.0 + 0.06 * slow(rng, count, 25.0)
        add(out, harmonics(pitch * vibrato, 1.0 / np.arange(1, 20), count) * bow * gate(count, 0.05, 0.06), now)
        now += count / SAMPLE_RATE * 0.98
    return finish(shape(out, body) + 0.004 * noise(rng, out.size, [(500, -10), (3000, 0), (8000, -6)]))


def trumpet(rng: Rng) -> Audio:
    """Render a trumpet: steady notes with a quick attack, whose harmonics grow brighter as they get louder (Risset)."""
    return finish(_brass(rng, 0.0))


def trumpet_broken(rng: Rng) -> Audio:
    """Render a damaged trumpet: leaking air, notes that crack up a fourth, lips that rattle."""
    return finish(_brass(rng, 1.0))


def _brass(rng: Rng, damage: float) -> Signal:
    total = rng.uniform(3.5, 6.5)
    out, now, base = np.zeros(samples(total)), 0.0, rng.uniform(230.0, 240.0) * float(rng.choice([1.0, 1.5]))
    order = np.arange(1, 17)
    while now < total - 0.2:
        count = samples(rng.choice([0.25, 0.5, 0.8]))
        pitch = np.full(count, base * 2.0 ** (rng.choice(_MAJOR) / 12.0))
        loud = gate(count, 0.03, 0.05) * (0.8 + 0.2 * hump(count, 0.3))
        if damage:
            crack = slow(rng, count, 7.0) > rng.uniform(0.2, 0.8)
            waver = (1.0 + 0.02 * slow(rng, count, 12.0)) * cents_off(rng, 20.0, 70.0)
            pitch = pitch * np.where(crack, 4.0 / 3.0, 1.0) * waver
            loud = loud * (1.0 + 0.5 * slow(rng, count, 35.0))
        soft, bright = harmonics(pitch, 1.0 / order**1.4, count), harmonics(pitch, 1.0 / order**0.5, count)
        note = soft * (1 - loud) + bright * loud
        if damage:
            note += rng.uniform(0.5, 1.0) * noise(rng, count, [(300, -12), (1500, 0), (6000, -4)])
        add(out, note * loud, now)
        now += count / SAMPLE_RATE + rng.uniform(0.0, 0.08)
    return shape(out, [(150, -10), (500, -2), (1200, 0), (2500, -3), (8000, -20)])


def flute_choked(rng: Rng) -> Audio:
    """Render a cracked flute: the tone breaks up into air, jumps octaves and is 25-70 cents sharp."""
    total = rng.uniform(3.5, 6.5)
    out, now, base = np.zeros(samples(total)), 0.0, rng.uniform(480.0, 620.0)
    while now < total - 0.3:
        count = samples(rng.uniform(0.35, 0.9))
        pitch = base * 2.0 ** (rng.choice(_MAJOR) / 12.0) * cents_off(rng, 25.0, 70.0)
        over = np.clip(2.0 * slow(rng, count, 6.0), 0.0, 1.0)
        speak = np.clip(0.4 + 0.9 * slow(rng, count, 9.0), 0.0, 1.0)
        wave = pitch * (1.0 + 0.012 * slow(rng, count, 10.0))
        tone = (
            harmonics(wave, [1.0, 0.3, 0.1], count, rng) * (1 - over)
            + harmonics(2.04 * wave, [0.8, 0.1], count, rng) * over
        )
        air = noise(rng, count, [(300, -18), (pitch, -2), (3000, 0), (8000, -8)])
        add(out, (tone * speak + rng.uniform(0.4, 0.8) * air) * gate(count, 0.04, 0.06), now)
        now += count / SAMPLE_RATE + rng.uniform(0.0, 0.12)
    return finish(out)


def drum_kit(rng: Rng) -> Audio:
    """Render a drum kit at 80-140 beats a minute: bass drum and snare in turn, the hi-hat in eighths throughout."""
    total, beat = rng.uniform(4.0, 7.5), 60.0 / rng.uniform(80.0, 140.0)
    out = np.zeros(samples(total))
    size = samples(0.3)
    fall = rng.uniform(48.0, 62.0) * (1.0 + 1.6 * np.exp(-np.arange(size) / SAMPLE_RATE / 0.03))
    kick = harmonics(fall, [1.0, 0.15], size) * np.exp(-np.linspace(0.0, 6.0, size))
    snare = burst(rng, 0.22, [(150, -8), (400, -3), (3000, 0), (8000, -4)])
    add(snare, modal(np.array([185.0, 330.0]) * rng.uniform(0.9, 1.1), 0.15, np.array([1.0, 0.6]), 3000, rng), 0.0, 0.8)
    hat = burst(rng, rng.uniform(0.04, 0.1), [(2000, -30), (6000, 0), (8000, 0)])
    for turn, time in enumerate(beats(rng, total - 0.2, beat / 2.0, 0.01)):
        add(out, hat, time, 0.3 if turn % 2 else 0.45)
        if turn % 4 == 0 or (turn % 8 == 5 and rng.random() < 0.5):
            add(out, kick, time, 1.2)
        if turn % 4 == 2:
            add(out, snare, time, rng.uniform(0.5, 0.7))
    return finish(out)


def amplifier_failing(rng: Rng) -> Audio:
    """Render a guitar amplifier that shorts out: mains buzz over a chord that stutters, pops and dies."""
    total = rng.uniform(4.0, 6.5)
    count = samples(total)
    chord = np.zeros(count)
    base = log_uniform(rng, 100.0, 220.0)
    for ratio in (1.0, 1.5, 2.0):
        chord += np.tanh(3.0 * harmonics(base * ratio, 1.0 / np.arange(1, 8), count, rng))
    alive = np.clip(4.0 * (slow(rng, count, 6.0) - np.linspace(-1.2, 1.8, count)), 0.0, 1.0)
    buzz = harmonics(float(rng.choice([100.0, 120.0])), 1.0 / np.arange(1, 40) ** 0.4, count) * drift(
        rng, count, 3.0, 0.3
    )
    pops = grains(rng, total, rng.uniform(4.0, 9.0), 0.02, [(60, -3), (800, 0), (6000, -6)])
    return finish(chord * alive + 0.35 * buzz + 0.25 * pops / np.std(pops))


# fmt: off
TYPES = (
    event(piano_in_tune, 'Artistic', 'none', 'music', 'A piano plays in tune.',
          in_tune=(0.88, 1.0), flatness=(0.0, 0.02)),
    event(piano_out_of_tune, 'Artistic', 'iii', 'broken instrument', 'A badly out-of-tune piano plays.',
          in_tune=(0.0, 0.88), flatness=(0.0, 0.02)),
    event(guitar_in_tune, 'Artistic', 'none', 'music', 'A guitar is strummed.',
          in_tune=(0.7, 1.0), flatness=(0.0, 0.02)),
    event(guitar_out_of_tune, 'Artistic', 'iii', 'broken instrument', 'A broken, out-of-tune guitar is strummed.',
          in_tune=(0.0, 0.8), flatness=(0.0, 0.05)),
    event(violin, 'Artistic', 'none', 'music', 'A violin plays.',
          harmonicity=(0.85, 1.0), pitch_hz=(260, 900), depth=(0.0, 0.6)),
    event(trumpet, 'Artistic', 'none', 'music', 'A trumpet plays.',
          harmonicity=(0.9, 1.0), pitch_hz=(215, 730), centroid_hz=(500, 2500)),
    event(trumpet_broken, 'Artistic', 'iii', 'broken instrument', 'A broken trumpet cracks and leaks air.',
          harmonicity=(0.3, 0.92), centroid_hz=(700, 3200)),
    event(flute_choked, 'Artistic', 'iii', 'broken instrument', 'A cracked flute squeaks and leaks air.',
          harmonicity=(0.1, 0.92), centroid_hz=(800, 3800)),
    event(drum_kit, 'Artistic', 'none', 'music', 'Someone plays the drums.',
          rhythm_hz=(0.3, 4.9), crest_db=(9, 24), peak_hz=(35, 220)),
    event(amplifier_failing, 'Artistic', 'iii', 'failing amplifier', 'An amplifier buzzes and cuts out.',
          crest_db=(9, 34), centroid_hz=(300, 3200)),
)
# fmt: on
