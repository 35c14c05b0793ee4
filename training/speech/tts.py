"""Text-to-speech engines share one interface: espeak-ng (embedded), Piper (a process), CosyVoice (a server; paper B.4).

Text reaches a program on its standard input and a server in a form field; no shell ever sees it.
"""

from __future__ import annotations

import functools
import json
import subprocess
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import httpx
import numpy as np

from training.speech.espeak import Speaker
from training.speech.voices import TRAIN_VOICES, VALIDATION_VOICES, Said, SpeechError, Voice, from_pcm, one_line


class TextToSpeech(Protocol):
    """A `TextToSpeech` engine has voices and reads text aloud."""

    name: str

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return the names of the voices for 'en', 'zh' …, always in the same order.

        There are none for a language that the engine does not speak. No voice is on two sides of the split.
        """
        ...

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text` in a voice; `seed` settles what may vary within the voice.

        Raises SpeechError.
        """
        ...


def one_side(names: Sequence[str], split: str) -> tuple[str, ...]:
    """Return the names that belong to one side of the split.

    Of ten voices the second is for validation and the third for test; the others train.
    """
    held_out = {'validation': 1, 'test': 2}
    place = held_out.get(split)
    return tuple(
        name
        for number, name in enumerate(names)
        if (number % 10 not in held_out.values() if place is None else number % 10 == place)
    )


# Of espeak-ng 1.51's other accents and variants those that a recogniser follows as well as those of voices.py; it
# loses most of what whispers, robots, and such as 'grandma', 'Andy' or 'norbert' say.
_MORE_ACCENTS = ('en-gb-x-gbclan', 'en-us-nyc')
_MORE_FOR_TRAINING = tuple(
    'Denis Diogo Gene Henrique Jacky Mario Mike adam antonio belinda benjamin caleb ed edward gustave linda miguel '  # noqa: SIM905
    'pablo paul pedro quincy sandro steph victor klatt3 klatt5'.split()
)
_MORE_FOR_VALIDATION = ('Alex', 'michel')
_NOT_FOLLOWED = ('Annie',)


@functools.cache
def _pools() -> dict[str, tuple[str, ...]]:
    """Return split → voices.

    Variants are what is told apart: an accent alone does not make another speaker.
    """
    accents = [*dict.fromkeys(voice.name.partition('+')[0] for voice in TRAIN_VOICES), *_MORE_ACCENTS]
    train, held_out = (
        sorted({*(voice.name.partition('+')[2] for voice in voices), *more} - {*_NOT_FOLLOWED})
        for voices, more in ((TRAIN_VOICES, _MORE_FOR_TRAINING), (VALIDATION_VOICES, _MORE_FOR_VALIDATION))
    )
    sides = {'train': train, 'validation': held_out[0::2], 'test': held_out[1::2]}
    return {
        split: tuple(f'{accent}+{variant}' for accent in accents for variant in variants)
        for split, variants in sides.items()
    }


class EspeakTts:
    """An `EspeakTts` engine speaks with every accent and every variant of espeak-ng.

    The variants of validation and test are kept apart. The seed draws rate and pitch.
    """

    stand_in: ClassVar[bool] = True

    name = 'espeak-ng'

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return names such as 'en-us+f3'; languages are en, zh, de, fr and es."""
        code = {'zh': 'cmn'}.get(language, language)
        return tuple(name for name in _pools()[split] if Voice(name, 0, 0).language == code)

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text`, the same for the same arguments. Raises SpeechError."""
        rng = np.random.default_rng(seed)
        drawn = Voice(voice, rate_wpm=int(rng.integers(125, 210)), pitch=int(rng.integers(20, 80)))
        return self._speaker.speak(text, drawn)


@dataclass(frozen=True)
class _PiperModel:
    path: Path
    language: str
    speakers: int
    rate_hz: int


class PiperTts:
    """A `PiperTts` engine runs the program `piper` once for each text.

    Its voices are `.onnx` files with the `.onnx.json` beside them. The seed draws the tempo; Piper's own sampling noise
    has no seed, so renderings differ from run to run.
    """

    stand_in: ClassVar[bool] = True

    name = 'piper'

    def __init__(self, models: Sequence[Path], program: str = 'piper', timeout_s: float = 120.0) -> None:
        """Read the descriptions of the models. Raises SpeechError for a model that is absent or not described."""
        self._models = {path.stem: _piper_model(path) for path in models}
        self._program, self._timeout_s = program, timeout_s

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return model names, with '#' and the number of the speaker where a model has several."""
        names = [
            f'{name}#{speaker}' if model.speakers > 1 else name
            for name, model in self._models.items()
            if model.language == language
            for speaker in range(model.speakers)
        ]
        return one_side(names, split)

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text`; `seed` draws the tempo.

        Raises SpeechError for an unknown voice, or when the program is absent, fails, or takes longer than the time
        limit.
        """
        name, _, speaker = voice.partition('#')
        if name not in self._models:
            raise SpeechError(
                f'Piper has no voice {voice!r}, only {sorted(self._models)}; give its .onnx file as well.'
            )
        model = self._models[name]
        tempo = np.random.default_rng(seed).uniform(0.85, 1.2)
        command = [self._program, '--model', str(model.path), '--output-raw', '--length-scale', f'{tempo:.3f}']
        if speaker:
            command += ['--speaker', speaker]
        line = one_line(text).encode() + b'\n'
        try:
            done = subprocess.run(command, input=line, capture_output=True, timeout=self._timeout_s)
        except OSError as error:
            raise SpeechError(
                f'{self._program} could not be started ({error.strerror}); install it (pip install piper-tts) '
                'or give the path of the program.'
            ) from None
        except subprocess.TimeoutExpired:
            raise SpeechError(
                f'Piper took longer than {self._timeout_s:g} s; use a smaller voice or allow more time.'
            ) from None
        if done.returncode != 0 or len(done.stdout) < 2:
            said = ' '.join(done.stderr.decode(errors='replace').split())[-300:] or 'no sound came back'
            raise SpeechError(f'Piper failed with voice {voice} ({said}); try {model.path} on the command line.')
        return Said(from_pcm(done.stdout, model.rate_hz))


