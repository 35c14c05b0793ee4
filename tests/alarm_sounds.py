"""Alarms by their standards' timings, plain and seedless, for the tests of what must hear them."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def tone(pitch_hz: np.ndarray | float, seconds: float, square: bool = False) -> np.ndarray:
    """A sine, or a square wave of it without what would alias, at a peak of about 1."""
    pitch_hz = np.broadcast_to(pitch_hz, len(_time(seconds)))
    angle = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    orders = [order for order in (1, 3, 5, 7) if square and order * pitch_hz.max() < 7_500] or [1]
    return sum(np.sin(order * angle) / order for order in orders)


def _gate(seconds: float, steps: list[tuple[float, float]]) -> np.ndarray:
    """(on, off) seconds, over and over."""
    edges = np.cumsum([0.0, *(length for step in steps for length in step)])
    return np.searchsorted(edges, _time(seconds) % edges[-1], side='right') % 2


def temporal_three(seconds: float, hz: float = 3_100.0, stretch: float = 1.0) -> np.ndarray:
    on, pause = 0.5 * stretch, 1.5 * stretch
    return tone(hz, seconds, square=hz < 1_000) * _gate(seconds, [(on, on), (on, on), (on, pause)])


def temporal_four(seconds: float, hz: float = 3_200.0) -> np.ndarray:
    return tone(hz, seconds) * _gate(seconds, [(0.1, 0.1), (0.1, 0.1), (0.1, 0.1), (0.1, 5.0)])


def slow_whoop(seconds: float) -> np.ndarray:
    turn = _time(seconds) % 4.0
    return tone(500 + 700 * np.minimum(turn / 3.5, 1), seconds, square=True) * (turn < 3.5)


def din_sweep(seconds: float) -> np.ndarray:
    return tone(1_200 - 700 * (_time(seconds) % 1.0), seconds, square=True)


def nf_two_tone(seconds: float) -> np.ndarray:
    return tone(np.where(_time(seconds) % 0.5 < 0.1, 554.0, 440.0), seconds, square=True)


def sweeping(seconds: float, period_s: float, low_hz: float = 600.0, high_hz: float = 1_400.0) -> np.ndarray:
    """A siren that goes up and down evenly in octaves: a wail or a yelp by its period."""
    up = 1 - np.abs(2 * (_time(seconds) / period_s % 1) - 1)
    return tone(low_hz * (high_hz / low_hz) ** up, seconds, square=True)


def hi_lo(seconds: float, low_hz: float = 435.0, high_hz: float = 580.0, tone_s: float = 0.7) -> np.ndarray:
    high = _time(seconds) // tone_s % 2 == 0
    return tone(np.where(high, high_hz, low_hz), seconds, square=True)


ALARMS = {
    'temporal_three': temporal_three,
    'temporal_four': temporal_four,
    'slow_whoop': slow_whoop,
    'din_sweep': din_sweep,
    'nf_two_tone': nf_two_tone,
    'wail': lambda seconds: sweeping(seconds, 4.3),
    'yelp': lambda seconds: sweeping(seconds, 0.3),
    'hi_lo': hi_lo,
}


def in_noise(alarm: np.ndarray, snr_db: float, seed: int = 0, level: float = 0.1) -> Samples:
    """With white noise; the ratio is that of the alarm's peak level as a sine to the noise."""
    noise = np.random.default_rng(seed).standard_normal(len(alarm)) * np.sqrt(0.5) * 10 ** (-snr_db / 20)
    mixed = alarm + noise
    return (mixed * level / np.abs(mixed).max()).astype(np.float32)
