"""Algorithm 4 (paper B.4): parts in a row, quieter layers beneath them, two noise tracks, one waveform.

The composer knows samples and positions only. What a part means, and what should be said about it, travels with it
untouched as its `tag`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.dsp.fades import fade, tile
from training.dsp.levels import mean_power, to_rms
from training.dsp.rooms import far_field, reverberate, room
from training.errors import MixingError
from training.streams import Role

ROLE_GAIN_DB = {Role.FOREGROUND: 0.0, Role.BACKGROUND: -6.0, Role.AMBIENT: -12.0}  # Table 11


class Mixing(BaseModel):
    """`Mixing` says how a stream is mixed; the defaults are the paper's (Table 11) and ProVoice-Bench's (§2.2)."""

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


@dataclass(frozen=True)
class Part:
    """A `Part` is one thing to hear: `samples` float32 [n] at 16 kHz, not silent.

    `gap_s` is the pause before a foreground part, negative to overlap the one before. Layers ignore it.
    """

    samples: Samples
    role: Role = Role.FOREGROUND
    gap_s: float = 0.0
    far: bool = False
    tag: object = None


@dataclass(frozen=True)
class Placed:
    """A `Placed` part lies in samples `onset` … `end` of the stream."""

    onset: int
    end: int
    role: Role
    tag: object


@dataclass(frozen=True)
class Mix:
    """A `Mix` is a mixed stream, float32 [chunks × 6400], |x| < 1.

    `placed` says what lies where; the two signal-to-noise ratios are those that were drawn (dB).
    """

    samples: Samples
    placed: tuple[Placed, ...]
    event_snr_db: float
    ambient_snr_db: float


def mix(
    parts: Sequence[Part],
    event_noise: Samples,
    ambient_noise: Samples,
    chunks: int,
    settings: Mixing,
    rng: np.random.Generator,
    response: Samples | None = None,
) -> Mix:
    """Mix a stream by Algorithm 4: foreground parts in order, layers at random offsets, noise throughout.

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
