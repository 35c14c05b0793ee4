"""Raw bytes of an audio message or file → float32 samples, with every doubt refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

# Sample formats that are uncompressed, as audio_common_msgs/AudioInfo names them, and their numpy dtype.
_DTYPES = {
    'S16LE': '<i2', 'S16BE': '>i2', 'F32LE': '<f4', 'F32': '<f4', 'F32BE': '>f4', 'S32LE': '<i4', 'S8': 'i1',
    'U8': 'u1',
}  # fmt: skip
# PortAudio's code of a sample format → field of that wrapper's AudioData, and our name for it.
_PORTAUDIO = {
    1: ('float32_data', 'F32LE'), 2: ('int32_data', 'S32LE'), 8: ('int16_data', 'S16LE'), 16: ('int8_data', 'S8'),
    32: ('uint8_data', 'U8'),
}  # fmt: skip
MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 4_000, 384_000
MAX_CHANNELS = 64


class AudioFormatError(ValueError):
    """An `AudioFormatError` says that sound is not as described, or of a kind that this package does not read."""


@dataclass(frozen=True)
class PcmFormat:
    """A `PcmFormat` describes interleaved uncompressed sound; `sample_format` is a key such as S16LE."""

    sample_rate_hz: int
    channels: int
    sample_format: str

    def __post_init__(self) -> None:
        if self.sample_format not in _DTYPES:
            raise AudioFormatError(
                f"sample format '{self.sample_format}' is not readable here; publish one of {', '.join(_DTYPES)}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise AudioFormatError(
                f'{self.channels} channels found, 1 to {MAX_CHANNELS} expected; correct channels, or audio_info'
            )
        if not MIN_SAMPLE_RATE_HZ <= self.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise AudioFormatError(
                f'sample rate {self.sample_rate_hz} Hz found, {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz expected'
                '; correct sample_rate, or audio_info'
            )

    @classmethod
    def from_info(cls, sample_rate: int, channels: int, sample_format: str, coding_format: str) -> PcmFormat:
        """Make a format from the fields of `audio_common_msgs/AudioInfo`.

        Raises AudioFormatError for coded streams (MP3, Opus …): decoding them is the driver's work.
        """
        if coding_format.lower() not in ('', 'wave', 'wav', 'raw', 'pcm'):
            raise AudioFormatError(
                f"the stream is coded as '{coding_format}'; set the audio driver to 'wave' (uncompressed)"
            )
        return cls(sample_rate, channels, sample_format.upper().replace('_', ''))  # ALSA writes S16_LE

    @classmethod
    def from_portaudio(cls, code: int, channels: int, sample_rate: int) -> tuple[str, PcmFormat]:
        """Make a format from the AudioInfo of the wrapper of PortAudio; return with it the field that has the samples.

        Raises AudioFormatError.
        """
        if code not in _PORTAUDIO:
            raise AudioFormatError(
                f'PortAudio sample format {code} found, one of {", ".join(map(str, _PORTAUDIO))} expected; set the '
                'audio driver to one of them'
            )
        field, sample_format = _PORTAUDIO[code]
        return field, cls(sample_rate, channels, sample_format)

    @property
    def frame_bytes(self) -> int:
        """Return how many bytes one sample of every channel takes."""
        return self.channels * np.dtype(_DTYPES[self.sample_format]).itemsize

    def seconds_of(self, size_bytes: int) -> float:
        """Return how long so many bytes sound."""
        return size_bytes / self.frame_bytes / self.sample_rate_hz

    def decode(self, data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> Samples:
        """Return interleaved bytes as float32 [frames, channels] in −1 … 1.

        Raises AudioFormatError when the size is no whole number of frames or a sample is NaN or infinite.
        """
        buffer = np.frombuffer(data, np.uint8)
        if buffer.size % self.frame_bytes:
            raise AudioFormatError(
                f'{buffer.size} bytes found, a multiple of {self.frame_bytes} expected for '
                f'{self.channels} × {self.sample_format}; correct channels and sample_format of audio_info, or send '
                'every channel of every sample'
            )
        samples = buffer.view(_DTYPES[self.sample_format]).reshape(-1, self.channels)
        if samples.dtype.kind == 'i':
            return from_integers(samples)
        if samples.dtype.kind == 'u':
            return (samples.astype(np.float32) - 128.0) / 128.0
        # Full scale is 1; the clip keeps a broken driver's huge floats from overflowing the mel energies.
        if not np.isfinite(samples).all():
            raise AudioFormatError(
                'NaN or infinite samples found, finite ones expected; set the audio driver to S16LE, which has none'
            )
        return np.clip(samples.astype(np.float32), -8.0, 8.0)


def to_int16(samples: Samples) -> npt.NDArray[np.int16]:
    """Return float samples in −1 … 1, of any shape, as 16-bit integers; louder ones are clipped.

    Full scale, 1, is 32 768 on the way there and back (`from_integers`), so 16-bit sound survives both to the bit.
    """
    return np.round(np.clip(samples, -1.0, 32_767 / 32_768) * np.float32(32_768.0)).astype(np.int16)


def from_integers(samples: npt.NDArray[np.signedinteger[Any]]) -> Samples:
    """Return signed integers of any width and shape as float32 samples, −1 … just below 1."""
    return samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))


def encode_s16le(samples: Samples) -> bytes:
    """Return float samples in −1 … 1, of any shape, as little-endian 16-bit bytes; louder ones are clipped."""
    return to_int16(samples).astype('<i2').tobytes()
