"""Room impulse responses, made and applied, and speech from across the room."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples

_FAR_LEVEL_DB = -4.0  # off-axis loss (ProVoice-Bench §2.2.4)
_FAR_SHELF_HZ, _FAR_SHELF_DB = 4_000.0, -3.0
_FAR_WET = 0.3


def room(rng: np.random.Generator, longest_rt60_s: float = 0.8) -> Samples:
    """Draw a room impulse response of decaying noise, without its direct sound: float32 [n] of unit energy."""
    rt60_s = rng.uniform(0.15, longest_rt60_s)
    length = int(rt60_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(length) * 10 ** (-3.0 * np.arange(length) / length)
    return to_unit_energy(tail)


def to_unit_energy(response: np.ndarray) -> Samples:
    """Scale an impulse response so that what is reverberated keeps its level: float32 [n] → float32 [n]."""
    return (response / np.sqrt(np.square(response).sum())).astype(np.float32)


def reverberate(samples: Samples, response: Samples, wet: float) -> Samples:
    """Mix (1 − wet) direct with wet reverberant sound, float32 [n] → float32 [n].

    The length is kept: what rings on after the end is not labelled.
    """
    rung = scipy.signal.oaconvolve(samples, response)[: len(samples)]
    return ((1.0 - wet) * samples + wet * rung).astype(np.float32)


def far_field(samples: Samples, response: Samples) -> Samples:
    """Move a speaker across the room: treble shelf, off-axis loss, reverberation (ProVoice-Bench §2.2.4).

    float32 [n] at 16 kHz → float32 [n].
    """
    shelved = scipy.signal.lfilter(*_high_shelf(), samples).astype(np.float32)
    return reverberate(shelved * np.float32(10 ** (_FAR_LEVEL_DB / 20)), response, _FAR_WET)


def _high_shelf() -> tuple[np.ndarray, np.ndarray]:
    """The shelving biquad of the Audio EQ Cookbook (R. Bristow-Johnson), slope 1."""
    gain = 10 ** (_FAR_SHELF_DB / 40)
    angle = 2 * np.pi * _FAR_SHELF_HZ / SAMPLE_RATE_HZ
    cosine, alpha = np.cos(angle), np.sin(angle) / np.sqrt(2)
    root = 2 * np.sqrt(gain) * alpha
    b = gain * np.array(
        [
            gain + 1 + (gain - 1) * cosine + root,
            -2 * (gain - 1 + (gain + 1) * cosine),
            gain + 1 + (gain - 1) * cosine - root,
        ]
    )
    a = np.array(
        [
            gain + 1 - (gain - 1) * cosine + root,
            2 * (gain - 1 - (gain + 1) * cosine),
            gain + 1 - (gain - 1) * cosine - root,
        ]
    )
    return b / a[0], a / a[0]


def room_response(rng: np.random.Generator) -> Samples:
    """Draw a small room: direct sound, then exponentially decaying coloured noise, RT60 0.1–0.9 s. float32 [n]."""
    rt60_s = rng.uniform(0.1, 0.9)
    length = int(rt60_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(length) * 10 ** (-3.0 * np.arange(length) / length)
    tail = scipy.signal.lfilter([1.0 - (pole := rng.uniform(0.0, 0.7))], [1.0, -pole], tail)
    tail[: int(rng.uniform(0.001, 0.02) * SAMPLE_RATE_HZ)] = 0.0
    direct_to_reverberant_db = rng.uniform(-3.0, 12.0)
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.square(tail).sum() + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)
