"""Algorithm 4 (paper B.4): parts in a row, quieter layers beneath them, two noise tracks, one waveform.

The composer knows samples and positions only. What a part means, and what should be said about it, travels with it
untouched as its `tag`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples

FADE_SAMPLES = 320  # ω = 20 ms (paper B.1, Table 11)
_FAR_LEVEL_DB = -4.0  # off-axis loss (ProVoice-Bench §2.2.4)
_FAR_SHELF_HZ, _FAR_SHELF_DB = 4_000.0, -3.0
_FAR_WET = 0.3


class Role(str, enum.Enum):
    """What a part is to the scene, loudest first (paper B.1)."""

    FOREGROUND = 'foreground'
    BACKGROUND = 'background'
    AMBIENT = 'ambient'


ROLE_GAIN_DB = {Role.FOREGROUND: 0.0, Role.BACKGROUND: -6.0, Role.AMBIENT: -12.0}  # Table 11


class Mixing(BaseModel):
    """How a stream is mixed; the defaults are the paper's (Table 11) and ProVoice-Bench's (§2.2)."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    snr_db: tuple[float, float] = Field(default=(5.0, 20.0), description='foreground to event-like noise, uniform')
    ambient_quieter_db: float = Field(default=5.0, ge=0, description='the ambient noise track lies this much lower')
    part_rms_dbfs: float = Field(
        default=-20.0, le=0, description='every part is brought to this level, then to its role'
    )
    part_spread_db: float = Field(default=4.0, ge=0, description='parts differ by up to this much either way')
    stream_rms_dbfs: tuple[float, float] = Field(
        default=(-36.0, -14.0), description='foreground level of a stream, uniform'
    )
    room_share: float = Field(default=0.3, ge=0, le=1, description='share of streams heard in a room')


class MixingError(ValueError):
    """Parts that cannot become a stream."""


@dataclass(frozen=True)
class Part:
    """One thing to hear. `samples` float32 [n] at 16 kHz, not silent.

    `gap_s` is the pause before a foreground part, negative to overlap the one before. Layers ignore it.
    """

    samples: Samples
    role: Role = Role.FOREGROUND
    gap_s: float = 0.0
    far: bool = False
    tag: object = None


@dataclass(frozen=True)
class Placed:
    """A part's place: samples `onset` … `end` of the stream."""

    onset: int
    end: int
    role: Role
    tag: object


@dataclass(frozen=True)
class Mix:
    """float32 [chunks × 6400], |x| < 1; what is where; and the two signal-to-noise ratios that were drawn (dB)."""

    samples: Samples
    placed: tuple[Placed, ...]
    event_snr_db: float
    ambient_snr_db: float


def mean_power(samples: Samples, mask: np.ndarray | None = None) -> float:
    """Mean square of float32 [n], of the samples where `mask` is true if one is given."""
    chosen = samples if mask is None else samples[mask]
    return float(np.square(chosen, dtype=np.float64).mean()) if len(chosen) else 0.0


def to_rms(samples: Samples, level_dbfs: float) -> Samples:
    """Scale to a root mean square. Raises MixingError for silence."""
    power = mean_power(samples)
    if power < 1e-12:
        raise MixingError('a part is silent: leave it out, or find out why its file holds nothing')
    return samples * np.float32(10 ** (level_dbfs / 20) / np.sqrt(power))


