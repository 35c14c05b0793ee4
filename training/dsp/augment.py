"""The same recording at another time and place: speed, room, microphone, band limits."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.dsp.rooms import room_response


def equalise(samples: Samples, rng: np.random.Generator) -> Samples:
    """Give a sound another microphone: a smooth random gain over log frequency, ±6 dB at seven knots.

    float32 [n] at 16 kHz → float32 [n].
    """
    knots_hz = [60, 150, 400, 1_000, 2_500, 5_000, 8_000]
    length = scipy.fft.next_fast_len(len(samples), real=True)
    spectrum = scipy.fft.rfft(np.asarray(samples, np.float32), length)
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 60.0)
    gain_db = np.interp(np.log(frequency_hz), np.log(knots_hz), rng.uniform(-6.0, 6.0, len(knots_hz)))
    # In single precision: in double this alone would be a fifth of what it costs to prepare a batch.
    gain = (10 ** (gain_db / 20)).astype(np.float32)
    equalised: Samples = scipy.fft.irfft(spectrum * gain, length)[: len(samples)]
    return equalised


def vary(samples: Samples, rng: np.random.Generator) -> Samples:
    """Give a sound another time, room and microphone: speed ±25 %, and what `elsewhere` does.

    float32 [n] at 16 kHz → float32 of another length.
    """
    return elsewhere(at_speed(samples, rng.uniform(0.8, 1.25)), rng)


def at_speed(samples: Samples, speed: float) -> Samples:
    """Play a sound faster or slower, and higher or lower with it: float32 [n] → float32 [n / speed]."""
    return soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality='MQ').astype(np.float32)


def elsewhere(samples: Samples, rng: np.random.Generator) -> Samples:
    """Give a sound another room and microphone: reverberation, equalisation, band limits.

    float32 [n] at 16 kHz → float32 [n], longer by a tail of 0.3 s at most.
    """
    if rng.random() < 0.35:
        samples = scipy.signal.oaconvolve(samples, room_response(rng))[: len(samples) + 4_800]
    samples = equalise(samples, rng)
    if rng.random() < 0.4:  # telephone, small speaker, Bluetooth: many of the recordings are 8 kHz ones
        cutoff_hz = rng.uniform(3_200, 4_000) if rng.random() < 0.5 else rng.uniform(4_000, 7_000)
        sos = scipy.signal.butter(8, cutoff_hz, fs=SAMPLE_RATE_HZ, output='sos')
        samples = scipy.signal.sosfilt(sos, samples)
    return np.asarray(samples, np.float32)
