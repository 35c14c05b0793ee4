"""Where sound comes from: a microphone through PortAudio, or a file played in real time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import soundfile

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.bounded import BoundedQueue
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, encode_s16le
from audio_interaction_ros.audio.timeline import NS_PER_S, CaptureClock

SAMPLE_FORMAT = 'S16LE'
_DEAD_AFTER_S = 1.0
_FIRST_AFTER_S = 4.0  # PulseAudio has been seen to take two seconds to begin
_POLL_S = 0.1  # so that `stop` is heard although the device is dead
_MAX_OWN_CHANNELS = 8  # of a device without a mono mode; PulseAudio offers 32 that are not there


class DeviceError(ValueError):
    """A `DeviceError` says that there is no such microphone, or that it cannot be opened."""


class DeviceLost(RuntimeError):
    """A `DeviceLost` says that the microphone stopped delivering."""


@dataclass(frozen=True)
class Block:
    """A `Block` holds interleaved S16LE bytes and the capture time of their first sample."""

    data: bytes
    stamp_ns: int


class FileSource:
    """A `FileSource` plays a WAV, FLAC … file, each block when its sound would have been captured."""

    def __init__(self, path: str, block_ms: int) -> None:
        """Look at the file; raise AudioFormatError when it cannot be read or is empty."""
        try:
            info = soundfile.info(str(Path(path).expanduser()))
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioFormatError(f"'{path}' cannot be read as audio ({error}); give a WAV or FLAC file") from error
        if not info.frames:
            raise AudioFormatError(f"'{path}' holds no samples; give a file with at least some sound in it")
        self._path = str(Path(path).expanduser())
        self.pcm = PcmFormat(int(info.samplerate), int(info.channels), SAMPLE_FORMAT)
        self.duration_s = info.frames / info.samplerate
        self._block_frames = self.pcm.sample_rate_hz * block_ms // 1000

    def blocks(self, stop: Event) -> Iterator[Block]:
        """Yield blocks until the end of the file or `stop`; raise AudioFormatError when the file turns out damaged."""
        rate_hz, frames = self.pcm.sample_rate_hz, 0
        start_ns, start_s = time.time_ns(), time.monotonic()
        try:
            with soundfile.SoundFile(self._path) as file:
                while len(samples := file.read(self._block_frames, dtype='float32', always_2d=True)):
                    if not np.isfinite(samples).all():
                        raise AudioFormatError(f"'{self._path}' holds NaN or infinite samples; write it again")
                    block = Block(encode_s16le(samples), start_ns + frames * NS_PER_S // rate_hz)
                    frames += len(samples)
                    if stop.wait(max(0.0, start_s + frames / rate_hz - time.monotonic())):
                        return
                    yield block
        except soundfile.LibsndfileError as error:
            raise AudioFormatError(f"'{self._path}' is damaged after {frames / rate_hz:.1f} s ({error})") from error


@dataclass(frozen=True)
class _Captured:
    """This is what PortAudio's callback passes on."""

    data: bytes
    frames: int
    captured_ns: int
    lost_before: bool


