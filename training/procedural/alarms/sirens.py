"""Hazards of the road and the town: emergency sirens and vehicle horns."""

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
    gate,
    harmonics,
    log_uniform,
    resonance,
    samples,
    shape,
    slow,
)

Audio = NDArray[np.float32]


def _far(rng: Rng, tone: Signal) -> Signal:
    """The way from the vehicle: fading in or past, air absorption, flutter of the wind."""
    count = tone.size
    swell = 10.0 ** (rng.uniform(-10.0, 10.0) * np.linspace(-0.5, 0.5, count) / 20.0)
    if rng.random() < 0.35:  # passes by at its loudest in the middle
        distance = np.abs(np.linspace(-1.0, 1.0, count) - rng.uniform(-0.5, 0.5))
        swell = 1.0 / np.hypot(distance, rng.uniform(0.2, 0.8))
    flutter = 1.0 + rng.uniform(0.0, 0.2) * np.clip(slow(rng, count, rng.uniform(2.0, 8.0)), -2, 2)
    steep = rng.uniform(0.0, 1.0) ** 2 * 40.0
    return shape(tone, [(50, 0), (1000, 0), (8000, -steep)]) * swell * flutter


def _doppler(rng: Rng, count: int) -> Signal:
    """A frequency factor that glides from approach to recession at up to 25 m/s, or stays put."""
    speed = rng.uniform(0.0, 0.07) * (rng.random() < 0.6)
    middle, width = rng.uniform(0.0, 1.0), rng.uniform(0.05, 0.5)
    return 1.0 - speed * np.tanh((np.linspace(0.0, 1.0, count) - middle) / width)


def _horn_speaker(rng: Rng, pitch: Signal) -> Signal:
    """An overdriven siren amplifier into a horn: many harmonics inside 400 Hz to a few kHz."""
    levels = 1.0 / np.arange(1, 13) ** log_uniform(rng, 0.6, 2.2)
    levels[1::2] *= rng.uniform(0.1, 1.0)
    levels *= rng.uniform(0.5, 1.0, 12)
    tone = harmonics(pitch, levels, pitch.size, rng)
    return shape(tone, resonance(rng, rng.uniform(350.0, 600.0), rng.uniform(2500.0, 6500.0), 10.0))


def _sweep(rng: Rng, count: int, period_s: float, low: float, high: float) -> Signal:
    """A pitch in Hz that rises and falls between two limits, on curves from straight to RC-like."""
    turn = np.mod(np.arange(count) / SAMPLE_RATE / period_s + rng.uniform(), 1.0)
    top = rng.uniform(0.25, 0.7)
    up = np.where(turn < top, turn / top, (1.0 - turn) / (1.0 - top))
    bend = rng.uniform(0.0, 3.0)
    curve = up if bend < 0.1 else (1.0 - np.exp(-bend * up)) / (1.0 - np.exp(-bend))
    return low * (high / low) ** curve


def siren_wail(rng: Rng) -> Audio:
    """Render an emergency vehicle's wail: a slow sweep over about 500-1500 Hz, 2-7 s a cycle."""
    count = samples(rng.uniform(3.0, 8.0))
    pitch = _sweep(rng, count, rng.uniform(2.0, 7.0), rng.uniform(450.0, 750.0), rng.uniform(1150.0, 1700.0))
    return finish(_far(rng, _horn_speaker(rng, pitch * _doppler(rng, count))))


def siren_yelp(rng: Rng) -> Audio:
    """Render an emergency vehicle's yelp, a sweep every 0.2-0.45 s, or in a quarter of the draws the faster phaser."""
    count = samples(rng.uniform(1.5, 8.0))
    period = rng.uniform(0.05, 0.12) if rng.random() < 0.25 else rng.uniform(0.2, 0.45)
    pitch = _sweep(rng, count, period, rng.uniform(450.0, 850.0), rng.uniform(1200.0, 1800.0))
    return finish(_far(rng, _horn_speaker(rng, pitch * _doppler(rng, count))))


# Two-tone pairs in Hz: Germany (DIN 14610), France (three services), Italy, Japan, and electronic hi-lo.
_HI_LO = ((435.0, 580.0), (435.0, 488.0), (435.0, 732.0), (392.0, 660.0), (770.0, 960.0), (500.0, 670.0))


def siren_hi_lo(rng: Rng) -> Audio:
    """Render a two-tone horn (DIN 14610 and others) or an electronic hi-lo, 0.3-1 s a tone.

    The pitch slides into each note, and in half of the draws the level dips between the tones.
    """
    count = samples(rng.uniform(2.0, 8.0))
    low, high = np.array(_HI_LO[rng.integers(len(_HI_LO))]) * rng.uniform(0.96, 1.04)
    turn = np.mod(np.arange(count) / SAMPLE_RATE / (2.0 * rng.uniform(0.3, 1.0)) + rng.uniform(), 1.0)
    edge = log_uniform(rng, 0.005, 0.04)
    share = np.clip((0.25 - np.abs(turn - 0.5)) / edge, -1.0, 1.0)  # +1 on the high half, -1 on the low
    pitch = low + (high - low) * (0.5 + 0.5 * share)
    tone = _horn_speaker(rng, pitch * _doppler(rng, count))
    if rng.random() < 0.5:
        tone *= 1.0 - rng.uniform(0.2, 0.9) * (1.0 - np.abs(share))  # a gap between the tones
    return finish(_far(rng, tone))