def fade(samples: Samples) -> Samples:
    """Half a Hann window of ω at both ends, in place of clicks. A part shorter than 2 ω fades over half of itself."""
    length = min(FADE_SAMPLES, len(samples) // 2)
    ramp = np.hanning(2 * length + 1)[:length].astype(np.float32)
    faded = samples.copy()
    faded[:length] *= ramp
    faded[len(faded) - length :] *= ramp[::-1]
    return faded


def tile(noise: Samples, length: int, start: int) -> Samples:
    """`noise` from sample `start`, repeated to `length`; the seams cross-fade over ω at constant power."""
    overlap = min(FADE_SAMPLES, len(noise) // 4)
    if len(noise) < 64:
        raise MixingError(f'a noise track of {len(noise)} samples cannot be tiled; give at least 4 ms')
    ramp = np.sin(np.linspace(0, np.pi / 2, overlap, dtype=np.float32))
    # A loop without a seam: its last ω samples are already the beginning fading in.
    loop = noise[: len(noise) - overlap].copy()
    loop[:overlap] = loop[:overlap] * ramp + noise[len(noise) - overlap :] * ramp[::-1]
    begin = start % len(loop)
    rounds = -(-(begin + length) // len(loop))
    return np.tile(loop, rounds)[begin : begin + length]


def room(rng: np.random.Generator, longest_rt60_s: float = 0.8) -> Samples:
    """A decaying-noise room impulse response of unit energy, without its direct sound. float32 [n]."""
    rt60_s = rng.uniform(0.15, longest_rt60_s)
    length = int(rt60_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(length) * 10 ** (-3.0 * np.arange(length) / length)
    return to_unit_energy(tail)


def to_unit_energy(response: np.ndarray) -> Samples:
    """An impulse response that is as loud, reverberated, as what is reverberated. float32 [n]."""
    return (response / np.sqrt(np.square(response).sum())).astype(np.float32)


def reverberate(samples: Samples, response: Samples, wet: float) -> Samples:
    """(1 − wet) direct + wet reverberant, the length kept: what rings on after the end is not labelled."""
    rung = scipy.signal.oaconvolve(samples, response)[: len(samples)]
    return ((1.0 - wet) * samples + wet * rung).astype(np.float32)


def far_field(samples: Samples, response: Samples) -> Samples:
    """Somebody across the room: treble shelf, off-axis loss, reverberation (ProVoice-Bench §2.2.4)."""
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


def turn_gap_s(rng: np.random.Generator, waiting: bool = False) -> float:
    """A pause between turns, a clipped Gaussian; `waiting` for the long ones before a sound (ProVoice §2.2.5)."""
    mean, deviation, shortest, longest = (10.0, 1.66, 2.5, 20.0) if waiting else (0.75, 0.35, -1.5, 2.5)
    return float(np.clip(rng.normal(mean, deviation), shortest, longest))


def mix(
    parts: Sequence[Part],
    event_noise: Samples,
    ambient_noise: Samples,
    chunks: int,
    settings: Mixing,
    rng: np.random.Generator,
    response: Samples | None = None,
) -> Mix:
    """Algorithm 4. Foreground parts in order, layers at random offsets, noise throughout.

    A foreground part that no longer fits whole is left out, with all that follow, so that no label speaks of a sound
    that was cut. The signal-to-noise ratio is that of the foreground, over the samples where it sounds, to a noise
    track over the whole stream. `response` is the room's, without its direct sound, where one was measured; else one
    is made. Raises MixingError when no foreground part fits or one is silent.
    """
    length = chunks * CHUNK_SAMPLES
    main = np.zeros(length, np.float32)
    sounding = np.zeros(length, bool)
    response = room(rng) if response is None else response  # one room for the whole stream
    wet = rng.uniform(0.1, 0.4) if rng.random() < settings.room_share else 0.0
    placed: list[Placed] = []
    position = 0
    for part in parts:
        if part.role is not Role.FOREGROUND:
            continue
        onset = max(0, position + round(part.gap_s * SAMPLE_RATE_HZ))
        end = onset + len(part.samples)
        if end > length:
            break
        samples = to_rms(part.samples, settings.part_rms_dbfs + rng.uniform(-1, 1) * settings.part_spread_db)
        if part.far:
            samples = far_field(samples, response)
        elif wet:
            samples = reverberate(samples, response, wet)
        main[onset:end] += fade(samples)
        sounding[onset:end] = True
        placed.append(Placed(onset, end, part.role, part.tag))
        position = max(position, end)
    if not placed:
        raise MixingError(f'no foreground part fits into {chunks} chunks; give shorter parts or longer streams')
    signal_power = mean_power(main, sounding)
    for part in parts:
        if part.role is not Role.FOREGROUND:
            placed.append(_lay(main, part, settings.part_rms_dbfs, rng))
    snr_db = rng.uniform(*settings.snr_db)
    ambient_snr_db = rng.uniform(*settings.snr_db) + settings.ambient_quieter_db
    for noise, ratio_db in ((event_noise, snr_db), (ambient_noise, ambient_snr_db)):
        track = tile(noise, length, int(rng.integers(len(noise))))
        main += to_rms(track, 10 * np.log10(signal_power) - ratio_db)
    gain = 10 ** (rng.uniform(*settings.stream_rms_dbfs) / 20) / np.sqrt(signal_power)
    # Turning everything down keeps the ratios; clipping would not.
    gain = min(gain, 0.98 / float(np.abs(main).max()))
    placed.sort(key=lambda place: (place.onset, place.end))
    return Mix(main * np.float32(gain), tuple(placed), snr_db, ambient_snr_db)


def _lay(main: Samples, part: Part, rms_dbfs: float, rng: np.random.Generator) -> Placed:
    """Mix a layer in, in place: ambient from end to end, background once, at a random offset."""
    length = len(main)
    if part.role is Role.AMBIENT:
        samples = tile(part.samples, length, int(rng.integers(len(part.samples))))
        onset = 0
    else:
        samples = fade(part.samples[:length])
        onset = int(rng.integers(length - len(samples) + 1))
    main[onset : onset + len(samples)] += to_rms(samples, rms_dbfs + ROLE_GAIN_DB[part.role])
    return Placed(onset, onset + len(samples), part.role, part.tag)
