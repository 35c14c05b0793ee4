"""A loudspeaker and a microphone in a room: what is played is heard again, and others are heard with it."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import scipy.signal
import soundfile
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.levels import level_dbfs
from training.dsp.rooms import room_response

RESPONSES = (
    'I hear a smoke alarm in the kitchen, please have a look.',
    'The kettle is boiling.',
    'Somebody rang the door bell just now.',
    'A dog barks in the garden, and a car drives by.',
    'Good morning, I hope that you slept well.',
    'Glass was broken in the next room.',
    'The baby is crying, shall I call somebody?',
    'It begins to rain, the window is open.',
    'Your meeting begins in ten minutes.',
    'Bless you!',
)


def speech(text: str, voice: str = 'en-us') -> Samples:
    """Float32 [n] at 16 kHz, by espeak-ng."""
    wav = subprocess.run(['espeak-ng', '--stdout', '-v', voice, text], stdout=subprocess.PIPE, check=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype='float32')
    return soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)


def at_level(samples: Samples, dbfs: float) -> Samples:
    return (samples * 10 ** ((dbfs - level_dbfs(samples)) / 20)).astype(np.float32)


class Room:
    """One with a response of its own, from which an echo comes back weaker by the echo return loss."""

    def __init__(self, seed: int, loss_db: float = 10.0, latency_s: float = 0.02, noise_dbfs: float = -65.0) -> None:
        self._rng = np.random.default_rng(seed)
        response = room_response(self._rng)
        response = response / np.sqrt(np.square(response).sum()) * 10 ** (-loss_db / 20)
        self.response = np.concatenate([np.zeros(int(latency_s * SAMPLE_RATE_HZ)), response])
        self._noise_dbfs = noise_dbfs

    def noise(self, length: int) -> Samples:
        """That of the microphone, float32 [length]."""
        return (self._rng.standard_normal(length) * 10 ** (self._noise_dbfs / 20)).astype(np.float32)

    def heard(self, played: Samples, others: Samples | None = None) -> Samples:
        """What the microphone hears while this is played, and, of the others, float32 [n] each."""
        echo = scipy.signal.oaconvolve(played, self.response)[: len(played)]
        return (echo + self.noise(len(played)) + (0.0 if others is None else others)).astype(np.float32)


def put(sounds: list[tuple[float, Samples]], seconds: float) -> Samples:
    """Each sound from its second on, in silence of this length."""
    whole = np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)
    for at_s, sound in sounds:
        first = int(at_s * SAMPLE_RATE_HZ)
        whole[first : first + len(sound)] += sound[: len(whole) - first]
    return whole
