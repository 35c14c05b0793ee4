"""The human voice as source and filter: a glottis or a breath, and the vocal tract it sounds through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from training.procedural.synth import SAMPLE_RATE, Rng, Signal, harmonics, log_uniform, noise, samples, slow

# Formants in Hz of an adult man (Peterson and Barney's vowels, rounded); a closed mouth hums.
VOWELS = {
    'a': (730.0, 1090.0, 2440.0, 3400.0, 4500.0),
    'e': (530.0, 1840.0, 2480.0, 3500.0, 4500.0),
    'i': (270.0, 2290.0, 3010.0, 3600.0, 4600.0),
    'o': (570.0, 840.0, 2410.0, 3400.0, 4500.0),
    'u': (300.0, 870.0, 2240.0, 3300.0, 4400.0),
    'neutral': (500.0, 1500.0, 2500.0, 3500.0, 4500.0),
    'hum': (250.0, 1100.0, 2200.0, 3200.0, 4300.0),
}


@dataclass(frozen=True)
class Person:
    """A `Person` is a voice: a speaking pitch in Hz and `size`, a factor on all formants (over 1: a shorter tract)."""

    pitch_hz: float
    size: float


def person(rng: Rng, low_hz: float = 90.0, high_hz: float = 260.0) -> Person:
    """Return a random voice that speaks at `low_hz` to `high_hz`; the higher its pitch, the shorter its vocal tract."""
    pitch = log_uniform(rng, low_hz, high_hz)
    return Person(pitch, float((pitch / 120.0) ** 0.22 * rng.uniform(0.95, 1.05)))


def tract(signal: Signal, formants: Sequence[float], size: float = 1.0, sharpness: float = 8.0) -> Signal:
    """Return a signal filtered by a cascade of formant resonances, at unit root mean square.

    `signal` and the result are float64 [n] at 16 kHz. `formants` are in Hz and scaled by `size`; `sharpness` is the
    quality factor of each.
    """
    length = fft.next_fast_len(signal.size + 1024, real=True)
    hertz = fft.rfftfreq(length, 1.0 / SAMPLE_RATE)
    gain = 1.0 / (1.0 + (30.0 / np.maximum(hertz, 1.0)) ** 4)
    for formant in formants:
        ratio = hertz / (formant * size)
        gain = gain / np.hypot(1.0 - ratio**2, ratio / sharpness)
    # The formants above the fifth hold the level up where a cascade of five would fall away.
    gain = gain * (1.0 + (hertz / 3500.0) ** 2) ** 2.5
    out = fft.irfft(fft.rfft(signal, length) * gain, length)[: signal.size]
    return out / (np.std(out) + 1e-12)


def glottis(rng: Rng, pitch: Signal, tilt: float = 1.3, rough: float = 0.1) -> Signal:
    """Return the voiced excitation of a vocal tract: float64 [n] at 16 kHz, at about unit root mean square.

    `pitch` is in Hz [n]. Harmonics fall as order ** -tilt; `rough` (0 to 1) adds jitter and shimmer.
    """
    count = pitch.size
    jitter = 1.0 + 0.05 * rough * slow(rng, count, 70.0) + 0.006 * slow(rng, count, 6.0)
    order = np.arange(1, max(3, min(40, int(5000.0 / float(np.median(pitch))))))
    out = harmonics(pitch * jitter, 1.0 / order**tilt, count)
    return out * np.maximum(1.0 + 0.6 * rough * slow(rng, count, 50.0), 0.05) / (np.std(out) + 1e-12)


def breath(rng: Rng, count: int, who: Person, vowel: str = 'neutral') -> Signal:
    """Return air through a person's open vocal tract, shaped by a vowel: float64 [count], at unit root mean square."""
    air = noise(rng, count, [(100, -12), (500, 0), (8000, -3)])
    return tract(air, VOWELS[vowel], who.size, 3.0)


def contour(count: int, *hertz: float) -> Signal:
    """Return a pitch in Hz, float64 [count], that glides through the given frequencies at even times on a log scale."""
    return np.exp(np.interp(np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, len(hertz)), np.log(hertz)))


