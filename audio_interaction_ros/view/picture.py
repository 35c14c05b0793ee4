"""What a page shows and plays of sound: the extremes of the wave, the log-mel that a model sees, and an MP3."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.mel_shades import MelShades

MEL_BINS = 80
COLUMN_S = 0.02
_COLUMN = round(COLUMN_S * SAMPLE_RATE_HZ)
MOST_COLUMNS = 16_000  # a browser draws no wider picture
_PIECE = 60 * SAMPLE_RATE_HZ


class SoundPicture:
    """A `SoundPicture` takes sound at 16 kHz piece by piece, in order, and keeps what can be seen and heard of it."""

    def __init__(self, with_sound: bool = True) -> None:
        self._shades = MelShades(MEL_BINS, _COLUMN)
        self._rest = np.zeros(0, np.float32)  # less than a column
        self._extremes: list[npt.NDArray[np.float32]] = []
        self._mels: list[npt.NDArray[np.uint8]] = []
        self._taken = 0
        self._bytes = io.BytesIO()
        self._sound = soundfile.SoundFile(self._bytes, 'w', SAMPLE_RATE_HZ, 1, format='MP3') if with_sound else None

    @property
    def duration_s(self) -> float:
        """Return how much sound there is so far, in seconds."""
        return self._taken / SAMPLE_RATE_HZ

    def quiet_until(self, moment_s: float) -> None:
        """Take zeros until so many seconds from the beginning: sound that is missing keeps its place."""
        missing = round(moment_s * SAMPLE_RATE_HZ) - self._taken
        for first in range(0, missing, _PIECE):
            self.add(np.zeros(min(_PIECE, missing - first), np.float32))

    def add(self, samples: Samples) -> None:
        """Take the samples that follow, float32 [n]."""
        self._taken += len(samples)
        if self._sound is not None:
            self._sound.write(np.clip(samples, -1.0, 1.0))
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // _COLUMN * _COLUMN
        self._rest = samples[whole:]
        if whole:
            self._columns(samples[:whole])

    def _columns(self, samples: Samples) -> None:
        by_column = samples.reshape(-1, _COLUMN)
        self._extremes.append(np.stack([by_column.min(1), by_column.max(1)]))
        self._mels.append(self._shades.push(samples))

    def extremes(self) -> npt.NDArray[np.float32]:
        """Return the lowest and the highest sample of each column, float32 [2, columns]."""
        every = np.concatenate([np.zeros((2, 0), np.float32), *self._extremes], axis=1)
        lowest, highest = _fewer(-every[0]), _fewer(every[1])
        return np.stack([-lowest, highest])

    def mel(self) -> npt.NDArray[np.uint8]:
        """Return the log-mel, uint8 [80, columns], from −80 to +20 dB."""
        return _fewer(np.concatenate([np.zeros((MEL_BINS, 0), np.uint8), *self._mels], axis=1))

    def mp3(self) -> bytes | None:
        """Return the sound, once all of it was taken; None where it is not kept."""
        if self._sound is None:
            return None
        self._sound.close()
        return self._bytes.getvalue()


def _fewer(columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """At most MOST_COLUMNS, each the greatest of some."""
    each = -(-columns.shape[-1] // MOST_COLUMNS)
    if each <= 1:
        return columns
    return np.maximum.reduceat(columns, np.arange(0, columns.shape[-1], each), axis=-1)
