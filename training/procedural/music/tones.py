"""Harmless tones: appliance beeps, telephones, music, whistling, birds and insects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms.fire_alarms import pulsed
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
    ordinary,
    poisson,
    resonance,
    samples,
    shape,
    slow,
)

Audio = NDArray[np.float32]
_SCALES = ((0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 10, 12), (0, 2, 4, 7, 9, 12), (0, 3, 5, 7, 10, 12))


def _beeper(rng: Rng, pitch_hz: float, count: int) -> Signal:
    """The tone of an appliance's buzzer or little speaker, sine to square."""
    levels = 1.0 / np.arange(1, 8) ** log_uniform(rng, 0.8, 4.0)
    levels[1::2] *= rng.uniform(0.0, 1.0)
    return harmonics(pitch_hz, levels, count, rng)


def microwave_beeps(rng: Rng) -> Audio:
    """Render a microwave or oven that is done: three to five equal, rather long beeps near 2 kHz."""
    on, off = rng.uniform(0.3, 1.2), rng.uniform(0.2, 1.0)
    pulses = [(turn * (on + off), on) for turn in range(rng.integers(3, 6))]
    total = min(pulses[-1][0] + on + 0.1, 8.0)
    tone = _beeper(rng, log_uniform(rng, 1500.0, 2700.0), samples(total))
    return finish(pulsed(tone, pulses, 0.002, log_uniform(rng, 0.002, 0.02), 0.0))


def appliance_beep(rng: Rng) -> Audio:
    """Render a button or timer of an appliance: one or two short beeps of 0.8-4.2 kHz."""
    on = log_uniform(rng, 0.04, 0.35)
    pulses = [(turn * on * rng.uniform(1.5, 2.5), on) for turn in range(rng.integers(1, 3))]
    tone = _beeper(rng, log_uniform(rng, 800.0, 4200.0), samples(pulses[-1][0] + on + 0.1))
    return finish(pulsed(tone, pulses, 0.002, log_uniform(rng, 0.002, 0.02), 0.1))


def _note(rng: Rng, pitch_hz: float, t60_s: float, brightness: float, stiffness: float = 0.0) -> Signal:
    """A plucked, struck or chimed note: harmonics, stretched by stiffness, the high ones dying sooner."""
    order = np.arange(1, 21)
    pitch = pitch_hz * order * np.sqrt(1.0 + stiffness * order**2)
    levels = rng.uniform(0.5, 1.0, 20) / order**brightness
    return modal(pitch, t60_s / order**0.6, levels, samples(min(t60_s, 2.5)), rng) * gate(
        samples(min(t60_s, 2.5)), 0.002, 0.05
    )


def notification_chime(rng: Rng) -> Audio:
    """Render a telephone's or computer's notification: one to four soft bell-like notes."""
    base, scale = log_uniform(rng, 500.0, 2200.0), _SCALES[rng.integers(4)]
    gap, t60, bright = rng.uniform(0.07, 0.25), rng.uniform(0.2, 1.5), rng.uniform(1.5, 4.0)
    out = np.zeros(samples(2.0))
    for turn in range(rng.integers(1, 5)):
        add(out, _note(rng, base * 2 ** (rng.choice(scale) / 12), t60, bright), turn * gap)
    return finish(out[: samples(min(2.0, 0.8 + t60))])


def phone_bell(rng: Rng) -> Audio:
    """Render an old telephone that rings and rests: two small gongs struck in turn, each about 20 times a second."""
    total = rng.uniform(2.0, 7.0)
    out = np.zeros(samples(total))
    gongs = []
    base = log_uniform(rng, 1100.0, 1900.0)
    for pitch in (base, base * rng.uniform(1.12, 1.3)):
        ratios = np.array([1.0, 2.1, 2.9, 3.7, 5.1]) * rng.uniform(0.97, 1.03, 5)
        gongs.append(modal(pitch * ratios, rng.uniform(0.3, 0.9) / ratios**0.5, rng.uniform(0.2, 1.0, 5), 9600, rng))
    ring, rest = (rng.uniform(1.0, 2.0), rng.uniform(2.0, 4.0)) if rng.random() < 0.6 else (0.4, 0.2)
    for start in beats(rng, total, ring + rest, 0.02):
        for turn, time in enumerate(beats(rng, ring, 1.0 / rng.uniform(34.0, 50.0), 0.03)):
            add(out, gongs[turn % 2], start + time, rng.uniform(0.7, 1.0))
    return finish(out)


