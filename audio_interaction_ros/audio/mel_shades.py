"""Sound as the shades of a log-mel picture, column by column, for pages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.logmel import HISTORY_SAMPLES, HOP_SAMPLES, CausalLogMel

_DARKEST, _BRIGHTEST = -1.0, 1.5  # of the normalised log-mel: −80 … +20 dB


class MelShades:
    """A `MelShades` shades sound at 16 kHz piece by piece, in order, as −80 … +20 dB in columns of so many samples."""

    def __init__(self, mel_bins: int, column_samples: int) -> None:
        self._logmel = CausalLogMel(mel_bins)
        self._mel_bins, self._frames = mel_bins, column_samples // HOP_SAMPLES
        self._history = torch.zeros(HISTORY_SAMPLES)

    def push(self, samples: Samples) -> npt.NDArray[np.uint8]:
        """Return whole columns, float32 [n × column_samples], as uint8 [mel_bins, n], each the brightest of it."""
        with torch.no_grad():
            sound = torch.from_numpy(np.ascontiguousarray(samples))
            mel = self._logmel(sound, self._history).numpy()
            self._history = torch.cat([self._history, sound])[-HISTORY_SAMPLES:]
        brightest = mel.reshape(self._mel_bins, -1, self._frames).max(-1)
        shade = (brightest - _DARKEST) / (_BRIGHTEST - _DARKEST)
        return (255 * shade.clip(0.0, 1.0)).astype(np.uint8)