class Microphone:
    """A `Microphone` captures from a device that is found by index or name.

    It is opened at 16 kHz mono, or at its own rate and channels where it must be.
    """

    def __init__(self, device: str | int, block_ms: int, queue_max_blocks: int) -> None:
        """Find the device and open nothing yet; raise DeviceError, which lists the devices there are."""
        self._portaudio = _portaudio()
        self._queue: BoundedQueue[_Captured] = BoundedQueue(queue_max_blocks)
        self._lost_before = False
        self._stream: Any = None
        self.overflows = 0
        self._device, self.name, self.pcm = _choose(self._portaudio, device)
        self._block_frames = self.pcm.sample_rate_hz * block_ms // 1000

    @property
    def dropped(self) -> int:
        """Return how many blocks were dropped because nobody took them in time."""
        return self._queue.dropped

    def open(self) -> None:
        """Start to capture; raise DeviceError where that fails."""
        try:
            self._stream = self._portaudio.RawInputStream(
                device=self._device,
                samplerate=self.pcm.sample_rate_hz,
                channels=self.pcm.channels,
                dtype='int16',
                blocksize=self._block_frames,
                callback=self._on_block,
            )
            self._stream.start()
        except self._portaudio.PortAudioError as error:
            self.close()
            raise DeviceError(
                f"microphone '{self.name}' cannot be opened ({error}); is another program using it?"
            ) from error

    def close(self) -> None:
        """Stop for good: release the device, and forget what was captured but not taken."""
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None
        self._queue.flush()

    def blocks(self, stop: Event) -> Iterator[Block]:
        """Yield blocks until `stop`.

        Raises DeviceLost when the device delivers nothing for a second, or for four at first.
        """
        clock = CaptureClock(self.pcm.sample_rate_hz)
        dead_s = time.monotonic() + _FIRST_AFTER_S
        while not stop.is_set():
            captured = self._queue.get(_POLL_S)
            if captured is not None:
                stamp_ns = clock.stamp_ns(captured.captured_ns, captured.frames, captured.lost_before)
                yield Block(captured.data, stamp_ns)
                dead_s = time.monotonic() + _DEAD_AFTER_S
            elif time.monotonic() > dead_s:
                raise DeviceLost(f"microphone '{self.name}' delivers no sound; is it still plugged in?")

    def _on_block(self, data: Any, frames: int, times: Any, status: Any) -> None:
        # On PortAudio's own thread: copy, stamp, queue; nothing that waits.
        in_device_s = max(0.0, times.currentTime - times.inputBufferAdcTime) if times.inputBufferAdcTime else 0.0
        duration_s = frames / self.pcm.sample_rate_hz
        # Some backends report no latency, or nonsense; a block is at least its own length old.
        age_s = min(max(in_device_s, duration_s), duration_s + 0.5)
        if status.input_overflow:
            self.overflows += 1
        lost = bool(status.input_overflow) or self._lost_before
        captured = _Captured(bytes(data), frames, time.time_ns() - int(age_s * NS_PER_S), lost)
        self._lost_before = not self._queue.put(captured)


def _portaudio() -> Any:
    # Imported here: files play, and every other node runs, on machines without PortAudio.
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise DeviceError(
            f'microphones need PortAudio ({error}); install it (apt install libportaudio2), or set file'
        ) from error
    # PortAudio lists devices once, at its start; one that was plugged in since then is found this way.
    sounddevice._terminate()
    sounddevice._initialize()
    return sounddevice


def _choose(portaudio: Any, wanted: str | int) -> tuple[int, str, PcmFormat]:
    inputs = {
        index: device for index, device in enumerate(portaudio.query_devices()) if device['max_input_channels'] > 0
    }
    if isinstance(wanted, str) and wanted.strip().isdigit():
        wanted = int(wanted)
    if wanted == '':
        matching = [index for index in [portaudio.default.device[0]] if index in inputs]
    elif isinstance(wanted, int):
        matching = [wanted] if wanted in inputs else []
    else:
        matching = [index for index, device in inputs.items() if wanted.lower() in device['name'].lower()]
    if not matching:
        there = ', '.join(f"{index} '{device['name']}'" for index, device in inputs.items()) or 'none'
        sought = f"no microphone matches '{wanted}'" if wanted != '' else 'the system has no default microphone'
        raise DeviceError(f'{sought}; there are: {there}; set device to an index or a part of a name, or set file')
    index = matching[0]
    return index, inputs[index]['name'], _format_of(portaudio, index, inputs[index])


def _format_of(portaudio: Any, index: int, device: Any) -> PcmFormat:
    try:
        portaudio.check_input_settings(device=index, channels=1, dtype='int16', samplerate=SAMPLE_RATE_HZ)
        return PcmFormat(SAMPLE_RATE_HZ, 1, SAMPLE_FORMAT)
    except portaudio.PortAudioError:
        channels = min(int(device['max_input_channels']), _MAX_OWN_CHANNELS)
        return PcmFormat(int(device['default_samplerate']), channels, SAMPLE_FORMAT)