def phone_melody(rng: Rng) -> Audio:
    """Render an electronic ringtone: a short figure of beeper or bell notes, repeated, or a two-tone trill."""
    total = rng.uniform(2.0, 7.0)
    out = np.zeros(samples(total))
    base = log_uniform(rng, 500.0, 1500.0)
    if rng.random() < 0.25:  # trill: two tones about 16-25 times a second, on for a second or two, then a rest
        turn = np.mod(np.arange(out.size) / SAMPLE_RATE * rng.uniform(8.0, 13.0), 1.0) < 0.5
        tone = harmonics(np.where(turn, base, base * 1.25), [1.0, 0.2, 0.3, 0.1, 0.1], out.size, rng)
        ring = rng.uniform(0.8, 2.0)
        return finish(
            pulsed(
                tone,
                [(t, ring) for t in beats(rng, total, ring + rng.uniform(0.8, 3.0), 0.0)],
                0.003,
                0.005,
                0.0,
            )
        )
    scale, gap = _SCALES[rng.integers(4)], rng.uniform(0.08, 0.25)
    figure = [base * 2 ** (rng.choice(scale) / 12) for _ in range(rng.integers(3, 9))]
    rest, now, soft = rng.uniform(0.0, 1.5), 0.0, rng.random() < 0.5
    while now < total:
        for pitch in figure:
            length = gap * rng.choice([1.0, 1.0, 2.0])
            if soft:
                add(out, _note(rng, pitch, 0.7, 2.0), now)
            else:
                count = samples(length * 0.9)
                add(out, _beeper(rng, pitch, count) * gate(count, 0.003, 0.01), now)
            now += length
        now += rest
    return finish(out)


def phone_vibration(rng: Rng) -> Audio:
    """Render a telephone that vibrates on a table in pulses: a 130-220 Hz motor with a rattle."""
    total = rng.uniform(1.5, 5.0)
    count = samples(total)
    pitch = rng.uniform(130.0, 220.0) * (1.0 + 0.01 * slow(rng, count, 5.0))
    tone = harmonics(pitch, rng.uniform(0.2, 1.0, 14) / np.arange(1, 15) ** rng.uniform(0.5, 1.2), count)
    tone += rng.uniform(0.02, 0.3) * noise(rng, count, [(100, -20), (600, 0), (4000, -15)])
    on = rng.uniform(0.25, 1.0)
    return finish(pulsed(tone, [(t, on) for t in beats(rng, total, on + rng.uniform(0.15, 1.5), 0.0)], 0.02, 0.02, 0.0))


def reversing_beeper(rng: Rng) -> Audio:
    """Render a reversing vehicle or parking assistant: even beeps at 0.8-2.8 kHz, one to four a second."""
    total, period = rng.uniform(2.0, 7.0), rng.uniform(0.25, 1.1)
    tone = shape(_beeper(rng, log_uniform(rng, 800.0, 2800.0), samples(total)), resonance(rng, 500.0, 5000.0))
    return finish(pulsed(tone, [(t, period * 0.5) for t in beats(rng, total, period, 0.0)], 0.003, 0.01, 0.0))


def _melody(rng: Rng, total_s: float, low_hz: float, high_hz: float, beat_s: float) -> list[tuple[float, float, float]]:
    """(start s, length s, Hz) of a random walk on a scale."""
    scale = np.array(_SCALES[rng.integers(4)])
    pitches = log_uniform(rng, low_hz, high_hz / 2) * 2.0 ** (np.concatenate([scale, scale[1:] + 12]) / 12)
    step, now, notes = int(rng.integers(pitches.size)), 0.0, []
    while now < total_s:
        length = beat_s * float(rng.choice([0.5, 1.0, 1.0, 2.0]))
        notes.append((now, length, float(pitches[step])))
        step = int(np.clip(step + rng.integers(-3, 4), 0, pitches.size - 1))
        now += length
    return notes


def flute_melody(rng: Rng) -> Audio:
    """Render a flute or recorder: few harmonics, vibrato, and breath noise in each note."""
    total = rng.uniform(2.0, 7.0)
    out = np.zeros(samples(total))
    levels, vibrato = [1.0, rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.4), 0.1, 0.05], rng.uniform(0.0, 0.012)
    for start, length, pitch in _melody(rng, total, 260.0, 1800.0, rng.uniform(0.25, 0.7)):
        count = samples(length)
        swing = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * np.arange(count) / SAMPLE_RATE)
        tone = harmonics(pitch * (1.0 + vibrato * swing), levels, count, rng) * (1.0 + 8 * vibrato * swing)
        breath = noise(rng, count, [(200, -30), (pitch, 0), (2 * pitch, -3), (7000, -15)])
        add(out, (tone + rng.uniform(0.01, 0.08) * breath) * gate(count, rng.uniform(0.02, 0.08), 0.05), start)
    return finish(out)


