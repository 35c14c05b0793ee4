"""Kokoro, a neural text-to-speech of 82 million parameters, through ONNX Runtime, with espeak-ng's pronunciation.

`python -m training parts kokoro-82m` gives model, symbols and five style vectors. A mixture of style vectors is the
style of another speaker, and a vocal tract that is a little longer or shorter makes him another one still: so there are
as many voices as are asked for, drawn by the corpus' seed, and those of the test side are never heard in training.
English only.

The network predicts how long each symbol lasts, so the time of every word is known.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import soxr
from safetensors.numpy import load_file

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.voice.kokoro import PAUSES, PronunciationError, pronounced
from training.random_streams import Purpose, random_stream
from training.speech.tts import one_side
from training.speech.voices import Phone, Said, SpeechError, Word, one_line

_STRESS = 'ˈˌ'
_DURATIONS = '/encoder/Clip_output_0'  # of the published export: frames of 25 ms for each symbol
_FRAME_S = 0.025
_TRACT = (0.88, 1.14)  # of how many times the frequency its formants and its pitch are
_TEMPO = (0.85, 1.2)
_PACKAGES = ('onnx', 'onnxruntime')
_PART = 'python -m training parts kokoro-82m --out parts'


class KokoroTts:
    """A `KokoroTts` engine speaks English in as many voices as it is made with; the seed draws the tempo.

    `corpus_seed` draws the voices themselves, and is in their names: a name is the same speaker wherever it is met. The
    same text, voice and seed give the same samples on one machine.
    """

    stand_in: ClassVar[bool] = True

    name = 'kokoro'

    def __init__(self, part: Path, voices: int, corpus_seed: int = 0) -> None:
        """Open what `parts` wrote. Raises SpeechError where it, or what it needs to run, is missing."""
        self._part, self._count, self._seed = part, voices, corpus_seed
        if not all((part / name).is_file() for name in ('model.onnx', 'vocab.json', 'voices.safetensors')):
            raise SpeechError(f"there is no Kokoro in '{part}'; write it with: {_PART}")
        if shutil.which('espeak-ng') is None:
            raise SpeechError("Kokoro takes its pronunciation from espeak-ng, which isn't installed; apt install it")
        if missing := [package for package in _PACKAGES if importlib.util.find_spec(package) is None]:
            raise SpeechError(
                f'Kokoro runs on {" and ".join(_PACKAGES)}, and there is no {missing[0]}; '
                "pip install 'audio_interaction_ros[kokoro]'"
            )
        self._ids: dict[str, int] = json.loads((part / 'vocab.json').read_text())['vocab']

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return names such as 'kokoro-7-012', voice 12 of seed 7; there are none but for English."""
        numbers = range(self._count if language == 'en' else 0)
        names = [f'{self.name}-{self._seed}-{number:03d}' for number in numbers]
        return one_side(names, split)

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text`, with its words and phonemes.

        Raises SpeechError for text that is too long, or a name that is none of its voices'.
        """
        mixture, tract = speaker(voice, len(_styles(self._part)))
        try:
            words = pronounced(one_line(text), self._ids)
        except PronunciationError as error:
            raise SpeechError(str(error)) from None
        symbols = ' '.join(of_word for _, of_word in words)
        styles = _styles(self._part)
        if not symbols.strip(f' {PAUSES}') or len(symbols) >= len(styles[0]):
            raise SpeechError(
                f'{text[:40]!r} is {len(symbols)} symbols for Kokoro, 1 to {len(styles[0]) - 1} expected; '
                'leave it out or say it in parts'
            )
        style = np.tensordot(mixture, styles[:, len(symbols)], axes=1)
        tempo = np.random.default_rng(seed).uniform(*_TEMPO)
        ids = [0, *(self._ids[symbol] for symbol in symbols), 0]
        audio, durations = _session(self._part).run(
            ['audio', _DURATIONS],
            {
                'tokens': np.array([ids], np.int64),
                'style': style[None].astype(np.float32),
                'speed': np.array([tempo / tract], np.float32),
            },
        )
        rate_hz = len(audio.ravel()) / (durations.sum() * _FRAME_S)
        samples = soxr.resample(audio.ravel().astype(np.float32), rate_hz * tract, SAMPLE_RATE_HZ)
        ends_s = np.cumsum(durations.ravel()) * _FRAME_S / tract  # of each symbol, the zeros around them too
        return Said(np.clip(samples, -1.0, 1.0), *_times(words, ends_s))


def speaker(voice: str, styles: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return who a voice is: how much it has of each of the `styles`, float64 [styles], and the scale of its pitch.

    Raises SpeechError for a name that is no voice of Kokoro.
    """
    named = re.fullmatch(rf'{KokoroTts.name}-(\d+)-(\d+)', voice)
    if named is None:
        raise SpeechError(f'{voice!r} is no voice of Kokoro, names such as kokoro-7-012 expected; make the corpus anew')
    drawn = random_stream(Purpose.KOKORO_VOICE, int(named[1]), int(named[2]))
    return drawn.dirichlet(np.full(styles, 0.7)), float(drawn.uniform(*_TRACT))


def _times(
    pronounced_words: Sequence[tuple[str, str]], ends_s: npt.NDArray[np.float64]
) -> tuple[tuple[Word, ...], tuple[Phone, ...]]:
    """Return words and phonemes, each until the next begins; the first symbol is a zero, a space follows each word."""
    words: list[Word] = []
    phones: list[Phone] = []
    at = 1
    for word, symbols in pronounced_words:
        first, at = at, at + len(symbols)
        for place, symbol in enumerate(symbols, first):
            start_s, end_s = round(float(ends_s[place - 1]), 3), round(float(ends_s[place]), 3)
            if symbol not in f' {_STRESS}{PAUSES}' and start_s < end_s:
                phones.append((symbol, start_s, end_s))
        words.append((word, round(float(ends_s[first - 1]), 3), round(float(ends_s[at - 1]), 3)))
        at += 1
    return tuple(words), tuple(phones)


@functools.cache
def _styles(part: Path) -> npt.NDArray[np.float32]:
    """Return the style vectors, float32 [speakers, symbols, 256]: a row for every number of symbols."""
    return np.stack([tensor[:, 0] for _, tensor in sorted(load_file(part / 'voices.safetensors').items())])


@functools.lru_cache(maxsize=1)
def _session(part: Path) -> Any:
    """Open the network, once a process, so that it gives the durations which it computes too."""
    import onnx
    import onnxruntime

    network = onnx.load(part / 'model.onnx')
    network.graph.output.append(onnx.ValueInfoProto(name=_DURATIONS))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a corpus is built by one process a core
    return onnxruntime.InferenceSession(network.SerializeToString(), options, providers=['CPUExecutionProvider'])
