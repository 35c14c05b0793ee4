"""The files of a rosbag2 bag (MCAP, sqlite3), written so that a killed recorder leaves them readable."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

MAGIC = b'\x89MCAP0\r\n'
SUFFIXES = ('.mcap', '.db3')
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _METADATA, _METADATA_INDEX, _DATA_END = 0x07, 0x08, 0x0B, 0x0C, 0x0D, 0x0F
_MAX_CHUNK_BYTES = 1 << 20
_FOREVER_NS = 2**63 - 1


def is_bag(path: Path) -> bool:
    """Return whether a recording is read as a bag, a folder or one of its files, and not as an audio file."""
    return path.is_dir() or path.suffix in (*SUFFIXES, '.zstd')


@dataclass(frozen=True)
class Topic:
    """A `Topic` is what a bag's file says of one: its number there, names, definition and quality of service."""

    number: int
    name: str
    message_type: str
    definition: str
    type_hash: str
    qos_yaml: str


def _record(operation: int, body: bytes) -> bytes:
    return bytes([operation]) + struct.pack('<Q', len(body)) + body


def _text(text: str) -> bytes:
    return struct.pack('<I', len(text.encode())) + text.encode()


def _pairs(pairs: bytes) -> bytes:
    return struct.pack('<I', len(pairs)) + pairs


# The shortest legal end of a file: no index, so a reader goes through the records one by one.
ENDING = _record(_DATA_END, bytes(4)) + _record(_FOOTER, bytes(20)) + MAGIC


class McapPart:
    """A `McapPart` is a new MCAP file that is complete after each flush: its end is written anew with every chunk.

    Of a recorder that is killed everything flushed stays readable by whatever reads MCAP. Every method that
    writes raises OSError; the file then ends where it ended before.
    """

    def __init__(self, path: Path) -> None:
        """Make the file, which must not exist; raise OSError."""
        self.path = path
        self._topics: list[Topic] = []
        self._schemas: dict[str, int] = {}
        self._chunk_indexes: list[bytes] = []
        self._counts: dict[int, int] = {}
        self._span_ns = (_FOREVER_NS, 0)
        self._chunk_span_ns = (_FOREVER_NS, 0)
        self._new_chunk()
        self._end = 0
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            self._append(MAGIC + _record(_HEADER, _text('ros2') + _text('audio_interaction_ros')))
        except OSError:
            os.close(self._file)
            path.unlink(missing_ok=True)
            raise

    @property
    def size(self) -> int:
        """Return how many bytes the file has, with those that wait for the next flush."""
        return self._end + len(self._chunk) + len(ENDING)

    def add_topic(self, topic: Topic) -> None:
        """Write what readers must know of a topic before its first message."""
        records = b''
        if topic.message_type not in self._schemas:
            self._schemas[topic.message_type] = len(self._schemas) + 1
            records += self._schema(topic)
        self._topics.append(topic)
        self._counts[topic.number] = 0
        self._append(records + self._channel(topic))

    def write(self, number: int, time_ns: int, cdr: bytes | memoryview) -> None:
        """Take a message of the topic with this number; it is on disk after the next flush."""
        self._index[number] += struct.pack('<QQ', time_ns, len(self._chunk))
        self._chunk += _record(_MESSAGE, struct.pack('<HIQQ', number, 0, time_ns, time_ns) + bytes(cdr))
        self._chunk_span_ns = (min(time_ns, self._chunk_span_ns[0]), max(time_ns, self._chunk_span_ns[1]))
        if len(self._chunk) > _MAX_CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the messages taken so far as a chunk, and see that they are on the disk."""
        if not self._chunk:
            return
        first_ns, last_ns = self._chunk_span_ns
        head = struct.pack('<QQQI', first_ns, last_ns, len(self._chunk), crc32(self._chunk))
        chunk = _record(_CHUNK, head + _text('') + struct.pack('<Q', len(self._chunk)) + bytes(self._chunk))
        indexes, offsets = b'', b''
        for number, entries in self._index.items():
            offsets += struct.pack('<HQ', number, self._end + len(chunk) + len(indexes))
            indexes += _record(_MESSAGE_INDEX, struct.pack('<H', number) + _pairs(bytes(entries)))
        chunk_index = (
            struct.pack('<QQQQ', first_ns, last_ns, self._end, len(chunk))
            + _pairs(offsets)
            + struct.pack('<Q', len(indexes))
            + _text('')
            + struct.pack('<QQ', len(self._chunk), len(self._chunk))
        )
        self._append(chunk + indexes)
        self._chunk_indexes.append(_record(_CHUNK_INDEX, chunk_index))
        for number, entries in self._index.items():
            self._counts[number] += len(entries) // 16
        self._span_ns = (min(first_ns, self._span_ns[0]), max(last_ns, self._span_ns[1]))
        self._new_chunk()

    def close(self, metadata: str) -> None:
        """Write the index, which lets readers seek, and the bag's metadata; close the file in any case."""
        if self._file < 0:
            return
        try:
            self.flush()
            metadata_record = _record(
                _METADATA, _text('rosbag2') + _pairs(_text('serialized_metadata') + _text(metadata))
            )
            data = metadata_record + _record(_DATA_END, bytes(4))
            summary_start = self._end + len(data)
            counts = b''.join(struct.pack('<HQ', number, count) for number, count in sorted(self._counts.items()))
            numbers = (sum(self._counts.values()), len(self._schemas), len(self._topics), 0, 1)
            summary = b''.join(
                [
                    self._schema(next(topic for topic in self._topics if topic.message_type == kind))
                    for kind in self._schemas
                ]
                + [self._channel(topic) for topic in self._topics]
                + self._chunk_indexes
                + [
                    _record(_METADATA_INDEX, struct.pack('<QQ', self._end, len(metadata_record)) + _text('rosbag2')),
                    _record(
                        _STATISTICS,
                        struct.pack('<QHIIIIQQ', *numbers, len(self._chunk_indexes), *self._span_ns) + _pairs(counts),
                    ),
                ]
            )
            self._append(data + summary, _record(_FOOTER, struct.pack('<QQI', summary_start, 0, 0)) + MAGIC)
        finally:
            os.close(self._file)
            self._file = -1

    def _new_chunk(self) -> None:
        self._chunk = bytearray()
        self._index: dict[int, bytearray] = defaultdict(bytearray)
        self._chunk_span_ns = (_FOREVER_NS, 0)

    def _schema(self, topic: Topic) -> bytes:
        number = struct.pack('<H', self._schemas[topic.message_type])
        return _record(_SCHEMA, number + _text(topic.message_type) + _text('ros2msg') + _text(topic.definition))

    def _channel(self, topic: Topic) -> bytes:
        numbers = struct.pack('<HH', topic.number, self._schemas[topic.message_type])
        qos = _pairs(_text('offered_qos_profiles') + _text(topic.qos_yaml))
        return _record(_CHANNEL, numbers + _text(topic.name) + _text('cdr') + qos)

    def _append(self, records: bytes, ending: bytes = ENDING) -> None:
        """Write over the old ending; when that fails, put it back where it was."""
        data = records + ending
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, memoryview(data)[written:], self._end + written)
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # these bytes of the disk are the file's own already
                os.pwrite(self._file, ENDING, self._end)
                os.ftruncate(self._file, self._end + len(ENDING))
            raise
        self._end += len(records)


