"""Kokoro, a neural voice of 82 million parameters, in this process: ONNX Runtime and espeak-ng's pronunciation.

Its sound comes for a whole clause at once, so it begins later than a program that speaks while it works.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.voice.engines import EngineError
from audio_interaction_ros.voice.manner import Manner

RATE_HZ = 24_000
PAUSES = '.,!?;:'
_FILES = ('model.onnx', 'vocab.json', 'voices.safetensors')
_LOOK_EVERY_S = 0.01  # whether it is still wanted
# espeak-ng's way to write English on the left, Kokoro's on the right; the longer come first.
_SYMBOLS = (
    ('eɪ', 'A'), ('aɪ', 'I'), ('oʊ', 'O'), ('əʊ', 'Q'), ('aʊ', 'W'), ('ɔɪ', 'Y'), ('tʃ', 'ʧ'), ('dʒ', 'ʤ'), ('ɚ', 'əɹ'),
    ('r', 'ɹ'), ('g', 'ɡ'), ('ː', ''),
)  # fmt: skip


class PronunciationError(ValueError):
    """A `PronunciationError` says that espeak-ng could not pronounce a text."""


def pronounced(text: str, known: Mapping[str, int], timeout_s: float = 30.0) -> list[tuple[str, str]]:
    """Return the words of one line of American English, each with those of its symbols that are `known`.

    A pause that follows a word is the last of its symbols. Raises PronunciationError.
    """
    words, spoken = text.split(), _pronunciation(text, timeout_s).split()
    if len(spoken) != len(words):  # espeak-ng runs short words into one, "of the", and makes two of a number
        spoken = [_pronunciation(word, timeout_s) for word in words]
    return [(word, _symbols_of(word, said, known)) for word, said in zip(words, spoken, strict=True)]


@functools.lru_cache(maxsize=16_384)
def _pronunciation(text: str, timeout_s: float) -> str:
    """espeak-ng's IPA, a space between words."""
    command = ['espeak-ng', '-q', '--ipa', '-v', 'en-us', '--stdin']
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PronunciationError(
            f'espeak-ng could not pronounce {text[:40]!r} ({error}); try it on the command line'
        ) from None
    if done.returncode:
        raise PronunciationError(
            f'espeak-ng could not pronounce {text[:40]!r} (status {done.returncode}); try it on the command line'
        )
    return ' '.join(done.stdout.decode().split())


def _symbols_of(word: str, spoken: str, known: Mapping[str, int]) -> str:
    marks = ''.join(mark for mark in word[len(word.rstrip(PAUSES)) :] if mark in known)[:1]
    for theirs, ours in _SYMBOLS:
        spoken = spoken.replace(theirs, ours)
    return ''.join(symbol for symbol in spoken if symbol in known) + marks


class KokoroEngine:
    """A `KokoroEngine` speaks English with the weights in a folder; '#' and a style's name choose among its voices.

    It has a rate but no pitch. One thread computes, so that hearing keeps the others.
    """

    rate_hz = RATE_HZ

    def __init__(self, voice: str, timeout_s: float = 30.0) -> None:
        """Open folder, weights and libraries. Raises EngineError where one is missing."""
        self._timeout_s = timeout_s
        folder, _, style = voice.partition('#')
        path = Path(folder).expanduser()
        missing = [name for name in _FILES if not (path / name).is_file()]
        if not folder or missing:
            raise EngineError(
                f"voice is '{voice}', and there is no {_FILES[0] if not folder else missing[0]} of Kokoro in it; give "
                'the folder that python -m training parts kokoro-82m --out DIR writes'
            )
        if shutil.which('espeak-ng') is None:
            raise EngineError("the program 'espeak-ng' is not there, which tells Kokoro how words are spoken; install "
                              'it (apt install espeak-ng)')  # fmt: skip
        self._ids, styles = _read(path)
        if style and style not in styles:
            raise EngineError(f"voice is '{voice}', and Kokoro has no such style; give # and one of {sorted(styles)}")
        self._style = styles[style or min(styles)]
        self._session = _open(path / _FILES[0])
        self._worker = ThreadPoolExecutor(1, 'kokoro')

    def say(self, text: str, manner: Manner, unwanted: Callable[[], bool]) -> Iterator[Samples]:
        """Yield the speech of `text`, float32 [n], unless it is `unwanted` before. Raises EngineError."""
        ids = self._ids_of(text)
        if not ids:
            return
        import onnxruntime

        options = onnxruntime.RunOptions()
        feeds = {
            'tokens': np.array([[0, *ids, 0]], np.int64),
            'style': self._style[len(ids)][None],
            'speed': np.array([manner.rate], np.float32),
        }
        running: Future[Any] = self._worker.submit(self._session.run, ['audio'], feeds, options)
        while not wait([running], _LOOK_EVERY_S).done:
            if unwanted():
                options.terminate = True  # which the network looks at before each of its layers
                wait([running])
                return
        try:
            (sound,) = running.result()
        except Exception as error:  # ONNX Runtime has no class of its own for it
            raise EngineError(f"Kokoro failed ({error}); write its weights anew, or take engine 'espeak-ng'") from None
        yield np.clip(np.asarray(sound, np.float32).ravel(), -1.0, 1.0)

    def close(self) -> None:
        """Let go of the thread that computes."""
        self._worker.shutdown()

    def _ids_of(self, text: str) -> list[int]:
        """The numbers of the symbols of a text, cut where Kokoro has no style for more. Raises EngineError."""
        try:
            words = pronounced(text, self._ids, self._timeout_s)
        except PronunciationError as error:
            raise EngineError(str(error)) from None
        symbols = ' '.join(of_word for _, of_word in words)
        ids = [self._ids[symbol] for symbol in symbols]
        return ids[: len(self._style) - 1] if symbols.strip(f' {PAUSES}') else []


def _read(path: Path) -> tuple[dict[str, int], dict[str, Samples]]:
    """Symbols and styles, [symbols, 256] each: a row for every number of symbols. Raises EngineError."""
    try:
        ids = {
            str(symbol): int(number) for symbol, number in json.loads((path / _FILES[1]).read_text())['vocab'].items()
        }
        styles = {name: tensor[:, 0].astype(np.float32) for name, tensor in load_file(path / _FILES[2]).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, SafetensorError) as error:
        raise EngineError(
            f"'{path}' does not hold Kokoro's symbols and styles ({error!r}); write it anew with python -m training "
            'parts kokoro-82m'
        ) from None
    return ids, styles


def _open(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise EngineError(
            'Kokoro runs on ONNX Runtime, which is not installed; install it (pip install onnxruntime)'
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime has no class of its own for it
        raise EngineError(f"'{model}' is no network that ONNX Runtime can run ({error}); write it anew with python -m "
                          'training parts kokoro-82m') from None  # fmt: skip
