"""Where sound comes from: a microphone through PortAudio, or a file played in real time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.bounded import BoundedQueue
from audio_interaction_ros.audio.channels import ALL, ChannelChoice, ChannelPicker
from audio_interaction_ros.audio.devices import (
    DeviceError,
    InputDevice,
    KnownDevice,
    find,
    input_devices,
    load_portaudio,
    word_for,
)
from audio_interaction_ros.audio.file_reader import AudioFile
from audio_interaction_ros.audio.formats import MAX_CHANNELS, AudioFormatError, PcmFormat, Samples, encode_s16le
from audio_interaction_ros.audio.sound_server import ServerSource, ServerStream
from audio_interaction_ros.audio.timeline import NS_PER_S, CaptureClock

SAMPLE_FORMAT = 'S16LE'
_DEAD_AFTER_S = 1.0
_FIRST_AFTER_S = 4.0  # PulseAudio has been seen to take two seconds to begin
_POLL_S = 0.1  # so that `stop` is heard although the device is dead
_MAX_OWN_CHANNELS = 8  # of a device without a mono mode; PulseAudio offers 32 that are not there


class DeviceLost(RuntimeError):
    """A `DeviceLost` says that the microphone stopped delivering."""


@dataclass(frozen=True)
class Block:
    """A `Block` holds interleaved S16LE bytes and the capture time of their first sample."""

    data: bytes
    stamp_ns: int


class FileSource:
    """A `FileSource` plays a WAV, FLAC … file, each block when its sound would have been captured."""

    def __init__(self, path: str, block_ms: int, channels: ChannelChoice = ALL) -> None:
        """Look at the file; raise AudioFormatError when it cannot be read, is empty or lacks a channel."""
        with AudioFile(path) as file:
            next(file.blocks())
            self.duration_s = file.promised_s  # None where the file does not say
            own = PcmFormat(file.pcm.sample_rate_hz, file.pcm.channels, SAMPLE_FORMAT)
        self._path = path
        self.picker = ChannelPicker(channels, own)
        self.pcm = self.picker.pcm
        self._block_frames = self.pcm.sample_rate_hz * block_ms // 1000

    def blocks(self, stop: Event) -> Iterator[Block]:
        """Yield blocks until the end of the file, to where it is damaged, or until `stop`.

        Raises AudioFormatError at the end of a file that is damaged, or that its writer never finished.
        """
        rate_hz, frames = self.pcm.sample_rate_hz, 0
        start_ns, start_s = time.time_ns(), time.monotonic()
        with AudioFile(self._path) as file:
            for samples in _of_length(self._block_frames, file.blocks()):
                data = self.picker.pick(encode_s16le(samples))
                block = Block(data, start_ns + frames * NS_PER_S // rate_hz)
                frames += len(samples)
                if stop.wait(max(0.0, start_s + frames / rate_hz - time.monotonic())):
                    return
                yield block
            if file.problem:
                raise AudioFormatError(file.problem)


def _of_length(frames: int, blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield blocks of so many frames, the last with what is left."""
    rest: Samples | None = None
    for block in blocks:
        samples = block if rest is None else np.concatenate([rest, block])
        whole = len(samples) - len(samples) % frames
        yield from (samples[first : first + frames] for first in range(0, whole, frames))
        rest = samples[whole:]
    if rest is not None and len(rest):
        yield rest


@dataclass(frozen=True)
class _Captured:
    """This is what PortAudio's callback passes on."""

    data: bytes
    frames: int
    captured_ns: int
    lost_before: bool


