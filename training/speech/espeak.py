"""The library espeak-ng says what the program would say, faster, and tells the time of each word and phoneme.

It keeps state between utterances that no call resets, so the same text would sound a little different each time. A
small server process therefore forks for every utterance: each one is said by a library that has never spoken, and is
the same wherever and whenever it is made.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import IO, Any

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.speech.voices import Phone, Said, SpeechError, Voice, Word, from_pcm, one_line

_SYNCHRONOUS, _UTF8, _CHARACTER = 2, 1, 1  # synchronous: no thread that a fork would lose, no sound device
_END_PAUSE = 0x1000  # without it the echo of some voices is cut off
_RATE, _PITCH = 1, 3
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7
_PHONEME_EVENTS = 1
_TIMEOUT_S = 30.0
_CURE = 'install espeak-ng (apt install espeak-ng)'


class Speaker:
    """A `Speaker` speaks through espeak-ng in one language after another until it is closed.

    It is for one thread at a time.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None  # started by the first word

    def __enter__(self) -> Speaker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server process, if one was started."""
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None

    def speak(self, text: str, voice: Voice) -> Said:
        """Return the speech of `text`, with all its words and phonemes.

        A word or phoneme ends where the next begins. Control characters and line ends count as spaces. Raises
        SpeechError where the library or the voice is missing, there is nothing to say, or nothing comes back in 30 s.
        """
        text = one_line(text)
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, '-m', 'training.speech.espeak'], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps({'text': text} | asdict(voice)).encode() + b'\n')
            stdin.flush()
        except OSError:
            raise SpeechError(f'The espeak-ng process has ended; {_CURE}.') from None
        waiting = select.poll()  # which knows no highest file descriptor, as select does
        waiting.register(stdout, select.POLLIN)
        if not waiting.poll(1_000 * _TIMEOUT_S):
            raise SpeechError(f'espeak-ng took longer than {_TIMEOUT_S:.0f} s for {text[:40]!r}; shorten the text.')
        header = stdout.readline()
        if not header:
            raise SpeechError(f'The espeak-ng process has ended; {_CURE}.')
        said: dict[str, Any] = json.loads(header)
        if said['error']:
            raise SpeechError(f'espeak-ng could not speak {text[:40]!r} with voice {voice.name}: {said["error"]}.')
        samples = from_pcm(stdout.read(said['bytes']), said['rate_hz'])
        end_s = spoken_until_s(samples)
        return Said(samples, _words(text, said['words'], end_s), _phones(said['phones'], end_s))


def _words(text: str, starts: Sequence[tuple[int, float]], end_s: float) -> tuple[Word, ...]:
    """Return each word with its start and end in seconds.

    The first event inside a word starts it; a word without one (a lone dash, say) starts with the next.
    """
    spans = [(match.start(), match.end(), match.group()) for match in re.finditer(r'\S+', text)]
    begins = [
        min((at for position, at in starts if first <= position < last), default=None) for first, last, _ in spans
    ]
    words: list[Word] = []
    following = end_s
    for begin, (_, _, word) in zip(reversed(begins), reversed(spans), strict=True):
        start = min(following if begin is None else begin, following)
        words.append((word, round(start, 3), round(following, 3)))
        following = start
    return tuple(reversed(words))


def _phones(starts: Sequence[tuple[str, float]], end_s: float) -> tuple[Phone, ...]:
    """Return the phonemes, without pauses, changes of language, and the marks of tone, stress and length."""
    ends = [*(start_s for _, start_s in starts[1:]), end_s]
    phones: list[Phone] = []
    for (mnemonic, start_s), end in zip(starts, ends, strict=True):
        name = re.sub(r'[#|0-9-]', '', mnemonic)
        if name and name[0] not in '_(' and start_s < min(end, end_s):
            phones.append((name, round(start_s, 3), round(min(end, end_s), 3)))
    return tuple(phones)


def spoken_until_s(samples: Samples) -> float:
    """Return the seconds to the end of the last sample that is more than silence."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * max(float(np.abs(samples).max()), 1e-9))
    return float(loud[-1] + 1) / SAMPLE_RATE_HZ if len(loud) else len(samples) / SAMPLE_RATE_HZ


# --- the server process -------------------------------------------------------------------------------
class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ('type', ctypes.c_int),
        ('unique_identifier', ctypes.c_uint),
        ('text_position', ctypes.c_int),
        ('length', ctypes.c_int),
        ('audio_position', ctypes.c_int),
        ('sample', ctypes.c_int),
        ('user_data', ctypes.c_void_p),
        ('id', ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


_Begins = tuple[list[tuple[int, float]], list[tuple[str, float]]]


def _say(library: ctypes.CDLL, request: dict[str, Any]) -> tuple[bytes, _Begins]:
    """Return int16 samples, at which character and second words begin, and which phonemes begin at which second."""
    pieces: list[bytes] = []
    words: list[tuple[int, float]] = []
    phones: list[tuple[str, float]] = []

    @_Callback
    def receive(wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            pieces.append(ctypes.string_at(wav, 2 * count))
        number = 0
        while events[number].type != _END_OF_LIST:
            if events[number].type == _WORD:
                words.append((events[number].text_position - 1, events[number].audio_position / 1000))
            if events[number].type == _PHONEME:
                phones.append((events[number].id.decode(errors='replace'), events[number].audio_position / 1000))
            number += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    if library.espeak_SetVoiceByName(request['name'].encode()) != 0:
        raise SpeechError("there is no such voice, see 'espeak-ng --voices'")
    library.espeak_SetParameter(_RATE, request['rate_wpm'], 0)
    library.espeak_SetParameter(_PITCH, request['pitch'], 0)
    data = request['text'].encode()
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, _CHARACTER, 0, _UTF8 | _END_PAUSE, None, None)
    library.espeak_Synchronize()
    if not pieces:
        raise SpeechError('no sound came back')
    return b''.join(pieces), (words, phones)


def _answer(library: ctypes.CDLL, rate_hz: int, request: dict[str, Any], out: IO[bytes]) -> None:
    answer: dict[str, Any] = {'error': '', 'rate_hz': rate_hz, 'bytes': 0, 'words': [], 'phones': []}
    pcm = b''
    try:
        pcm, (answer['words'], answer['phones']) = _say(library, request)
        answer['bytes'] = len(pcm)
    except SpeechError as error:
        answer['error'] = str(error)
    out.write(json.dumps(answer).encode() + b'\n' + pcm)
    out.flush()


def _serve() -> int:
    try:
        library = ctypes.CDLL(ctypes.util.find_library('espeak-ng') or 'libespeak-ng.so.1')
    except OSError:
        return 1
    rate_hz = int(library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS))
    if rate_hz <= 0:
        return 1
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            _answer(library, rate_hz, json.loads(line), sys.stdout.buffer)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(_serve())
