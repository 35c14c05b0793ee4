"""Bags that were not finished (a killed recorder, a full disk, a copy cut off), read up to where they end."""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from zlib import crc32

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError

from audio_interaction_ros.bag_files import ENDING, MAGIC, SUFFIXES

UNFINISHED = 'recording'
_CHUNK, _DATA_END = 0x06, 0x0F
_MAX_CUT_BYTES = 1 << 28


class UnfinishedBag:
    """An `UnfinishedBag` reads the files of a bag one after the other, as rosbags' `Reader` would a finished one.

    `remarks` are sentences on what was not finished and where it ends.
    """

    def __init__(self, path: Path, files: list[Path]) -> None:
        """Take the bag at `path` with these files, in order."""
        self.path = path
        self.connections: list[Connection] = []
        self.remarks: list[str] = []
        self._files = files
        self._readers: list[Reader] = []
        self._open = ExitStack()

    def open(self) -> None:
        """Open every file that holds something; raise ReaderError when none does."""
        failures = []
        with ExitStack() as opened:
            for file in self._files:
                try:
                    reader = Reader(self._mended(file))
                    opened.enter_context(reader)
                except (ReaderError, OSError, sqlite3.Error) as error:
                    failures.append(f"'{file.name}': {error}")
                    continue
                self._readers.append(reader)
            if not self._readers:
                raise ReaderError('; '.join(failures) or 'it has no .mcap or .db3 file')
            self._open = opened.pop_all()
        self.remarks += [f'left out {failure}' for failure in failures]
        merged: dict[tuple[str, str], Connection] = {}
        for reader in self._readers:
            for connection in reader.connections:
                key = connection.topic, connection.msgtype
                counted = merged[key].msgcount if key in merged else 0
                merged[key] = connection._replace(msgcount=counted + connection.msgcount)
        self.connections = list(merged.values())
        if not self.remarks:
            count = sum(connection.msgcount for connection in self.connections)
            self.remarks.append(f"'{self.path}' was not finished by its recorder; its {count} messages are read")

    def close(self) -> None:
        """Close every file."""
        self._open.close()

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time in ns and bytes of every message of these connections."""
        wanted = {(connection.topic, connection.msgtype): connection for connection in connections}
        for reader in self._readers:
            own = [found for found in reader.connections if (found.topic, found.msgtype) in wanted]
            if own:
                for found, time_ns, raw in reader.messages(own):
                    yield wanted[found.topic, found.msgtype], time_ns, raw

    def _mended(self, file: Path) -> Path:
        if file.suffix == '.db3':
            _roll_back(file)
            return file
        if _is_whole(file):
            return file
        cut = CutMcap(file)
        self.remarks.append(
            f"'{file}' was not finished ({cut.lost} bytes at its end are not whole); it is read up to there"
        )
        return cast('Path', cut)


def unfinished_files(path: Path) -> list[Path]:
    """Return the files of a bag that was not finished, in order; none for a finished one. Raises OSError."""
    if path.is_file():
        return [path] if not _is_whole(path) else []
    files = _files(path)
    try:
        metadata = _metadata(path)
    except FileNotFoundError:
        return files
    if metadata.get('compression_mode'):  # only the metadata says how
        return []
    if metadata and UNFINISHED not in (metadata.get('custom_data') or {}) and all(map(_is_whole, files)):
        return []
    return files


def files_without_metadata(path: Path) -> list[Path]:
    """Return the files of a finished bag that can be read without its metadata.yaml, in order. Raises OSError."""
    return [] if not path.is_dir() or _metadata(path).get('compression_mode') else _files(path)


def _files(path: Path) -> list[Path]:
    return sorted((file for file in path.iterdir() if file.suffix in SUFFIXES), key=_order)


def _metadata(path: Path) -> dict[str, Any]:
    """Return what metadata.yaml says; nothing where it is damaged. Raises OSError."""
    content = (path / 'metadata.yaml').read_bytes()
    with suppress(Exception):  # what a YAML reader makes of a file that is none is anything
        metadata = yaml.safe_load(content.decode())['rosbag2_bagfile_information']
        if isinstance(metadata, dict) and isinstance(metadata.get('custom_data'), dict | None):
            return metadata
    return {}


def _order(file: Path) -> tuple[int, str]:
    number = file.stem.rpartition('_')[2]
    return (int(number) if number.isdecimal() else -1), file.name


def _is_whole(file: Path) -> bool:
    """Whether the file ends as its format says; what is not of that format is not for this module to judge."""
    if file.suffix == '.db3':
        return not file.with_name(f'{file.name}-journal').exists()
    with file.open('rb') as bytes_:
        if file.suffix != '.mcap' or bytes_.read(len(MAGIC)) != MAGIC:
            return True
        size = bytes_.seek(0, io.SEEK_END)
        bytes_.seek(max(0, size - len(MAGIC)))
        return size > 2 * len(MAGIC) and bytes_.read() == MAGIC


def _roll_back(file: Path) -> None:
    """Let sqlite undo a commit that was cut off: its journal lies beside the file, and other readers overlook it."""
    with suppress(sqlite3.Error):  # not a database, or a read-only folder: the reader says what is wrong
        database = sqlite3.connect(file)
        try:
            database.execute('SELECT count(*) FROM topics').fetchone()
        finally:
            database.close()


class CutMcap:
    """A `CutMcap` is an MCAP file that ends anywhere, with a lawful ending where its last whole message ends.

    Nothing is written: it is the path-like object that rosbags' `Reader` opens. `lost` counts the bytes that
    could not be used.
    """

    suffix = '.mcap'

    def __init__(self, path: Path) -> None:
        """Find where the whole records of `path` end; raise OSError."""
        self.name = path.name
        self._path = path
        with path.open('rb') as file:
            size = file.seek(0, io.SEEK_END)
            self._end, self._tail = _whole_records(file, size)
            self.lost = size - self._end - len(self._tail)

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Return False: it is a file."""
        return False

    def open(self, mode: str = 'rb') -> BinaryIO:
        """Open the file as it would be with a lawful ending."""
        assert mode == 'rb'
        return cast('BinaryIO', io.BufferedReader(_Spliced(self._path, self._end, self._tail + ENDING)))


