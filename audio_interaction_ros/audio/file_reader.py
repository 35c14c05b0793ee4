"""Audio files of any length, block by block: flat memory, read up to where they are damaged, and the damage is told."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from audio_interaction_ros.audio.channels import ALL, ChannelChoice
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, Samples
from audio_interaction_ros.audio.resample import pieces_at_16k, to_mono_16k

_BLOCK_S = 1.0
_SMALL_FRAMES = 256  # a block near the damage: so little is lost beside what cannot be decoded
_NO_SOUND = b'LIST', b'JUNK', b'PEAK', b'bext', b'cue ', b'fact', b'id3 ', b'smpl'
_LONGEST_HEADER = 1 << 20
NO_LENGTH = 1 << 62  # frames: libsndfile gives the largest number there is for a FLAC whose header has no length
# Of a file that was written to a pipe: the writer did not know its length and wrote the largest, or nearly.
_LENGTH_UNKNOWN = range(0x7FFF_0000, 0x8000_1000), range(0xFFFF_0000, 0x1_0000_0000)
_HOLE = 'reports a hole'  # what libsndfile's log says of an OGG when a page is missing, or is not as it was written
_NO_LAST_PAGE = 'File ended unexpectedly'  # likewise, when all was decoded
_PROMISED = re.compile(r'^\s*(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)', re.MULTILINE)


class AudioFile:
    """An `AudioFile` is a WAV, FLAC, OGG … file that is read forwards, once, in blocks of a second.

    `pcm` is its rate, the channels that are read and the format of its blocks, F32LE; `numbers` are those channels in
    the file. `damage` is what was found wrong with the file
    so far, one sentence, although its sound could be used up to there, and of an OGG or MP3 after it too; None where
    nothing was. `unfinished` is likewise the sentence for a file whose header was never completed, and of which nothing
    that is known is missing.
    """

    def __init__(self, path: Path | str, channels: ChannelChoice = ALL) -> None:
        """Open the file, of which `channels` are read; with `mix` it is the listener that averages them.

        Raises AudioFormatError where it is missing, no audio, of a rate that is not read, or lacks a channel.
        """
        self._path = str(path)
        self.frames = 0
        self.damage: str | None = None
        self.unfinished: str | None = None
        self._file = self._open()
        try:
            self.numbers = channels.numbers_of(int(self._file.channels))
            self._all = self.numbers == tuple(range(self._file.channels))
            self.pcm = PcmFormat(int(self._file.samplerate), len(self.numbers), 'F32LE')
            self._log = self._file.extra_info
        except AudioFormatError as error:
            self._file.close()
            raise AudioFormatError(f"'{path}': {error}") from error

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def problem(self) -> str | None:
        """Return what is wrong with the file although its sound could be used, so far; None where nothing is."""
        return self.damage or self.unfinished

    @property
    def promised_s(self) -> float | None:
        """Return how long the file is by its header; None where that does not say."""
        frames: int = self._file.frames
        return frames / self.pcm.sample_rate_hz if frames < NO_LENGTH else None

    def check_end(self) -> None:
        """Set `damage` to what the end of the file lacks by its header, of a file that another reader decodes whole."""
        if self._file.frames < NO_LENGTH:
            self.frames = self._file.frames
            self._compare(self.frames, 'lacks an end-of-stream bit')

    def blocks(self) -> Iterator[Samples]:
        """Yield float32 [frames, channels] until the end of the file or to where it is damaged; `damage` says so then.

        Of an OGG with a hole, what comes after the hole follows at once; `damage` is set with the block that has it.

        Raises AudioFormatError where there is no sound at all, or NaN or infinite samples at its beginning.
        """
        promised, hole_at = self._file.frames, None
        for block in self._read():
            finite = np.isfinite(block)
            sound = block if finite.all() else block[: int(np.argmin(finite.all(axis=1)))]
            if hole_at is None and _HOLE in self._file.extra_info:
                hole_at = self.frames
                self._has_hole(hole_at)
            self.frames += len(sound)
            if len(sound):
                yield sound if self._all else sound[:, list(self.numbers)]
            if len(sound) < len(block):
                what = 'holds NaN or infinite samples, finite ones expected'
                if not self.frames:
                    raise AudioFormatError(f"'{self._path}' {what}; write the file again from its source")
                self._damaged(what)
                break
        if not self.frames:
            raise AudioFormatError(
                f"'{self._path}' "
                + (f'has no sound that can be used ({self.damage})' if self.damage else 'holds no samples')
                + '; give a file with at least some sound in it'
            )
        if hole_at is not None and self.frames < promised:
            self._has_hole(hole_at, promised - self.frames)
        elif self.damage is None:
            self._log = self._file.extra_info
            self._compare(promised, _NO_LAST_PAGE)

    def _read(self) -> Iterator[Samples]:
        frames = max(1, round(self.pcm.sample_rate_hz * _BLOCK_S))
        at = 0
        try:
            while len(block := self._file.read(frames, dtype='float32', always_2d=True)):
                at += len(block)
                yield block
            return
        except Exception as error:  # what a decoder makes of a damaged file is anything
            reason = _told(error)
        yield from self._rest_before_damage(at, frames)
        self._damaged(f'cannot be decoded any further ({reason})')

    def _rest_before_damage(self, at: int, frames: int) -> Iterator[Samples]:
        """Read again what can be had of the block that failed."""
        try:
            self._file.close()
            self._file = self._open()
            for skipped in range(0, at, frames):  # to seek is what damaged files cannot
                self._file.read(min(frames, at - skipped), dtype='float32', always_2d=True)
            for _ in range(0, frames, _SMALL_FRAMES):
                block = self._file.read(_SMALL_FRAMES, dtype='float32', always_2d=True)
                if not len(block):
                    return
                yield block
        except Exception:  # it is the damage that was found before
            return

    def _compare(self, promised: int, lacks_end: str) -> None:
        rate_hz = self.pcm.sample_rate_hz
        if self.frames < promised < NO_LENGTH and self._file.format == 'MP3':  # of which a hole tells nothing
            self.damage = (
                f"'{self._path}' is damaged: of the {promised / rate_hz:.1f} s that its header promises "
                f'{(promised - self.frames) / rate_hz:.1f} s are missing, at its end or before; what can be decoded '
                'was used, copy the file again from its source'
            )
            return
        if self.frames < promised < NO_LENGTH:
            self._damaged(f'ends there, and its header promises {promised / rate_hz:.1f} s')
            return
        for found in _PROMISED.finditer(self._log):
            said, there = int(found[1]), int(found[2])
            if said > there and there and not any(said in unknown for unknown in _LENGTH_UNKNOWN):
                promised_s = self.frames / rate_hz * said / there
                self._damaged(f'ends there, and its header promises {promised_s:.1f} s')
                return
        if lacks_end in self._log:
            self._damaged('lacks its last part')

    def _has_hole(self, at: int, missing: int | None = None) -> None:
        rate_hz = self.pcm.sample_rate_hz
        part = 'a part' if missing is None else f'{missing / rate_hz:.1f} s'
        self.damage = (
            f"'{self._path}' is damaged after {at / rate_hz:.1f} s: {part} of it cannot be decoded, and what comes "
            'after follows so much too early; the rest was used, copy the file again from its source'
        )

    def _damaged(self, what: str) -> None:
        self.damage = (
            f"'{self._path}' is damaged after {self.frames / self.pcm.sample_rate_hz:.1f} s: it {what}; what comes "
            'before was used, copy the file again from its source'
        )

    def _open(self) -> _Forward:
        path = os.path.expanduser(self._path)
        try:
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                raise AudioFormatError(f"'{self._path}' is a folder; give an audio file in it")
            if not stat.S_ISREG(mode):
                return _Forward(path)  # a pipe is read once, by the decoder
            return _Forward(self._completed(path))
        except FileNotFoundError as error:
            raise AudioFormatError(f"'{self._path}' is not there; check the path") from error
        except PermissionError as error:
            raise AudioFormatError(
                f"'{self._path}' may not be read by you; give your user the right to read it"
            ) from error
        except AudioFormatError:
            raise
        except Exception as error:  # whatever a library makes of a file that is none
            raise AudioFormatError(
                f"'{self._path}' cannot be read as audio ({_told(error)}); give a WAV or FLAC file"
            ) from error

    def _completed(self, path: str) -> str | _Patched:
        """The path; or, of a WAV whose writer was killed before it wrote the length, the file as it should be."""
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise AudioFormatError(f"'{self._path}' is empty (0 bytes); give a file with at least some sound in it")
            patches = _lengths(file.read(_LONGEST_HEADER), size)
        if not patches:
            return path
        self.unfinished = (
            f"'{self._path}' was never finished, its header says that it is empty; all that follows the header was "
            'used as sound'
        )
        return _Patched(path, patches)


@dataclass(frozen=True)
class Recording:
    """A `Recording` is the sound of an audio file: float32 [n] at 16 kHz mono.

    `problem` is one sentence on what is wrong with the file although its sound could be used, as up to where it is
    damaged; None where nothing is.
    """

    samples: Samples
    problem: str | None = None


def read_recording(path: Path | str, longest_s: float | None = None, channels: ChannelChoice = ALL) -> Recording:
    """Return the sound of a file, averaged over `channels`, or about its first `longest_s` seconds where it is longer.

    It is read block by block, so that memory holds only what is returned. Raises AudioFormatError, as `AudioFile` does.
    """
    with AudioFile(path, channels) as file:
        rate_hz = file.pcm.sample_rate_hz
        longest = None if longest_s is None else round(longest_s * rate_hz)
        blocks = takewhile(lambda _: longest is None or file.frames <= longest, file.blocks())
        samples = np.concatenate(list(pieces_at_16k(blocks, rate_hz)))
    return Recording(samples, file.problem)


def read_piece(path: Path | str, start_s: float, end_s: float) -> Recording:
    """Return the sound of a file between two times, in seconds, of a damaged one what of it comes before the damage.

    Raises AudioFormatError, as `AudioFile` does, and where the damage comes before the piece.
    """
    with AudioFile(path) as file:
        rate_hz = file.pcm.sample_rate_hz
        first, last, at = round(start_s * rate_hz), round(end_s * rate_hz), 0
        kept: list[Samples] = []
        for block in file.blocks():
            kept.append(block[max(first - at, 0) : max(last - at, 0)])
            at += len(block)
            if at >= last or file.damage:  # after a hole no time is right
                break
        samples = to_mono_16k(np.concatenate(kept), rate_hz)
        if not len(samples):
            raise AudioFormatError(
                f"'{path}' has no sound after {start_s:.1f} s that can be used; copy it again from its source"
            )
    return Recording(samples, file.problem)


class _Forward(soundfile.SoundFile):
    """It reads forwards only: soundfile seeks after each block, which a FLAC without a length cannot do at its end."""

    def seekable(self) -> bool:
        return False


class _Patched(io.FileIO):
    """A file of which some bytes are replaced by others."""

    def __init__(self, path: str, patches: dict[int, bytes]) -> None:
        super().__init__(path)
        self._patches = patches

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        first = self.tell()
        view = memoryview(buffer).cast('B')
        count = super().readinto(view)
        for offset, patch in self._patches.items():
            for number, byte in enumerate(patch, offset - first):
                if 0 <= number < count:
                    view[number] = byte
        return count


def _lengths(head: bytes, size: int) -> dict[int, bytes]:
    """The lengths that a RIFF or RF64 header lacks, by their offset; none where it has them or is something else."""
    if head[:4] not in (b'RIFF', b'RF64') or head[8:12] != b'WAVE':
        return {}
    large = head[:4] == b'RF64'
    at, ds64 = 12, -1
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], 'little')
        if name == b'ds64':
            ds64 = at + 8
        if name == b'data':
            break
        at += 8 + length + length % 2
    else:
        return {}
    sound = size - at - 8
    if large and ds64 > 0:
        length = int.from_bytes(head[ds64 + 8 : ds64 + 16], 'little')
    if length or sound <= 0 or head[at + 8 : at + 12] in _NO_SOUND:
        return {}
    if large:
        return {ds64: (size - 8).to_bytes(8, 'little') + sound.to_bytes(8, 'little')} if ds64 > 0 else {}
    # The largest for what is larger than the format allows: then the decoder goes to the end of the file.
    return {4: min(size - 8, 0xFFFF_FFFF).to_bytes(4, 'little'), at + 4: min(sound, 0xFFFF_FFFF).to_bytes(4, 'little')}


def _told(error: Exception) -> str:
    """What an exception says, or what it is where it says nothing."""
    words = str(error)
    if isinstance(error, soundfile.LibsndfileError):
        words = error.error_string
    return ' '.join(words.split()).rstrip('.') or type(error).__name__
