"""Text-to-speech engines behind one interface, each given one clause at a time."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from audio_interaction_ros.audio.formats import Samples, from_integers
from audio_interaction_ros.voice.manner import Manner
from audio_interaction_ros.voice.program import ProgramFailed, output_of

_WAV_HEADER_BYTES = 44
_HAN = re.compile('[\u4e00-\u9fff]')
_VOICE = re.compile(r'[A-Za-z0-9][\w+.-]*', re.ASCII)


class EngineError(ValueError):
    """An `EngineError` says that an engine is missing, or failed, and what to do."""


class Engine(Protocol):
    """An `Engine` turns clauses into mono sound of one sample rate."""

    rate_hz: int

    def say(self, text: str, manner: Manner, unwanted: Callable[[], bool]) -> Iterator[Samples]:
        """Yield the speech of `text`, one line, as float32 blocks [n], as they are made, until it is `unwanted`.

        Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Let go of what the engine holds."""


class EspeakEngine:
    """An `EspeakEngine` speaks with espeak-ng, in all its languages; rate and pitch follow the manner.

    Without a voice it speaks American English, and Mandarin where a text is written in it.
    """

    def __init__(self, voice: str = '', program: str = 'espeak-ng', timeout_s: float = 10.0) -> None:
        """Find the program and try the voice. Raises EngineError where either is not there."""
        self._voice, self._timeout_s = voice, timeout_s
        self._program = shutil.which(program) or ''
        if not self._program:
            raise EngineError(f"the program '{program}' is not there; install it (apt install espeak-ng)")
        if voice and not _VOICE.fullmatch(voice):
            raise EngineError(f"voice is '{voice}'; give a name as espeak-ng --voices lists it, such as en-us or de+f2")
        self.rate_hz = 0
        for _ in self.say('a', Manner(), lambda: False):
            pass

    def say(self, text: str, manner: Manner, unwanted: Callable[[], bool]) -> Iterator[Samples]:
        """Yield the speech of `text`, float32 blocks [n], until it is `unwanted`. Raises EngineError."""
        voice = self._voice or ('cmn' if len(_HAN.findall(text)) > len(text) / 3 else 'en-us')
        command = [
            self._program, '--stdin', '--stdout', '-b', '1', '-v', voice,
            '-s', str(round(min(450.0, max(80.0, 175.0 * manner.rate)))),
            '-p', str(round(min(99.0, max(0.0, 50.0 + 50.0 * manner.pitch)))),
        ]  # fmt: skip
        header = b''
        try:
            for data in output_of(command, text, self._timeout_s, unwanted):
                if len(header) < _WAV_HEADER_BYTES:
                    missing = _WAV_HEADER_BYTES - len(header)
                    header, data = header + data[:missing], data[missing:]
                    if len(header) == _WAV_HEADER_BYTES:
                        self._read(header)
                if data:
                    yield samples_of(data)
        except ProgramFailed as failed:
            raise EngineError(
                f"espeak-ng failed with voice '{voice}' ({failed}); take a voice that espeak-ng --voices lists, and "
                'try it on the command line'
            ) from None

    def close(self) -> None:
        """Return: a program runs no longer than it speaks."""

    def _read(self, header: bytes) -> None:
        rate_hz = int.from_bytes(header[24:28], 'little')
        if header[:4] != b'RIFF' or not rate_hz or (self.rate_hz and rate_hz != self.rate_hz):
            raise EngineError(
                f"'{self._program}' gives no sound as espeak-ng does: it begins with {header[:4]!r} and {rate_hz} Hz; "
                'install espeak-ng (apt install espeak-ng)'
            )
        self.rate_hz = rate_hz


class PiperEngine:
    """A `PiperEngine` runs the program `piper` for each clause; its voice is an `.onnx` file, with '#' and a speaker.

    It has a rate but no pitch.
    """

    def __init__(self, voice: str, program: str = 'piper', timeout_s: float = 30.0) -> None:
        """Find the program and read the description of the voice. Raises EngineError where either is not there."""
        self._timeout_s = timeout_s
        self._program = shutil.which(program) or ''
        if not self._program:
            raise EngineError(f"the program '{program}' is not there; install it (pip install piper-tts)")
        path, _, self._speaker = voice.partition('#')
        self._model = Path(path).expanduser()
        if self._model.suffix != '.onnx' or not self._model.is_file():
            raise EngineError(
                f"voice is '{voice}', and there is no such voice of Piper; give the path of the .onnx file of a voice, "
                'with its .onnx.json beside it'
            )
        description = self._model.with_name(f'{self._model.name}.json')
        try:
            data = json.loads(description.read_text(encoding='utf-8'))
            self.rate_hz, speakers = int(data['audio']['sample_rate']), max(1, int(data.get('num_speakers', 1)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(
                f"'{description}' does not describe a voice of Piper ({error!r}); download it again"
            ) from None
        if self._speaker and not (self._speaker.isdecimal() and int(self._speaker) < speakers):
            raise EngineError(
                f"voice is '{voice}', and the model has {speakers} speakers; give # and a number from 0 to "
                f'{speakers - 1}, or none'
            )

    def say(self, text: str, manner: Manner, unwanted: Callable[[], bool]) -> Iterator[Samples]:
        """Yield the speech of `text`, float32 blocks [n], until it is `unwanted`. Raises EngineError."""
        command = [
            self._program, '--model', str(self._model.resolve()), '--output-raw',
            '--length-scale', f'{1.0 / manner.rate:.3f}',
        ]  # fmt: skip
        if self._speaker:
            command += ['--speaker', self._speaker]
        try:
            for data in output_of(command, f'{text}\n', self._timeout_s, unwanted, self.rate_hz):
                yield samples_of(data)
        except ProgramFailed as failed:
            raise EngineError(f"Piper failed ({failed}); try '{self._model}' on the command line") from None

    def close(self) -> None:
        """Return: a program runs no longer than it speaks."""


def samples_of(data: bytes) -> Samples:
    """Return 16-bit sound, little-endian and of whole samples, as float32 [n]."""
    return from_integers(np.frombuffer(data, '<i2'))
