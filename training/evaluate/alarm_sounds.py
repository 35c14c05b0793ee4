"""Alarms that go on, as they do: rendered from the standards' timings, for the evaluation of the signature path.

The library's own alarms (`training/procedural`) are short events entered anywhere; here a pattern lasts as long
as is asked for. Timings and frequencies are drawn over the tolerances of the standards and of devices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.signal

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.dsp.rooms import room_response
from training.procedural.alarms.fire_alarms import pulsed
from training.procedural.synth import Rng, Signal, harmonics, log_uniform, resonance, samples, shape, slow

TOLERANCE = 0.1  # of every interval (ISO 8201, UL 2034)
DETUNED = 0.04  # of a fundamental


def _about(rng: Rng, seconds: float) -> float:
    return seconds * rng.uniform(1 - TOLERANCE, 1 + TOLERANCE)


def _detuned(rng: Rng) -> float:
    return rng.uniform(1 - DETUNED, 1 + DETUNED)


def _gated(rng: Rng, tone: Signal, steps: list[tuple[float, float]]) -> Signal:
    """`steps`: (on, off) seconds of one cycle, entered at a random pulse."""
    total_s, now_s, number = len(tone) / SAMPLE_RATE_HZ, 0.0, int(rng.integers(len(steps)))
    pulses = []
    while now_s < total_s:
        on_s, off_s = steps[number % len(steps)]
        pulses.append((now_s, on_s))
        now_s += on_s + off_s
        number += 1
    gated = pulsed(tone, pulses, log_uniform(rng, 0.001, 0.015), log_uniform(rng, 0.002, 0.02), rng.uniform(0.0, 0.2))
    return gated[: len(tone)]


def _piezo(rng: Rng, count: int) -> Signal:
    levels = [1.0, log_uniform(rng, 0.01, 0.4), log_uniform(rng, 0.01, 0.3)]
    wander = 1.0 + rng.uniform(0.0, 0.002) * slow(rng, count, rng.uniform(1.0, 8.0))
    tone = harmonics(rng.uniform(2950.0, 3450.0) * wander, levels, count, rng)
    if rng.random() < 0.3:  # a weak supply makes the level flutter
        flutter = np.sin(2 * np.pi * rng.uniform(15.0, 120.0) * np.arange(count) / SAMPLE_RATE_HZ)
        tone *= 1.0 - rng.uniform(0.1, 0.5) * (0.5 + 0.5 * flutter)
    return tone


def _t3_steps(rng: Rng) -> list[tuple[float, float]]:
    on, off, pause = _about(rng, 0.5), _about(rng, 0.5), _about(rng, 1.5)
    return [(on, off), (on, off), (on, pause)]


def smoke_t3(rng: Rng, count: int) -> Signal:
    """Render a smoke alarm in the temporal-three pattern (ISO 8201, NFPA 72), a piezo disc at 2.95-3.45 kHz."""
    return _gated(rng, _piezo(rng, count), _t3_steps(rng))


def smoke_520(rng: Rng, count: int) -> Signal:
    """Render a smoke alarm in the temporal-three pattern as a square wave of 520 Hz ± 10 % (NFPA 72, 18.4.6.3)."""
    levels = np.zeros(13)
    levels[::2] = 1.0 / np.arange(1, 14, 2) ** rng.uniform(0.7, 1.1)
    levels[1::2] = rng.uniform(0.0, 0.08, 6)
    tone = harmonics(rng.uniform(468.0, 572.0), levels, count)
    return _gated(rng, shape(tone, resonance(rng, 350.0, rng.uniform(3500.0, 8000.0))), _t3_steps(rng))


def co_t4(rng: Rng, count: int) -> Signal:
    """Render a carbon-monoxide alarm in the temporal-four pattern (UL 2034, NFPA 72): four 0.1 s pulses, 5 s pause."""
    on, off = _about(rng, 0.1), _about(rng, 0.1)
    return _gated(rng, _piezo(rng, count), [(on, off)] * 3 + [(on, _about(rng, 5.0))])


def _sounder(rng: Rng, pitch_hz: Signal) -> Signal:
    """An electronic sounder: square to rounded wave into a small horn."""
    levels = 1.0 / np.arange(1, 13) ** rng.uniform(0.8, 1.8)
    if rng.random() < 0.6:
        levels[1::2] *= rng.uniform(0.0, 0.3)
    tone = harmonics(pitch_hz, levels, len(pitch_hz), rng)
    return shape(tone, resonance(rng, rng.uniform(350.0, 500.0), rng.uniform(3000.0, 7800.0), 10.0))


def _turn(rng: Rng, count: int, period_s: float) -> Signal:
    """The position in a cycle, 0 to 1."""
    return np.mod(np.arange(count) / SAMPLE_RATE_HZ / period_s + rng.uniform(), 1.0)


def slow_whoop(rng: Rng, count: int) -> Signal:
    """Render the slow whoop (NEN 2575): 500 to 1200 Hz in 3.3-3.7 s, about half a second of quiet, and again."""
    rise_s, rest_s = rng.uniform(3.3, 3.7), rng.uniform(0.4, 0.6)
    turn = _turn(rng, count, rise_s + rest_s) * (rise_s + rest_s) / rise_s
    share = np.minimum(turn, 1.0)
    pitch = (500.0 + 700.0 * share) if rng.random() < 0.5 else 500.0 * 2.4**share
    edge = np.clip((1.0 - turn) * rise_s / 0.01, 0.0, 1.0)
    return _sounder(rng, pitch * _detuned(rng)) * edge


def din_sweep(rng: Rng, count: int) -> Signal:
    """Render the emergency signal of DIN 33404-3: 1200 down to 500 Hz once a second, without a pause."""
    share = _turn(rng, count, rng.uniform(0.95, 1.05))
    pitch = (1200.0 - 700.0 * share) if rng.random() < 0.5 else 1200.0 / 2.4**share
    return _sounder(rng, pitch * _detuned(rng))


def nf_two_tone(rng: Rng, count: int) -> Signal:
    """Render the evacuation signal of NF S 32-001: 554 Hz for 0.1 s and 440 Hz for 0.4 s, in turn."""
    turn = _turn(rng, count, rng.uniform(0.48, 0.52))
    return _sounder(rng, np.where(turn < 0.2, 554.0, 440.0) * rng.uniform(0.98, 1.02))


def _siren(rng: Rng, pitch_hz: Signal) -> Signal:
    """An overdriven amplifier into a horn, from a vehicle that may pass by."""
    count = len(pitch_hz)
    speed = rng.uniform(0.0, 0.06) * (rng.random() < 0.5)
    passing = np.tanh((np.linspace(0.0, 1.0, count) - rng.uniform()) / rng.uniform(0.05, 0.5))
    levels = 1.0 / np.arange(1, 13) ** log_uniform(rng, 0.6, 2.2)
    levels[1::2] *= rng.uniform(0.1, 1.0)
    levels *= rng.uniform(0.5, 1.0, 12)
    tone = harmonics(pitch_hz * (1.0 - speed * passing), levels, count, rng)
    tone = shape(tone, resonance(rng, rng.uniform(350.0, 600.0), rng.uniform(2500.0, 6500.0), 10.0))
    swell = 10.0 ** (rng.uniform(-6.0, 6.0) * np.linspace(-0.5, 0.5, count) / 20.0)
    return tone * swell * (1.0 + rng.uniform(0.0, 0.2) * np.clip(slow(rng, count, rng.uniform(2.0, 8.0)), -2.0, 2.0))


def _sweep(rng: Rng, count: int, period_s: float, low_hz: float, high_hz: float) -> Signal:
    """Up and down between two limits, on curves from straight to like a charging capacitor."""
    turn, top, bend = _turn(rng, count, period_s), rng.uniform(0.25, 0.7), rng.uniform(0.01, 3.0)
    up = np.where(turn < top, turn / top, (1.0 - turn) / (1.0 - top))
    return low_hz * (high_hz / low_hz) ** ((1.0 - np.exp(-bend * up)) / (1.0 - np.exp(-bend)))


def wail(rng: Rng, count: int) -> Signal:
    """Render a siren's wail: 9 to 30 sweeps a minute over about 500-1500 Hz."""
    sweep = _sweep(rng, count, rng.uniform(2.0, 6.5), rng.uniform(450.0, 750.0), rng.uniform(1150.0, 1700.0))
    return _siren(rng, sweep)


