"""A loudspeaker through PortAudio, that little sound is waiting for, so that it falls silent at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import numpy as np
import soxr

from audio_interaction_ros.audio.devices import (
    DeviceError,
    OutputDevice,
    listed,
    load_portaudio,
    matching,
    output_devices,
    word_for,
)
from audio_interaction_ros.audio.formats import Samples, from_integers, to_int16

_LATENCY_S = 0.1  # of the device's buffer, which is thrown away with what waits
_BEGINS_WITH_S = 0.15  # so much is there before the device begins, so that it does not begin with a gap
_POLL_S = 0.01
_DEAD_AFTER_S = 5.0  # a machine that is too busy to play is no lost loudspeaker
_INT16_BYTES = 2


# Told of float32 samples [n], their rate in Hz, and in how many seconds the first of them sounds.
Listener = Callable[[Samples, int, float], None]


class Output(Protocol):
    """An `Output` plays mono sound of one sample rate, in real time. One thread plays."""

    def open(self) -> None:
        """Make ready to play. Raises DeviceError."""

    def close(self) -> None:
        """Stop, and forget what was not played."""

    def play(self, samples: Samples, unwanted: Callable[[], bool]) -> None:
        """Play float32 samples [n] after those before; return when few of them wait, or when they are `unwanted`.

        Raises DeviceError where the device is gone.
        """

    def finish(self, unwanted: Callable[[], bool]) -> None:
        """Return when all was played, or when that is `unwanted`. Raises DeviceError where the device is gone."""

    @property
    def unplayed_s(self) -> float:
        """Return how many seconds of what it was given have not sounded yet."""
        ...

    def drop(self) -> None:
        """Forget what waits, so that it is silent now."""


class Loudspeaker:
    """A `Loudspeaker` is the one device that was asked for, and no other.

    It is written to, and has no callback: PortAudio waits for ever for one to begin on a device of ALSA that has gone.
    """

    def __init__(self, wanted: str | int, rate_hz: int, listener: Listener | None = None) -> None:
        """Find it, for sound of this rate, and open nothing yet. Raises DeviceError, which lists what there is.

        `listener` is told of all sound that the device is given.
        """
        self._listener = listener
        self._portaudio = load_portaudio()
        self._rate_hz = rate_hz
        devices = output_devices(self._portaudio)
        self.device = find_output(wanted, devices)
        self.word = word_for(self.device, devices)  # that finds this device and no other
        self.opened_rate_hz, self._channels = self._settings()
        self._stream: Any = None
        self._resampler: Any = None
        self._waiting = b''
        self._sounds_until_s = 0.0  # by time.monotonic(): what the device was given

    def open(self) -> None:
        """Open the device, which plays nothing yet. Raises DeviceError."""
        try:
            self._stream = self._portaudio.RawOutputStream(
                device=self.device.index,
                samplerate=self.opened_rate_hz,
                channels=self._channels,
                dtype='int16',
                latency=_LATENCY_S,
            )
        except self._portaudio.PortAudioError as error:
            raise DeviceError(
                f'loudspeaker {self.device} cannot be opened ({error}); end the program that uses it (fuser -v '
                '/dev/snd/* tells which), or set device to another'
            ) from error

    def close(self) -> None:
        """Release the device, and forget what was not played."""
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None
        self._resampler, self._waiting = None, b''

    def play(self, samples: Samples, unwanted: Callable[[], bool]) -> None:
        """Play float32 samples [n], −1 … 1, after those before; return when the device has them, or when `unwanted`.

        Raises DeviceError where the device takes none.
        """
        self._add(samples, last=False)
        if self._runs or len(self._waiting) >= self._bytes(_BEGINS_WITH_S):
            self._write(unwanted)

    def finish(self, unwanted: Callable[[], bool]) -> None:
        """Return when all was played, or when that is `unwanted`. Raises DeviceError where the device takes none."""
        self._add(np.empty(0, np.float32), last=True)
        if self._waiting:
            self._write(unwanted)
        if not self._runs:
            return
        over_s = time.monotonic() + float(self._stream.latency)
        while not unwanted():
            if time.monotonic() > over_s:
                self._halt()
                return
            time.sleep(_POLL_S)

    @property
    def unplayed_s(self) -> float:
        """Return how many seconds of what it was given have not sounded yet, those in the device's buffer included."""
        buffered_s = max(0.0, self._sounds_until_s - time.monotonic()) if self._runs else 0.0
        return len(self._waiting) / self._bytes(1.0) + buffered_s

    def drop(self) -> None:
        """Forget what waits, in the device too: it is silent now."""
        self._resampler, self._waiting = None, b''
        self._halt()

    @property
    def _runs(self) -> bool:
        return self._stream is not None and bool(self._stream.active)

    def _halt(self) -> None:
        if self._runs:
            self._stream.abort(ignore_errors=True)

    def _bytes(self, seconds: float) -> int:
        return int(seconds * self.opened_rate_hz) * self._channels * _INT16_BYTES

    def _settings(self) -> tuple[int, int]:
        """Return sample rate and channels: the sound's own where the device can, else those of the device."""
        for rate_hz, channels in ((self._rate_hz, 1), (self.device.default_rate_hz, 1)):
            try:
                self._portaudio.check_output_settings(
                    device=self.device.index, channels=channels, dtype='int16', samplerate=rate_hz
                )
            except self._portaudio.PortAudioError:
                continue
            return rate_hz, channels
        return self.device.default_rate_hz, min(2, self.device.channels)

    def _add(self, samples: Samples, last: bool) -> None:
        if self.opened_rate_hz != self._rate_hz:
            if self._resampler is None:
                if not len(samples):
                    return
                self._resampler = soxr.ResampleStream(self._rate_hz, self.opened_rate_hz, 1, dtype='float32')
            samples = self._resampler.resample_chunk(samples, last=last)
            if last:
                self._resampler = None
        self._waiting += np.repeat(to_int16(samples), self._channels).tobytes()

    def _write(self, unwanted: Callable[[], bool]) -> None:
        """Give the device what waits, as it has room for it, so that nobody waits for the device."""
        frame_bytes, written_s = self._channels * _INT16_BYTES, time.monotonic()
        try:
            if self._stream is None:
                self._lose()
            if not self._runs:
                self._stream.start()
                self._sounds_until_s = 0.0
            while self._waiting and not unwanted():
                room = frame_bytes * min(self._stream.write_available, len(self._waiting) // frame_bytes)
                if room:
                    self._count(self._waiting[:room])
                    self._stream.write(self._waiting[:room])
                    self._waiting, written_s = self._waiting[room:], time.monotonic()
                elif time.monotonic() - written_s > _DEAD_AFTER_S:
                    self._lose()
                else:
                    time.sleep(_POLL_S)
        except self._portaudio.PortAudioError as error:
            self._lose(error)

    def _count(self, data: bytes) -> None:
        """Note when this sounds: by what the device says at the start, or when it ran dry, and then by counting.

        What it says in between jumps by its blocks, tens of milliseconds.
        """
        now_s = time.monotonic()
        if self._sounds_until_s < now_s:
            buffered_s = float(self._stream.latency) - self._stream.write_available / self.opened_rate_hz
            self._sounds_until_s = now_s + max(0.0, buffered_s)
        if self._listener is not None:
            samples = np.frombuffer(data, '<i2').reshape(-1, self._channels)[:, 0]
            self._listener(from_integers(samples), self.opened_rate_hz, self._sounds_until_s - now_s)
        self._sounds_until_s += len(data) / self._bytes(1.0)

    def _lose(self, cause: Exception | None = None) -> NoReturn:
        raise DeviceError(
            f'loudspeaker {self.device} takes no sound; plug it in again, or start the sound server, and it is used '
            'again'
        ) from cause


def find_output(wanted: str | int, devices: list[OutputDevice]) -> OutputDevice:
    """Return the device that is meant by an index, a name, or a part of a name and host API that no other has.

    A whole name wins over parts of others, and '' is the system's default. Raises DeviceError, which lists the devices,
    where none matches or several do.
    """
    found = matching(wanted, devices)
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} loudspeakers match '{wanted}': {listed(found)}; give one of "
            f'{", ".join(repr(word_for(device, devices)) for device in found)}'
        )
    sought = f"no loudspeaker matches '{wanted}'" if wanted != '' else 'the system has no default loudspeaker'
    raise DeviceError(
        f'{sought}; there are: {listed(devices)}; set device to one of these names, plug one in or start the sound '
        'server, or set output to messages for a driver of your own'
    )
