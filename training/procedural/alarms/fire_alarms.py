"""Hazard tones: smoke, fire and carbon-monoxide alarms, sirens, vehicle horns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.synth import (
    SAMPLE_RATE,
    Rng,
    Signal,
    SoundType,
    add,
    beats,
    finish,
    harmonics,
    log_uniform,
    modal,
    noise,
    resonance,
    samples,
    shape,
    slow,
)

Audio = NDArray[np.float32]


def cadence(rng: Rng, steps: list[tuple[float, float]], total_s: float) -> list[tuple[float, float]]:
    """Return the pulses of a repeated on/off pattern as (start, length), both in seconds, up to `total_s`.

    `steps` are (on, off) in seconds. The pattern is entered at any of its pulses, in half of the draws within that
    pulse.
    """
    step = int(rng.integers(len(steps)))
    on, off = steps[step]
    # Half of the entries fall at the start of a pulse and half in its first 60 %.
    on -= on * max(0.0, rng.uniform(-0.6, 0.6))
    pulses, now = [], 0.0
    while now < total_s:
        pulses.append((now, on))
        now += on + off
        step = (step + 1) % len(steps)
        on, off = steps[step]
    return pulses


def pulsed(tone: Signal, pulses: list[tuple[float, float]], rise_s: float, ring_s: float, sag: float) -> Signal:
    """Return a tone gated as a resonant sounder does it: exponential rise, slow sag, exponential ring-down.

    `tone` and the result are float64 [n] at 16 kHz. `pulses` are (start, length) in seconds; `rise_s` and `ring_s` are
    the time constants; `sag` is the share of the level that is lost by the end of a pulse.
    """
    envelope = np.zeros(tone.size)
    for start, length in pulses:
        time = np.arange(samples(length + 6 * ring_s)) / SAMPLE_RATE
        body = (1.0 - np.exp(-time / rise_s)) * (1.0 - sag * np.minimum(time / length, 1.0))
        body *= np.exp(-np.maximum(time - length, 0.0) / ring_s)
        first = samples(start)
        part = envelope[first : first + body.size]
        np.maximum(part, body[: part.size], out=part)
    return tone * envelope


def _piezo(rng: Rng, count: int, base_hz: float) -> Signal:
    """A piezo disc's tone: near-sine to near-square, its frequency wandering a little, sometimes warbling."""
    wander = 1.0 + rng.uniform(0.0, 0.002) * slow(rng, count, rng.uniform(1.0, 8.0))
    levels = [1.0, log_uniform(rng, 0.01, 0.5), log_uniform(rng, 0.02, 0.4), log_uniform(rng, 0.005, 0.2)]
    tone = harmonics(base_hz * wander, levels, count, rng)
    if rng.random() < 0.3:  # a weak supply or a loose disc makes the level flutter
        rate = rng.uniform(15.0, 120.0)
        tone *= 1.0 - rng.uniform(0.1, 0.5) * (0.5 + 0.5 * np.sin(2 * np.pi * rate * np.arange(count) / SAMPLE_RATE))
    if rng.random() < 0.3:  # rattle of the housing
        tone += rng.uniform(0.005, 0.04) * noise(rng, count, [(500, -30), (2500, 0), (7000, 0)])
    return tone


def _timing(rng: Rng, seconds: float) -> float:
    return seconds * rng.uniform(0.9, 1.1)


def _piezo_alarm(rng: Rng, steps: list[tuple[float, float]], total_s: float, base_hz: float) -> Audio:
    tone = _piezo(rng, samples(total_s), base_hz)
    rise, ring = log_uniform(rng, 0.001, 0.02), log_uniform(rng, 0.002, 0.02)
    return finish(pulsed(tone, cadence(rng, steps, total_s), rise, ring, rng.uniform(0.0, 0.3)))


def _t3_steps(rng: Rng) -> list[tuple[float, float]]:
    on, off, pause = _timing(rng, 0.5), _timing(rng, 0.5), _timing(rng, 1.5)
    return [(on, off), (on, off), (on, pause)]


def smoke_alarm_t3(rng: Rng) -> Audio:
    """Render a piezo smoke alarm at 3.0-3.4 kHz in the temporal-three pattern of ISO 8201 and NFPA 72."""
    return _piezo_alarm(rng, _t3_steps(rng), rng.uniform(2.5, 8.0), rng.uniform(2950.0, 3450.0))


def smoke_alarm_520(rng: Rng) -> Audio:
    """Render a smoke alarm in the temporal-three pattern as a 520 Hz square wave, within 10 % (NFPA 72, 18.4.6.3)."""
    total = rng.uniform(2.5, 8.0)
    count = samples(total)
    levels = np.zeros(15)
    levels[::2] = 1.0 / np.arange(1, 16, 2) ** rng.uniform(0.7, 1.1)
    levels[1::2] = rng.uniform(0.0, 0.08, 7)
    tone = shape(harmonics(rng.uniform(468.0, 572.0), levels, count), resonance(rng, 350.0, rng.uniform(3500, 8000)))
    pulses = cadence(rng, _t3_steps(rng), total)
    return finish(pulsed(tone, pulses, log_uniform(rng, 0.001, 0.02), log_uniform(rng, 0.003, 0.02), 0.05))