def plucked_melody(rng: Rng) -> Audio:
    """Render a guitar, harp or ukulele that plays single notes."""
    total = rng.uniform(2.0, 7.0)
    out = np.zeros(samples(total))
    t60, bright = rng.uniform(0.4, 2.5), rng.uniform(0.8, 2.0)
    for start, _, pitch in _melody(rng, total, 90.0, 900.0, rng.uniform(0.2, 0.6)):
        add(out, _note(rng, pitch, t60, bright), start, rng.uniform(0.5, 1.0))
    return finish(out)


def piano_chords(rng: Rng) -> Audio:
    """Render a piano: chords of three or four notes with slightly stretched partials."""
    total = rng.uniform(2.0, 7.0)
    out = np.zeros(samples(total))
    t60, bright = rng.uniform(1.0, 4.0), rng.uniform(1.2, 2.2)
    for start, _, pitch in _melody(rng, total, 110.0, 700.0, rng.uniform(0.5, 1.2)):
        for semitone in ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 5, 9))[rng.integers(4)]:
            add(out, _note(rng, pitch * 2 ** (semitone / 12), t60, bright, 4e-4), start + rng.uniform(0, 0.02))
    return finish(out)


def synth_drone(rng: Rng) -> Audio:
    """Render a sawtooth synthesiser that holds a chord under a slowly moving filter."""
    count = samples(rng.uniform(2.0, 7.0))
    base = log_uniform(rng, 55.0, 330.0)
    out = np.zeros(count)
    for ratio in (1.0, 1.0 + rng.uniform(0.002, 0.01), float(rng.choice([1.5, 2.0, 1.26, 1.335]))):
        out += harmonics(base * ratio, 1.0 / np.arange(1, 25), count, rng)
    mix = 0.5 + 0.5 * np.clip(slow(rng, count, rng.uniform(0.3, 2.0)), -1, 1)
    return finish(out * (1 - mix) + mix * shape(out, [(100, 0), (400, -3), (1500, -25)]))


def whistling(rng: Rng) -> Audio:
    """Render a person who whistles a tune: near-sine notes that slide into each other, with breath."""
    total = rng.uniform(1.5, 6.0)
    count = samples(total)
    pitch, loud = np.zeros(count), np.zeros(count)
    for start, length, hertz in _melody(rng, total, 650.0, 2600.0, rng.uniform(0.2, 0.6)):
        first, size = samples(start), samples(length)
        pitch[first : first + size] = hertz
        loud[first : first + size] = gate(samples(length), 0.03, 0.05)[: max(0, count - first)] * rng.uniform(0.6, 1.0)
    slide = np.hanning(samples(rng.uniform(0.03, 0.12)))
    pitch = np.convolve(np.pad(pitch, slide.size, mode='edge'), slide / slide.sum(), 'same')[slide.size : -slide.size]
    pitch *= 1.0 + 0.006 * slow(rng, count, 7.0)
    tone = harmonics(pitch, [1.0, rng.uniform(0.01, 0.1), 0.01], count, rng)
    breath = noise(rng, count, [(500, -30), (1500, 0), (5000, -6)])
    return finish((tone + rng.uniform(0.005, 0.05) * breath) * (0.05 + loud))


def bird_chirps(rng: Rng) -> Audio:
    """Render songbirds: phrases of quick glides, trills and buzzes between about 1.8 and 7.5 kHz."""
    total = rng.uniform(1.5, 6.0)
    out = np.zeros(samples(total))
    now = 0.0
    while now < total:
        base, spread = log_uniform(rng, 2200.0, 6000.0), rng.uniform(0.05, 0.35)
        length, gap, loud = log_uniform(rng, 0.03, 0.2), log_uniform(rng, 0.02, 0.15), rng.uniform(0.3, 1.0)
        count = samples(length)
        share = np.linspace(0.0, 1.0, count)
        glide = rng.uniform(-1, 1) * (share - 0.5) + rng.uniform(-1, 1) * np.sin(np.pi * share)
        glide += rng.uniform(0.0, 0.3) * (rng.random() < 0.4) * np.sin(2 * np.pi * rng.uniform(20, 90) * length * share)
        syllable = harmonics(base * (1.0 + spread * glide), [1.0, rng.uniform(0.0, 0.15)], count, rng)
        syllable *= np.sin(np.pi * share) ** rng.uniform(0.5, 2.0)
        for _ in range(rng.integers(1, 9)):
            add(out, syllable, now, loud * rng.uniform(0.7, 1.0))
            now += length + gap
        now += log_uniform(rng, 0.05, 1.2)
    return finish(out)


