"""The assistant's own voice, taken out of what the microphone hears by the echo canceller of WebRTC (extra `echo`).

Nothing else of that library is used: no noise suppression and no gain control, for the model knows rooms as they are.
While the loudspeaker is silent the sound passes as it is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, from_integers, to_int16
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE

FRAME_SAMPLES = 160  # 10 ms, all that the library takes
DELAY_SAMPLES = 128  # of the library, measured; what passes as it is is held back as long
# The canceller is given what is played so much later than the sound: two clocks differ by tens of milliseconds, and it
# finds an echo that is later than it is told, never one that is earlier.
_LEAD_NS = 60_000_000
_TAIL_NS = NS_PER_S  # of a room, after the last that was played
_PRIMING_FRAMES = 3  # the library first gives back what it was given last, when the loudspeaker sounded before
_JITTER_SAMPLES = 320  # stamps of what is played follow each other as its samples do, within this
_KEPT_SAMPLES = 10 * SAMPLE_RATE_HZ
_SILENT = 1e-4  # amplitude


class EchoLibraryError(ValueError):
    """An `EchoLibraryError` says that a library for echo cancellation is not there, and what to do."""


def refuse_without(package: str, cause: Exception | None = None) -> NoReturn:
    """Raise EchoLibraryError because this package is not installed."""
    raise EchoLibraryError(
        f"taking the assistant's own voice out of the sound needs the package {package}, which is not there; install "
        "it (pip install 'audio_interaction_ros[echo]'), or set echo to auto"
    ) from cause


class Reference:
    """A `Reference` holds what the loudspeaker plays and when, of the last and the next seconds. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring = np.zeros(_KEPT_SAMPLES, np.float32)
        self._end = 0  # position, at 16 kHz from 1970 on, behind the last sample

    def add(self, samples: Samples, stamp_ns: int) -> None:
        """Add float32 [n] at 16 kHz that is played from `stamp_ns` on, in the place of what was to be played then."""
        position = _position(stamp_ns)
        samples = samples[-_KEPT_SAMPLES:]
        with self._lock:
            if abs(position - self._end) <= _JITTER_SAMPLES:
                position = self._end
            last = position + len(samples)
            if position > self._end:
                self._put(self._end, np.zeros(min(position - self._end, _KEPT_SAMPLES), np.float32))
            self._put(position, samples)
            if last < self._end:  # it was broken off, and something else begins
                self._put(last, np.zeros(min(self._end - last, _KEPT_SAMPLES), np.float32))
            self._end = last

    def at(self, stamp_ns: int, length: int) -> Samples:
        """Return so many samples from this time on, float32 [length]; zeros where nothing is played."""
        first = _position(stamp_ns)
        with self._lock:
            places = np.arange(first, first + length)
            known = (places < self._end) & (places >= self._end - _KEPT_SAMPLES)
            return np.where(known, self._ring[places % _KEPT_SAMPLES], np.float32(0.0))

    def sounds(self, from_ns: int, to_ns: int) -> bool:
        """Return whether anything is played between two times."""
        return bool((np.abs(self.at(from_ns, _position(to_ns) - _position(from_ns))) > _SILENT).any())

    def _put(self, position: int, samples: Samples) -> None:
        self._ring[np.arange(position, position + len(samples)) % _KEPT_SAMPLES] = samples


@dataclass(frozen=True)
class Heard:
    """A `Heard` is sound at 16 kHz from `stamp_ns` on: without the own voice, and as it came, float32 [n] each.

    `own`: the loudspeaker sounds meanwhile, or has just sounded.
    """

    samples: Samples
    as_it_came: Samples
    stamp_ns: int
    own: bool


class EchoCanceller:
    """An `EchoCanceller` takes what a `Reference` plays out of one channel at 16 kHz; it is 8 ms behind."""

    def __init__(self, reference: Reference) -> None:
        """Load the library. Raises EchoLibraryError where it is not installed."""
        try:
            from livekit.rtc import AudioFrame, apm
        except ImportError as error:
            refuse_without('livekit', error)
        self._reference, self._frame_of = reference, AudioFrame
        self._library = apm.AudioProcessingModule(echo_cancellation=True)
        self.reset()

    def reset(self) -> None:
        """Begin afresh after a gap; how the room echoes is remembered."""
        self._carry = np.empty(0, np.float32)
        self._held = np.zeros(DELAY_SAMPLES, np.float32)
        self._frames_on = 0  # for which the library has been at work

    def push(self, samples: Samples, stamp_ns: int) -> list[Heard]:
        """Add float32 [n], captured from `stamp_ns` on, and return what is complete, 10 ms each."""
        first_ns = stamp_ns - len(self._carry) * NS_PER_SAMPLE
        self._carry = np.concatenate([self._carry, samples])
        whole = len(self._carry) - len(self._carry) % FRAME_SAMPLES
        frames, self._carry = self._carry[:whole].reshape(-1, FRAME_SAMPLES), self._carry[whole:]
        step_ns = FRAME_SAMPLES * NS_PER_SAMPLE
        return [self._heard(frame, first_ns + number * step_ns) for number, frame in enumerate(frames)]

    def _heard(self, frame: Samples, stamp_ns: int) -> Heard:
        own = self._reference.sounds(stamp_ns - _TAIL_NS, stamp_ns + _LEAD_NS)
        as_it_came = np.concatenate([self._held, frame])
        as_it_came, self._held = as_it_came[:FRAME_SAMPLES], as_it_came[FRAME_SAMPLES:]
        samples = as_it_came
        if own or self._frames_on:
            cancelled = self._cancelled(frame, self._reference.at(stamp_ns + _LEAD_NS, FRAME_SAMPLES))
            self._frames_on = self._frames_on + 1 if own else 0
            fade = np.linspace(0.0, 1.0, FRAME_SAMPLES, dtype=np.float32)
            if not own:
                samples = as_it_came * fade + cancelled * (1 - fade)
            elif self._frames_on == _PRIMING_FRAMES + 1:
                samples = cancelled * fade + as_it_came * (1 - fade)
            elif self._frames_on > _PRIMING_FRAMES:
                samples = cancelled
        return Heard(samples, as_it_came, stamp_ns - DELAY_SAMPLES * NS_PER_SAMPLE, own)

    def _cancelled(self, frame: Samples, played: Samples) -> Samples:
        self._library.process_reverse_stream(self._framed(played))
        self._library.set_stream_delay_ms(_LEAD_NS // 1_000_000)
        heard = self._framed(frame)
        self._library.process_stream(heard)
        return from_integers(np.frombuffer(heard.data, np.int16))

    def _framed(self, samples: Samples) -> Any:
        return self._frame_of(bytearray(to_int16(samples).tobytes()), SAMPLE_RATE_HZ, 1, len(samples))


def _position(stamp_ns: int) -> int:
    return round(stamp_ns / NS_PER_SAMPLE)