def siren_civil_defence(rng: Rng) -> Audio:
    """Render a motor siren that runs up towards 300-600 Hz, holds and, in most draws, runs down.

    It has one rotor, or two with different numbers of ports.
    """
    total = rng.uniform(5.0, 8.0)
    time = np.arange(samples(total)) / SAMPLE_RATE
    hold = total if rng.random() < 0.4 else rng.uniform(2.0, total - 1.0)
    run_up = 1.0 - rng.uniform(0.3, 0.9) * np.exp(-time / rng.uniform(0.6, 2.0))
    run_down = np.exp(-np.maximum(time - hold, 0.0) / rng.uniform(2.0, 5.0))
    pitch = rng.uniform(300.0, 600.0) * run_up * run_down * _doppler(rng, time.size) ** 0.2
    levels = 1.0 / np.arange(1, 15) ** rng.uniform(0.8, 1.8) * rng.uniform(0.4, 1.0, 14)
    tone = harmonics(pitch, levels, time.size, rng)
    if rng.random() < 0.6:
        tone += harmonics(pitch * (5 / 6 if rng.random() < 0.5 else 3 / 4), levels, time.size, rng)
    loudness = (pitch / pitch.max()) ** 2
    return finish(_far(rng, tone * loudness))


def _blast(rng: Rng, tones: list[tuple[float, Signal]], length_s: float, attack_s: float) -> Signal:
    """One press of the button: every tone (Hz, harmonic levels) slides up to pitch as it speaks."""
    count = samples(length_s)
    time = np.arange(count) / SAMPLE_RATE
    speak = np.exp(-time / attack_s)
    out: Signal = np.zeros(count)
    for base, levels in tones:
        pitch = base * (1.0 - 0.06 * speak) * (1.0 + 0.0015 * slow(rng, count, 12.0))
        out += harmonics(pitch, levels, count, rng)
    return out * (1.0 - speak) * gate(count, 0.002, rng.uniform(0.015, 0.06))


def _presses(rng: Rng) -> list[tuple[float, float]]:
    """(start, length) seconds: one short beep, two or more quick ones, or a long blast."""
    kind = rng.integers(4)
    if kind == 0:
        return [(0.0, rng.uniform(0.25, 0.7))]
    if kind == 1:
        return [(0.0, rng.uniform(1.0, 4.5))]
    length, gap = rng.uniform(0.12, 0.5), rng.uniform(0.08, 0.35)
    starts = beats(rng, (length + gap) * (2 if kind == 2 else rng.integers(3, 6)) - 0.01, length + gap, 0.1)
    return [(start, length * rng.uniform(0.8, 1.2)) for start in starts]


def _horn(rng: Rng, tones: list[tuple[float, Signal]], attack_s: float, band: tuple[float, float]) -> Audio:
    presses = _presses(rng)
    out: Signal = np.zeros(samples(presses[-1][0] + presses[-1][1] + 0.1))
    for start, length in presses:
        add(out, _blast(rng, tones, length, attack_s), start, rng.uniform(0.8, 1.0))
    out = shape(out, resonance(rng, band[0], band[1], 8.0))
    steep = rng.uniform(0.0, 1.0) ** 2 * 25.0  # cars are heard from near and far
    return finish(shape(out, [(50, 0), (1000, 0), (8000, -steep)]))


def car_horn(rng: Rng) -> Audio:
    """Render a car's electric horn: two discs a minor to a major third apart, or only the higher one."""
    low = rng.uniform(335.0, 430.0)
    # A disc's diaphragm beats against its core, so harmonics stay strong to 2-4 kHz and then fall.
    knee = rng.uniform(2000.0, 3800.0)
    tones = []
    for base in (low, low * rng.uniform(1.17, 1.27)):
        order = np.arange(1, 21)
        levels = rng.uniform(0.35, 1.0, 20) / (1.0 + (order * base / knee) ** 4) * order ** rng.uniform(-0.4, 0.5)
        tones.append((base, levels))
    if rng.random() < 0.15:  # small cars and scooters carry one horn
        tones = tones[1:]
    return _horn(rng, tones, log_uniform(rng, 0.006, 0.03), (rng.uniform(250.0, 400.0), rng.uniform(4000.0, 7000.0)))


def truck_horn(rng: Rng) -> Audio:
    """Render a lorry's air horns: two to four trumpets in a chord upwards of 150-320 Hz, slow to speak."""
    base = rng.uniform(150.0, 320.0)
    order = np.arange(1, 31)
    tones = []
    for ratio in [1.0, rng.uniform(1.18, 1.27), rng.uniform(1.45, 1.55), rng.uniform(1.6, 1.9)][: rng.integers(2, 5)]:
        levels = rng.uniform(0.5, 1.0, 30) / (1.0 + (order * base * ratio / rng.uniform(1200.0, 2500.0)) ** 3)
        tones.append((base * ratio, levels))
    return _horn(rng, tones, log_uniform(rng, 0.02, 0.08), (rng.uniform(120.0, 220.0), rng.uniform(3000.0, 6000.0)))


TYPES = (
    SoundType('siren_wail', 'siren', True, 'An emergency siren wails up and down.', siren_wail),
    SoundType('siren_yelp', 'siren', True, 'An emergency siren yelps rapidly.', siren_yelp),
    SoundType('siren_hi_lo', 'siren', True, 'A two-tone emergency siren sounds.', siren_hi_lo),
    SoundType('siren_civil_defence', 'siren', True, 'A civil-defence siren howls.', siren_civil_defence),
    SoundType('car_horn', 'car horn', True, 'A car horn sounds.', car_horn),
    SoundType('truck_horn', 'car horn', True, "A lorry's air horn blares.", truck_horn),
)
