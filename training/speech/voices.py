"""This module lists the espeak-ng voices of training and validation, and says what any voice gives back."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, from_integers
from training.errors import CorpusError

Word = tuple[str, float, float]  # with its start and end in seconds


Phone = tuple[str, float, float]


class SpeechError(CorpusError):
    """A `SpeechError` says that text-to-speech is missing or failed.

    The message is one sentence that names the cure.
    """


@dataclass(frozen=True)
class Said:
    """`Said` is speech, float32 [n] at 16 kHz, with its times.

    `words` are those between spaces and `phones` the phonemes, each with start and end in seconds, if the engine tells.
    """

    samples: Samples
    words: tuple[Word, ...] | None = None
    phones: tuple[Phone, ...] = ()


@dataclass(frozen=True)
class Voice:
    """A `Voice` is one of espeak-ng's.

    ``name`` is language+variant ('en-us+f3'), ``rate_wpm`` 80-450, ``pitch`` 0-99.
    """

    name: str
    rate_wpm: int
    pitch: int

    @property
    def language(self) -> str:
        """Return the language part of the name up to its first hyphen, such as 'en' or 'cmn'."""
        return self.name.partition('+')[0].partition('-')[0]


def _voices(languages: Sequence[str], variants: Sequence[str]) -> tuple[Voice, ...]:
    """Return every language with every variant; rate and pitch step through their ranges so neighbours differ."""
    voices = []
    for row, language in enumerate(languages):
        for column, variant in enumerate(variants):
            turn = row * len(variants) + column
            voices.append(Voice(f'{language}+{variant}', 125 + (turn * 37) % 90, 22 + (turn * 29) % 56))
    return tuple(voices)


# espeak-ng ignores a variant after some names ("en-gb+f1", "fr-fr+f1"), so the names that honour it are used.
_LANGUAGES = ('en-us', 'en', 'en-gb-scotland', 'en-gb-x-rp', 'de', 'fr', 'es', 'es-419', 'cmn')


TRAIN_VOICES: tuple[Voice, ...] = _voices(
    _LANGUAGES, ('m1', 'm2', 'm3', 'm4', 'm6', 'm8', 'f1', 'f2', 'f4', 'croak', 'klatt2', 'Annie')
)


VALIDATION_VOICES: tuple[Voice, ...] = _voices(_LANGUAGES, ('m5', 'm7', 'f3', 'f5', 'klatt4'))


def one_line(text: str) -> str:
    """Return `text` without control characters and line ends.

    Engines take those as commands or as separate texts. Raises SpeechError if nothing is left.
    """
    line = ''.join(
        ' ' if unicodedata.category(character) in ('Cc', 'Cs', 'Cn', 'Co') else character for character in text
    )
    line = ' '.join(line.split())
    if not line:
        raise SpeechError(f'There is nothing to say in {text[:40]!r}; leave it out.')
    return line


def from_pcm(pcm: bytes, rate_hz: int) -> Samples:
    """Return 16-bit little-endian mono sound as float32 [n] at 16 kHz; an odd last byte is dropped."""
    speech = from_integers(np.frombuffer(pcm[: len(pcm) & ~1], '<i2'))
    return np.clip(soxr.resample(speech, rate_hz, SAMPLE_RATE_HZ), -1.0, 1.0).astype(np.float32)
