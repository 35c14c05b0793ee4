"""Streams of one recording each, at a random level over random noise: the validation set of every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.sounds import SoundClip
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.random_streams import Purpose, random_stream
from training.render.single_sound import place

CHUNKS = 24
_LONGEST_S = 6.0
AFTER_S = 1.2  # an answer this long after the end still belongs to the sound


@dataclass(frozen=True)
class OneClip:
    """A `OneClip` is float32 [CHUNKS × 6400], with the samples between which an answer belongs to the sound."""

    sound: SoundClip
    samples: Samples
    snr_db: float
    onset: int
    deadline: int

    @property
    def answer_chunks(self) -> range:
        """Return the chunks after which an answer belongs to the sound."""
        return range(self.onset // CHUNK_SAMPLES, min(self.deadline // CHUNK_SAMPLES + 1, CHUNKS))


def one_clip_stream(sound: SoundClip, number: int, seed: int, snr_db: float | None = None) -> OneClip:
    """Put one sound into a stream: level −36 … −14 dBFS, noise 5 … 25 dB below, starting after 0.8 … 2.4 s.

    It is fixed by `seed` and `number`; a given `snr_db` changes the level of the noise and nothing else.
    """
    rng = random_stream(Purpose.ONE_CLIP_STREAM, seed, number)
    piece, frames = sound.excerpt(sound.onset, _LONGEST_S)
    level_dbfs, drawn_db = rng.uniform(-36.0, -14.0), rng.uniform(5.0, 25.0)
    snr_db = drawn_db if snr_db is None else snr_db
    samples = noise_bed(CHUNKS * CHUNK_SAMPLES, level_dbfs - snr_db, rng)
    onset = int(rng.uniform(0.8, 2.4) * SAMPLE_RATE_HZ)
    piece = scale(piece, frames, level_dbfs)
    samples[onset : onset + len(piece)] += piece
    event = place(piece, frames, sound, onset)
    deadline = min(event.end + int(AFTER_S * SAMPLE_RATE_HZ), len(samples) - 1)
    return OneClip(sound, np.clip(samples, -1, 1), snr_db, onset, deadline)