def yelp(rng: Rng, count: int) -> Signal:
    """Render a siren's yelp: 133 to 273 sweeps a minute over about 500-1500 Hz."""
    sweep = _sweep(rng, count, rng.uniform(0.22, 0.45), rng.uniform(450.0, 850.0), rng.uniform(1200.0, 1800.0))
    return _siren(rng, sweep)


# Hz: Germany (DIN 14610), three services of France, Italy, Japan, electronic hi-lo.
_PAIRS = ((435.0, 580.0), (435.0, 488.0), (435.0, 732.0), (392.0, 660.0), (770.0, 960.0), (500.0, 670.0))


def hi_lo(rng: Rng, count: int) -> Signal:
    """Render a two-tone siren: 0.3 to 1 s a tone, the tones with or without a dip between them."""
    low, high = np.array(_PAIRS[rng.integers(len(_PAIRS))]) * _detuned(rng)
    turn = _turn(rng, count, 2.0 * rng.uniform(0.3, 1.0))
    share = np.clip((0.25 - np.abs(turn - 0.5)) / log_uniform(rng, 0.005, 0.04), -1.0, 1.0)
    tone = _siren(rng, low + (high - low) * (0.5 + 0.5 * share))
    return tone * (1.0 - rng.uniform(0.0, 0.9) * (1.0 - np.abs(share)))


RENDERERS: dict[str, Callable[[Rng, int], Signal]] = {
    renderer.__name__: renderer
    for renderer in (smoke_t3, smoke_520, co_t4, slow_whoop, din_sweep, nf_two_tone, wail, yelp, hi_lo)
}


def render(name: str, rng: Rng, seconds: float) -> Samples:
    """Return one of `RENDERERS` at a peak of 0.9, in half of the draws in a room: float32 [seconds × 16 000].

    Raises KeyError for an unknown name.
    """
    sound = RENDERERS[name](rng, samples(seconds))
    if rng.random() < 0.5:
        sound = scipy.signal.oaconvolve(sound, room_response(rng))[: len(sound)]
    return (sound * (0.9 / np.abs(sound).max())).astype(np.float32)