def crickets(rng: Rng) -> Audio:
    """Render one to four field crickets: 3.8-5.5 kHz chirps of a few pulses each, or an unbroken trill."""
    total = rng.uniform(2.0, 7.0)
    count = samples(total)
    out = np.zeros(count)
    for _ in range(rng.integers(1, 5)):
        tone = harmonics(rng.uniform(3800.0, 5500.0), [1.0], count, rng)
        pulse, period, size = rng.uniform(0.012, 0.025), rng.uniform(0.25, 1.0), int(rng.integers(2, 6))
        if rng.random() < 0.3:  # a tree cricket's unbroken trill
            size, period = 8, 16 * pulse
        gap = pulse * rng.uniform(1.3, 2.0)
        envelope = np.zeros(count)
        for start in beats(rng, total, max(period, size * gap), 0.03):
            for turn in range(size):
                add(envelope, np.hanning(samples(pulse)), start + turn * gap)
        out += tone * envelope * rng.uniform(0.2, 1.0)
    return finish(out)


def cicadas(rng: Rng) -> Audio:
    """Render cicadas: a dense, buzzing band around 3-7 kHz that swells and pulses."""
    count = samples(rng.uniform(2.0, 7.0))
    middle = rng.uniform(3200.0, 6500.0)
    out = noise(rng, count, [(middle * 0.6, -40), (middle * 0.9, -3), (middle, 0), (middle * 1.15, -4), (7900, -25)])
    buzz = harmonics(rng.uniform(60.0, 250.0) * (1 + 0.02 * slow(rng, count, 4.0)), [1.0], count, rng)
    swell = 1.0 + 0.4 * np.clip(slow(rng, count, rng.uniform(0.5, 6.0)), -2, 2)
    return finish(out * (1.0 + rng.uniform(0.3, 0.95) * buzz) * swell)


def wind_chimes(rng: Rng) -> Audio:
    """Render metal tubes stirred by wind: long, pure, unhurried strikes of a fixed set of pitches."""
    total = rng.uniform(2.0, 6.0)
    out = np.zeros(samples(total))
    tubes = log_uniform(rng, 500.0, 2600.0, int(rng.integers(4, 8)))
    for time in poisson(rng, total * 0.8, rng.uniform(0.8, 4.0)):
        pitch = tubes[rng.integers(tubes.size)] * np.array([1.0, 2.76, 5.4])
        add(
            out,
            modal(pitch, np.array([2.5, 1.0, 0.4]), np.array([1.0, 0.4, 0.2]), samples(2.0), rng),
            time,
            rng.uniform(0.2, 1.0),
        )
        add(out, burst(rng, 0.006, [(800, -20), (4000, 0)]), time, 0.2)
    return finish(out)


TYPES = (
    ordinary('microwave_beeps', 'microwave beep', 'A microwave oven beeps that it is done.', microwave_beeps),
    ordinary('appliance_beep', 'appliance beep', 'An appliance beeps once or twice.', appliance_beep),
    ordinary('notification_chime', 'notification', 'A telephone plays a notification chime.', notification_chime),
    ordinary('phone_bell', 'telephone ringing', 'An old telephone bell rings.', phone_bell),
    ordinary('phone_melody', 'telephone ringing', 'A mobile telephone plays a ringtone.', phone_melody),
    ordinary('phone_vibration', 'telephone vibrating', 'A telephone vibrates on a table.', phone_vibration),
    ordinary('reversing_beeper', 'reversing beeper', 'A parking assistant beeps.', reversing_beeper),
    ordinary('flute_melody', 'music', 'A flute plays.', flute_melody),
    ordinary('plucked_melody', 'music', 'A plucked string instrument plays.', plucked_melody),
    ordinary('piano_chords', 'music', 'A piano plays chords.', piano_chords),
    ordinary('synth_drone', 'music', 'A synthesiser holds a chord.', synth_drone),
    ordinary('whistling', 'whistling', 'Someone whistles a tune.', whistling),
    ordinary('bird_chirps', 'birds', 'Birds chirp.', bird_chirps),
    ordinary('crickets', 'insects', 'Crickets chirp.', crickets),
    ordinary('cicadas', 'insects', 'Cicadas buzz.', cicadas),
    ordinary('wind_chimes', 'wind chimes', 'Wind chimes ring.', wind_chimes),
)