def _piper_model(path: Path) -> _PiperModel:
    description = path.with_name(f'{path.name}.json')
    if path.suffix != '.onnx' or not path.is_file():
        raise SpeechError(f'There is no Piper voice at {path}; give the .onnx file of a downloaded voice.')
    try:
        data = json.loads(description.read_text(encoding='utf-8'))
        rate_hz = int(data['audio']['sample_rate'])
        # Voices made before 2023 say their language in the file name only.
        language = str(data.get('language', {}).get('family') or path.stem.partition('_')[0].partition('-')[0])
        return _PiperModel(path.resolve(), language, max(1, int(data.get('num_speakers', 1))), rate_hz)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpeechError(f'{description} does not describe a Piper voice ({error!r}); download it again.') from None


class TtsBeside:
    """A `TtsBeside` speaks each language with the `first` engine if that has voices for it, else with the `other`."""

    def __init__(self, first: TextToSpeech, other: TextToSpeech) -> None:
        self._first, self._other = first, other
        self.name = first.name

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return the voices of the engine that speaks the language."""
        return self._first.voices(language, split) or self._other.voices(language, split)

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text` by the engine whose name the voice begins with, else by the other.

        Raises SpeechError.
        """
        engine = self._first if voice.startswith(self._first.name) else self._other
        return engine.speak(text, voice, seed)


class CosyVoiceTts:
    """A `CosyVoiceTts` engine asks a running CosyVoice server (its runtime/python/fastapi).

    The request is POST /inference_sft, raw 16-bit samples come back. The server seeds itself, so renderings differ from
    run to run and `seed` has no effect.
    """

    stand_in: ClassVar[bool] = False

    name = 'cosyvoice'

    def __init__(
        self,
        url: str,
        speakers: Mapping[str, Sequence[str]] | None = None,
        rate_hz: int = 22_050,
        timeout_s: float = 120.0,
    ) -> None:
        """Take `speakers` by language, those of CosyVoice-300M-SFT by default.

        `rate_hz` counts if the server does not say its own; CosyVoice 2 gives 24000 Hz. `timeout_s` is for a whole
        answer. Raises SpeechError for a wrong address.
        """
        if urllib.parse.urlsplit(url).scheme not in ('http', 'https'):
            raise SpeechError(f'{url!r} is no address of a CosyVoice server; give one such as http://localhost:50000.')
        self._url = f'{url.rstrip("/")}/inference_sft'
        self._speakers = speakers or {'zh': ('中文女', '中文男'), 'en': ('英文女', '英文男')}
        self._rate_hz, self._timeout_s = rate_hz, timeout_s

    def voices(self, language: str, split: str = 'train') -> tuple[str, ...]:
        """Return the speakers' names on the server."""
        return one_side(self._speakers.get(language, ()), split)

    def speak(self, text: str, voice: str, seed: int) -> Said:
        """Return the speech of `text`; `seed` has no effect.

        Raises SpeechError when no whole answer comes within the time limit, or what comes is no 16-bit sound.
        """
        form = {'tts_text': one_line(text), 'spk_id': voice}
        deadline = time.monotonic() + self._timeout_s
        pcm = bytearray()
        try:
            with httpx.stream('POST', self._url, data=form, timeout=self._timeout_s) as answer:
                if not answer.is_success:
                    raise ValueError(f'status {answer.status_code}')
                rate_hz = int(answer.headers.get('X-Custom-Header-sampleRate') or self._rate_hz)
                # The timeout is for one packet; a server that trickles must end as well.
                for piece in answer.iter_bytes():
                    pcm += piece
                    if time.monotonic() > deadline:
                        raise TimeoutError('timed out')
        except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SpeechError(
                f'{self._url} gave no speech for voice {voice} within {self._timeout_s:g} s ({error}); '
                "start CosyVoice's fastapi server there and see its log."
            ) from None
        if len(pcm) < 2 or len(pcm) % 2:
            raise SpeechError(f'{self._url} answered with {len(pcm)} bytes, which are no 16-bit samples; see its log.')
        return Said(from_pcm(bytes(pcm), rate_hz))