class Microphone:
    """A `Microphone` captures from one device, the one that was asked for, and from no other.

    It is opened at 16 kHz mono, or at its own rate and channels where it must be or channels are chosen.
    """

    def __init__(
        self,
        wanted: str | int,
        block_ms: int,
        queue_max_blocks: int,
        channels: ChannelChoice = ALL,
        known: KnownDevice | None = None,
        bound_to: ServerSource | None = None,
    ) -> None:
        """Find the device by its name or index, or the `known` one again, and open nothing yet.

        `bound_to` is what stood behind it at the sound server before.

        Raises DeviceError, which lists the devices there are, and AudioFormatError where the device lacks a channel.
        """
        self._portaudio = load_portaudio()
        self._given = wanted, block_ms, queue_max_blocks, channels
        self._queue: BoundedQueue[_Captured] = BoundedQueue(queue_max_blocks)
        self._lost_before = False
        self._stream: Any = None
        self._server: ServerStream | None = None
        self._bound_to = bound_to
        self.overflows = 0
        devices = input_devices(self._portaudio)
        if known is None:
            self.device = find(wanted, devices)
            self._known = KnownDevice.among(self.device, devices)
        else:
            self.device, self._known = known.again(devices), known
        self.word = word_for(self.device, devices)  # that finds this device and no other
        self.opened = opened_format(self._portaudio, self.device, channels)
        self.picker = ChannelPicker(channels, self.opened)
        self.pcm = self.picker.pcm
        self.latency_s = 0.0  # of the open stream, as the driver says it
        self._block_frames = self.opened.sample_rate_hz * block_ms // 1000

    def again(self) -> Microphone:
        """Return the same device anew, not opened: it may have been unplugged and plugged in meanwhile.

        Raises DeviceError where it is not there; no other is taken in its place.
        """
        return Microphone(*self._given, known=self._known, bound_to=self._bound_to)

    def __str__(self) -> str:
        """Return the device and how it is opened, for the log."""
        channels = f'{self.opened.channels} channel' + ('s' if self.opened.channels > 1 else '')
        latency = f', latency {1e3 * self.latency_s:.0f} ms' if self.latency_s else ''
        source = f", '{self.server_source.name}' of the sound server" if self.server_source else ''
        return (
            f'{self.device}, device {self.device.index}, {self.opened.sample_rate_hz} Hz, {channels}{latency}{source}'
        )

    @property
    def server_source(self) -> ServerSource | None:
        """Return what the open device is at the sound server now; None where there is none, or it does not tell."""
        return self._server.source if self._server else None

    @property
    def dropped(self) -> int:
        """Return how many blocks were dropped because nobody took them in time."""
        return self._queue.dropped

    def open(self) -> None:
        """Start to capture; raise DeviceError where that fails, or the sound server gives another microphone."""
        try:
            self._stream = self._portaudio.RawInputStream(
                device=self.device.index,
                samplerate=self.opened.sample_rate_hz,
                channels=self.opened.channels,
                dtype='int16',
                blocksize=self._block_frames,
                callback=self._on_block,
            )
            self._stream.start()
            self.latency_s = float(self._stream.latency)
        except self._portaudio.PortAudioError as error:
            self.close()
            raise DeviceError(
                f'microphone {self.device} cannot be opened ({error}); end the program that uses it (fuser -v '
                '/dev/snd/* tells which), or set device to another'
            ) from error
        if self.device.may_be_served:
            with contextlib.suppress(OSError):  # nobody to ask
                self._server = ServerStream()
        self._check_source()

    def close(self) -> None:
        """Stop for good: release the device, and forget what was captured but not taken."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None
        self._queue.flush()

    def blocks(self, stop: Event) -> Iterator[Block]:
        """Yield blocks until `stop`.

        Raises DeviceLost when the device delivers nothing for a second, or for four at first, or when the sound server
        has put another microphone in its place.
        """
        clock = CaptureClock(self.opened.sample_rate_hz)
        dead_s = time.monotonic() + _FIRST_AFTER_S
        while not stop.is_set():
            captured = self._queue.get(_POLL_S)
            if captured is not None:
                if self._server is not None and self._server.moved():
                    self._check_moved()
                stamp_ns = clock.stamp_ns(captured.captured_ns, captured.frames, captured.lost_before)
                yield Block(self.picker.pick(captured.data), stamp_ns)
                dead_s = time.monotonic() + _DEAD_AFTER_S
            elif time.monotonic() > dead_s:
                raise DeviceLost(
                    f'microphone {self.device} delivers no sound; plug it in again, or let the sound server resume it, '
                    'and it is used again'
                )

    def _check_source(self) -> None:
        """Raises DeviceError."""
        source = self.server_source
        if self.device.is_systems_choice or source is None:
            return
        if self._bound_to is not None and source.name != self._bound_to.name:
            self.close()
            raise DeviceError(
                f"the sound server gives '{source.name}' for microphone {self.device}, which was "
                f"'{self._bound_to.name}'; plug that in, and it is used again. No other is taken in its place"
            )
        self._bound_to = source

    def _check_moved(self) -> None:
        """Raises DeviceLost."""
        source = self.server_source
        if source is not None and not self.device.is_systems_choice:
            raise DeviceLost(
                f"microphone {self.device} is gone, and the sound server gives '{source.name}' in its place, which is "
                'not used; plug it in again, and it is used again'
            )

    def _on_block(self, data: Any, frames: int, times: Any, status: Any) -> None:
        # On PortAudio's own thread: copy, stamp, queue; nothing that waits.
        in_device_s = max(0.0, times.currentTime - times.inputBufferAdcTime) if times.inputBufferAdcTime else 0.0
        duration_s = frames / self.opened.sample_rate_hz
        # Some backends report no latency, or nonsense; a block is at least its own length old.
        age_s = min(max(in_device_s, duration_s), duration_s + 0.5)
        if status.input_overflow:
            self.overflows += 1
        lost = bool(status.input_overflow) or self._lost_before
        captured = _Captured(bytes(data), frames, time.time_ns() - int(age_s * NS_PER_S), lost)
        self._lost_before = not self._queue.put(captured)


def opened_format(portaudio: Any, device: InputDevice, channels: ChannelChoice) -> PcmFormat:
    """Return how a device is to be opened for this choice: at 16 kHz where it can, else at its own rate.

    Nobody but the driver knows how it makes one channel out of several; where channels are chosen it is asked for all.
    """
    if not channels.given:
        count, own = 1, min(device.channels, _MAX_OWN_CHANNELS)
    elif device.converts:  # as many as are asked for, whatever the microphone has; a pair is given as it is
        count = own = min(device.channels, max(2, channels.needed))
    else:
        count = own = min(device.channels, MAX_CHANNELS)
    try:
        portaudio.check_input_settings(device=device.index, channels=count, dtype='int16', samplerate=SAMPLE_RATE_HZ)
        return PcmFormat(SAMPLE_RATE_HZ, count, SAMPLE_FORMAT)
    except portaudio.PortAudioError:
        return PcmFormat(device.default_rate_hz, own, SAMPLE_FORMAT)