def co_alarm_t4(rng: Rng) -> Audio:
    """Render a carbon-monoxide alarm in the temporal-four pattern (NFPA 72, UL 2034): four 0.1 s pulses, 5 s pause."""
    on, off = _timing(rng, 0.1), _timing(rng, 0.1)
    steps = [(on, off)] * 3 + [(on, _timing(rng, 5.0))]
    base = rng.uniform(2950.0, 3450.0)
    total = rng.uniform(0.8, 8.0)
    tone = _piezo(rng, samples(total), base)
    # Always enter at the first pulse: a lone last pulse could be any beep.
    pulses, now = [], 0.0
    while now < total:
        for length, gap in steps:
            pulses.append((now, length))
            now += length + gap
    return finish(pulsed(tone, pulses, log_uniform(rng, 0.001, 0.01), log_uniform(rng, 0.002, 0.012), 0.1))


def smoke_alarm_beeping(rng: Rng) -> Audio:
    """Render a European house alarm with fast, even, piercing pulses (EN 14604 fixes loudness, not cadence)."""
    on = log_uniform(rng, 0.08, 0.5)
    return _piezo_alarm(rng, [(on, on * rng.uniform(0.35, 1.0))], rng.uniform(2.0, 8.0), rng.uniform(2700.0, 3600.0))


def fire_alarm_warble(rng: Rng) -> Audio:
    """Render a building's electronic sounder: a two-tone warble, sweep or rise and fall within about 440-2850 Hz."""
    total = rng.uniform(2.0, 8.0)
    count = samples(total)
    time = np.arange(count) / SAMPLE_RATE + rng.uniform(0.0, 3.0)
    low, high = [(800.0, 970.0), (500.0, 1200.0), (2400.0, 2850.0), (990.0, 650.0), (544.0, 440.0)][rng.integers(5)]
    rate = log_uniform(rng, 0.8, 9.0)
    turn = np.mod(time * rate, 1.0)
    style = rng.integers(3)
    mix = np.where(turn < 0.5, 0.0, 1.0) if style == 0 else turn if style == 1 else 1.0 - np.abs(2 * turn - 1.0)
    pitch = (low + (high - low) * mix) * rng.uniform(0.93, 1.07)
    levels = 1.0 / np.arange(1, 13) ** rng.uniform(0.6, 1.8)
    if rng.random() < 0.6:
        levels[1::2] *= rng.uniform(0.0, 0.3)
    return finish(shape(harmonics(pitch, levels, count, rng), resonance(rng, 600.0, rng.uniform(3500.0, 7800.0), 14.0)))


def fire_bell(rng: Rng) -> Audio:
    """Render a motor-driven fire bell: a large gong hammered 8-22 times a second without a pause."""
    total = rng.uniform(2.0, 8.0)
    base = log_uniform(rng, 500.0, 1100.0)
    modes = base * np.array([1.0, 1.62, 2.35, 3.0, 3.9, 4.75, 5.9, 7.2, 8.8]) * rng.uniform(0.96, 1.04, 9)
    t60 = log_uniform(rng, 0.4, 2.5) / (modes / base) ** rng.uniform(0.3, 0.9)
    levels = rng.uniform(0.2, 1.0, 9)
    blow = samples(float(min(t60.max(), 1.5)))
    strikes = [modal(modes, t60, levels * rng.uniform(0.5, 1.0, 9), blow, rng) for _ in range(3)]
    click = _hammer_click(rng)
    out = np.zeros(samples(total))
    for time in beats(rng, total, 1.0 / rng.uniform(8.0, 22.0), rng.uniform(0.02, 0.15)):
        add(out, strikes[rng.integers(3)], time, rng.uniform(0.6, 1.0))
        add(out, click, time, rng.uniform(0.2, 0.5))
    return finish(out)


def _hammer_click(rng: Rng) -> Signal:
    """The hammer's short metallic click."""
    return noise(rng, 240, [(500, -20), (2500, 0), (7000, -3)]) * np.exp(-np.arange(240) / rng.uniform(15.0, 60.0))


TYPES = (
    SoundType('smoke_alarm_t3', 'smoke alarm', True, 'A smoke alarm sounds three beeps and a pause.', smoke_alarm_t3),
    SoundType(
        'smoke_alarm_520',
        'smoke alarm',
        True,
        'A low-pitched smoke alarm sounds three tones and a pause.',
        smoke_alarm_520,
    ),
    SoundType('smoke_alarm_beeping', 'smoke alarm', True, 'A smoke alarm beeps rapidly.', smoke_alarm_beeping),
    SoundType('co_alarm_t4', 'smoke alarm', True, 'A carbon-monoxide alarm sounds four quick beeps.', co_alarm_t4),
    SoundType('fire_alarm_warble', 'smoke alarm', True, "A building's fire alarm warbles.", fire_alarm_warble),
    SoundType('fire_bell', 'smoke alarm', True, 'A fire bell rattles without a pause.', fire_bell),
)
