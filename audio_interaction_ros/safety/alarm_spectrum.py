"""What the alarm detectors look at: sound as frames of power over frequency, and how far tones stand out of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples

Frames = npt.NDArray[np.float32]

HOP_SAMPLES = 256  # 16 ms
FRAMES_PER_S = SAMPLE_RATE_HZ / HOP_SAMPLES
FRAMES_PER_CHUNK = CHUNK_SAMPLES // HOP_SAMPLES
_WINDOW_SAMPLES = 512  # 32 ms: short enough for pulses of 0.1 s, long enough to lift a tone 22 dB out of white noise
_FFT_SAMPLES = 1_024  # padded with zeros, so that a tone between two bins loses nothing
BIN_HZ = SAMPLE_RATE_HZ / _FFT_SAMPLES
_FLOOR = 1e-12

# Pitches of sirens and sounders on a logarithmic axis.
PITCHES_PER_OCTAVE = 24
LOWEST_PITCH_HZ = 350.0
PITCHES = 63  # up to 2100 Hz
_MARGIN = PITCHES_PER_OCTAVE  # an octave on either side tells what surrounds a pitch
_HARMONICS = ((0, 1.0), (24, 0.5), (38, 0.3))  # pitches up from the fundamental, and what the harmonic counts
_CEILING_DB = 20.0


def pitch_hz(pitch: float) -> float:
    """Return the frequency in Hz of a position on the pitch axis."""
    return float(LOWEST_PITCH_HZ * 2.0 ** (pitch / PITCHES_PER_OCTAVE))


class Spectrogram:
    """A `Spectrogram` turns chunks into levels over frequency; it carries half a window from chunk to chunk."""

    def __init__(self) -> None:
        self._window = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
        self._carry = np.zeros(_WINDOW_SAMPLES - HOP_SAMPLES, np.float32)

    def push(self, chunk: Samples) -> Frames:
        """Return the levels of a chunk, float32 [6400], in dB, float32 [25, 513]."""
        joined = np.concatenate([self._carry, chunk])
        self._carry = joined[len(chunk) :]
        pieces = np.lib.stride_tricks.sliding_window_view(joined, _WINDOW_SAMPLES)[::HOP_SAMPLES]
        spectrum = np.fft.rfft(pieces * self._window, _FFT_SAMPLES)
        power = spectrum.real**2 + spectrum.imag**2
        return (10.0 * np.log10(power + _FLOOR)).astype(np.float32)


class PitchSalience:
    """A `PitchSalience` tells how far each pitch, with its harmonics, stands out of the octaves around it."""

    def __init__(self) -> None:
        count = PITCHES + 2 * _MARGIN + _HARMONICS[-1][0]
        position = pitch_hz(0.0) * 2.0 ** ((np.arange(count) - _MARGIN) / PITCHES_PER_OCTAVE) / BIN_HZ
        position = np.minimum(
            position, _FFT_SAMPLES // 2 - 1
        )  # the last octave around the highest harmonic is not there
        self._below = position.astype(np.int64)
        self._share = (position - self._below).astype(np.float32)

    def of(self, levels_db: Frames) -> Frames:
        """Return the salience, float32 [n, 63] in dB, of levels, float32 [n, 513]."""
        level = levels_db[:, self._below] * (1.0 - self._share) + levels_db[:, self._below + 1] * self._share
        width = 2 * _MARGIN + 1
        total = np.cumsum(np.pad(level, ((0, 0), (1, 0))), axis=1)
        surrounding = (total[:, width:] - total[:, :-width]) / width
        excess = np.clip(level[:, _MARGIN:-_MARGIN] - surrounding, 0.0, _CEILING_DB)
        return np.sum([weight * excess[:, shift : shift + PITCHES] for shift, weight in _HARMONICS], axis=0)