def _whole_records(file: BinaryIO, size: int) -> tuple[int, bytes]:
    """Return where the last whole record ends, and the whole records within the chunk that was cut after it."""
    end = file.seek(len(MAGIC))
    while len(head := file.read(9)) == 9:
        operation, length = struct.unpack('<BQ', head)
        if operation in (0, _DATA_END):  # blank disk, or an index that was cut
            break
        if operation == _CHUNK:
            chunk = file.read(min(length, _MAX_CUT_BYTES))
            if len(chunk) < length or _damaged(chunk):
                return end, _whole_messages(chunk)
        if end + 9 + length > size:
            break
        end = file.seek(end + 9 + length)
    return end, b''


def _damaged(chunk: bytes) -> bool:
    """Whether a chunk that is not compressed is not what its checksum says: a disk that lost power leaves such."""
    checksum, compression_length = struct.unpack_from('<II', chunk.ljust(32, b'\0'), 24)
    return bool(checksum and not compression_length and crc32(chunk[40:]) != checksum)


def _whole_messages(chunk: bytes) -> bytes:
    """Return the records of a chunk that was cut, as far as they are whole."""
    if len(chunk) < 32 or len(chunk) < (start := 40 + int.from_bytes(chunk[28:32], 'little')):
        return b''
    if start > 40:
        return b''  # compressed: nothing can be had of a part
    records = chunk[start:].rstrip(b'\0')  # blank disk: a record that reaches into it is not whole
    end = 0
    while end + 9 <= len(records):
        following = end + 9 + int.from_bytes(records[end + 1 : end + 9], 'little')
        if not records[end] or following > len(records):
            break
        end = following
    return records[:end]


class _Spliced(io.RawIOBase):
    """A `_Spliced` file is the first bytes of a file and then others, for reading."""

    def __init__(self, path: Path, length: int, tail: bytes) -> None:
        self._file = path.open('rb')
        self._length, self._tail, self._at = length, tail, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length + len(self._tail)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._length:
            self._file.seek(self._at)
            data = self._file.read(min(len(buffer), self._length - self._at))
        else:
            data = self._tail[self._at - self._length :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