class SqlitePart:
    """A `SqlitePart` is a new sqlite3 file of a bag; a flush commits. Methods that write raise sqlite3.Error."""

    _TABLES = """
    CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
    CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);
    CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
      serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL, type_description_hash TEXT NOT NULL);
    CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT NULL,
      encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL);
    CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
      data BLOB NOT NULL);
    CREATE INDEX timestamp_idx ON messages (timestamp ASC);
    INSERT INTO schema(schema_version, ros_distro) VALUES (4, 'audio_interaction_ros');
    """

    def __init__(self, path: Path) -> None:
        """Make the file; raise sqlite3.Error."""
        self.path = path
        self._types: set[str] = set()
        self._database = sqlite3.connect(path)
        self._database.executescript(self._TABLES)
        self._open = True

    @property
    def size(self) -> int:
        """Return how many bytes the file has, with those that wait for the next flush."""
        if not self._open:
            return self.path.stat().st_size
        (pages,), (page_size,) = (
            self._database.execute(f'PRAGMA {name}').fetchone() for name in ('page_count', 'page_size')
        )
        return int(pages * page_size)

    def add_topic(self, topic: Topic) -> None:
        """Write a topic's row, and its type's where it is the first of it."""
        if topic.message_type not in self._types:
            self._types.add(topic.message_type)
            self._database.execute(
                'INSERT INTO message_definitions(topic_type, encoding, encoded_message_definition,'
                " type_description_hash) VALUES(?, 'ros2msg', ?, ?)",
                (topic.message_type, topic.definition, topic.type_hash),
            )
        self._database.execute(
            "INSERT INTO topics VALUES(?, ?, ?, 'cdr', ?, ?)",
            (topic.number, topic.name, topic.message_type, topic.qos_yaml, topic.type_hash),
        )
        self._database.commit()

    def write(self, number: int, time_ns: int, cdr: bytes | memoryview) -> None:
        """Write a message of the topic with this number; it stays after the next flush."""
        self._database.execute(
            'INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)', (number, time_ns, cdr)
        )

    def flush(self) -> None:
        """Commit what was written."""
        self._database.commit()

    def close(self, metadata: str) -> None:
        """Commit with the bag's metadata; close the file in any case."""
        if not self._open:
            return
        try:
            self._database.commit()
            self._database.execute('INSERT INTO metadata(metadata_version, metadata) VALUES(9, ?)', (metadata,))
            self._database.commit()
        finally:
            self._database.close()
            self._open = False