def hump(count: int, rise: float = 0.5, sharp: float = 1.0) -> Signal:
    """Return one swell from 0 to 1 and back: float64 [count].

    It is at its loudest after the share `rise` of its length; `sharp` is the power to which the half sine is raised.
    """
    share = np.linspace(0.0, 1.0, count)
    turn = np.where(share < rise, share / rise, 1.0 + (share - rise) / (1.0 - rise))
    return np.maximum(np.sin(np.pi / 2.0 * turn), 0.0) ** sharp


def cough(rng: Rng, who: Person, strength: float = 1.0) -> Signal:
    """Return one cough: the glottis bursts open, the flow decays, and most often the voice closes it.

    The result is float64 [n] at 16 kHz, 0.24-0.42 s; `strength` is a factor on its level.
    """
    count = samples(rng.uniform(0.24, 0.42))
    time = np.arange(count) / SAMPLE_RATE
    open_up = np.minimum(time / rng.uniform(0.003, 0.01), 1.0)
    flow = open_up * (np.exp(-time / rng.uniform(0.02, 0.035)) + rng.uniform(0.1, 0.3) * np.exp(-time / 0.09))
    air = breath(rng, count, who, 'neutral') + rng.uniform(0.5, 1.0) * noise(rng, count, [(300, -10), (2000, 0)])
    pitch = contour(count, who.pitch_hz * rng.uniform(1.3, 2.2), who.pitch_hz * rng.uniform(0.9, 1.3))
    voice = tract(glottis(rng, pitch, 1.0, 0.8), VOWELS[('neutral', 'a', 'o')[rng.integers(3)]], who.size)
    lag = samples(rng.uniform(0.03, 0.08))
    voiced = np.zeros(count)
    voiced[lag:] = hump(count - lag, 0.2) * rng.uniform(0.0, 0.8)
    return strength * (air * flow + voice * voiced * 0.5)


def scream(rng: Rng, who: Person, length_s: float) -> Signal:
    """Return a scream with an open mouth, its pitch held at 0.8-1.7 kHz: float64 [n] at 16 kHz.

    Its level is modulated at 30-120 Hz, which makes it rough (Arnal et al. 2015).
    """
    count = samples(length_s)
    top = log_uniform(rng, 800.0, 1700.0)
    pitch = contour(count, top * rng.uniform(0.6, 0.9), top, top * rng.uniform(0.9, 1.05), top * rng.uniform(0.6, 0.9))
    voice = tract(glottis(rng, pitch, 0.1, rng.uniform(0.2, 0.6)), VOWELS['a'], who.size, 3.0)
    rate = rng.uniform(40.0, 110.0) * (1.0 + 0.1 * slow(rng, count, 5.0))
    voice *= 1.0 - rng.uniform(0.2, 0.6) * (0.5 + 0.5 * harmonics(rate, [1.0], count, rng))
    return (voice + rng.uniform(0.05, 0.2) * breath(rng, count, who, 'a')) * hump(count, 0.25, 0.5)


def laugh(rng: Rng, who: Person, calls: int) -> Signal:
    """Return a bout of laughter: so many voiced 'ha' calls, four to six a second (Bachorowski 2001).

    Each call is a puff and a vowel, sinking in pitch and level. The result is float64 [n] at 16 kHz.
    """
    period = rng.uniform(0.18, 0.24)
    out = np.zeros(samples(calls * period + 0.2))
    pitch = who.pitch_hz * rng.uniform(1.5, 2.2)
    vowel = ('a', 'e', 'neutral')[rng.integers(3)]
    for turn in range(calls):
        count = samples(period * rng.uniform(0.85, 1.0))
        high = pitch * (1.0 - 0.3 * turn / calls) * rng.uniform(0.92, 1.08)
        puff, size = breath(rng, count, who, vowel) * hump(count, 0.2, 2.0), samples(period * rng.uniform(0.5, 0.65))
        call = 0.35 * puff
        voice = tract(glottis(rng, contour(size, high * 0.9, high * 1.1, high * 0.8), 0.9), VOWELS[vowel], who.size)
        call[count - size :] += voice * hump(size, 0.35)
        first = samples(turn * period)
        out[first : first + count] += call[: out.size - first] * (1.0 - 0.6 * turn / calls) * rng.uniform(0.8, 1.0)
    return out
