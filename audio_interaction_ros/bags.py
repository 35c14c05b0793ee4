"""Audio topics in rosbag2 bags (sqlite3 and MCAP), read and written without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, ReaderError, StoragePlugin, Writer, WriterError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat

STAMPED, PLAIN, INFO = (f'audio_common_msgs/msg/{name}' for name in ('AudioDataStamped', 'AudioData', 'AudioInfo'))
_DEFINITIONS = {
    PLAIN: 'uint8[] data',
    STAMPED: 'std_msgs/Header header\naudio_common_msgs/AudioData audio',
    INFO: 'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format',
}
Storage = Literal['sqlite3', 'mcap']
_MAX_COMPLAINTS = 5

TYPES = get_typestore(Stores.ROS2_JAZZY)
for _name, _definition in _DEFINITIONS.items():
    TYPES.register(get_types_from_msg(_definition, _name))


class BagError(ValueError):
    """A `BagError` says that a bag cannot be read or written, or holds no audio that this package reads."""


@dataclass(frozen=True)
class AudioMessage:
    """An `AudioMessage` has the capture time of its first sample, when it was recorded, its format, unchecked bytes."""

    stamp_ns: int
    recorded_ns: int
    pcm: PcmFormat
    data: npt.NDArray[np.uint8]


class AudioBagReader:
    """An `AudioBagReader` reads the audio topic of a bag in the bag's order; it is a context manager.

    `topic` after entering is the full topic name; `malformed` counts messages left out so far, by the reader
    or through `reject`, and `complaints` says why (the first few different reasons).
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Take the bag at `path`; `topic` is needed only when it holds more than one audio topic."""
        self.path = path
        self.topic = topic or ''
        self.malformed = 0
        self.complaints: list[str] = []
        self._wanted = topic

    def __enter__(self) -> AudioBagReader:
        """Open the bag; raise BagError: no bag, an empty one, no audio in it, coded audio, or no word on its format."""
        if not self.path.exists():
            raise BagError(f"no bag at '{self.path}'; give the directory that `ros2 bag record` wrote")
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except (ReaderError, OSError) as error:
            raise BagError(f"'{self.path}' is not a readable rosbag2 bag ({error})") from error
        try:
            self._audio = self._find_audio()
            self.topic = self._audio.topic
            self._formats = self._read_formats()
        except BaseException:
            self._reader.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def read(self) -> Iterator[AudioMessage]:
        """Yield every message that can be deserialized and count the others; raise BagError for a damaged bag."""
        formats = iter(self._formats)
        _, pcm = next(formats)
        upcoming = next(formats, None)
        for bag_time_ns, message in self._messages(self._audio):
            while upcoming and upcoming[0] <= bag_time_ns:
                pcm, upcoming = upcoming[1], next(formats, None)
            data, stamp_ns = message, bag_time_ns
            if self._audio.msgtype == STAMPED:
                data, stamp = message.audio, message.header.stamp
                stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            yield AudioMessage(stamp_ns, bag_time_ns, pcm, data.data)

    def reject(self, reason: str) -> None:
        """Count a message that turned out to be unusable."""
        self.malformed += 1
        if reason not in self.complaints and len(self.complaints) < _MAX_COMPLAINTS:
            self.complaints.append(reason)

    def _find_audio(self) -> Connection:
        connections = self._reader.connections
        audio = [connection for connection in connections if connection.msgtype in (STAMPED, PLAIN)]
        if self._wanted:
            audio = [connection for connection in audio if connection.topic.strip('/') == self._wanted.strip('/')]
        # A driver may publish both; the stamped one says when the sound was captured.
        audio = [connection for connection in audio if connection.msgtype == STAMPED] or audio
        if not audio:
            found = ', '.join(f'{connection.topic} ({connection.msgtype})' for connection in connections)
            wanted = f'{self._wanted} ' if self._wanted else ''
            raise BagError(
                f"'{self.path}' holds {found or 'no topics'}; a topic {wanted}of type {STAMPED} or {PLAIN} is expected"
            )
        if len(audio) > 1:
            topics = ', '.join(connection.topic for connection in audio)
            raise BagError(f"'{self.path}' holds more than one audio topic; choose with --topic one of {topics}")
        if not audio[0].msgcount:
            raise BagError(
                f"'{self.path}' is empty: {audio[0].topic} has no messages; record again while sound is published"
            )
        return audio[0]

    def _read_formats(self) -> list[tuple[int, PcmFormat]]:
        """Return bag time and format of each AudioInfo, at least one; the first also describes the audio before it."""
        infos = [connection for connection in self._reader.connections if connection.msgtype == INFO]
        namespace = self.topic.rpartition('/')[0]
        infos = [info for info in infos if info.topic.rpartition('/')[0] == namespace] or infos
        if len(infos) > 1:
            topics = ', '.join(info.topic for info in infos)
            raise BagError(
                f"'{self.path}' holds several {INFO} topics ({topics}) and none beside {self.topic}; "
                'record the one that belongs to it'
            )
        formats = []
        for time_ns, info in self._messages(infos[0]) if infos else ():
            try:
                pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
            except AudioFormatError as error:
                raise BagError(f"'{self.path}', {infos[0].topic}: {error}") from error
            formats.append((time_ns, pcm))
        if not formats:
            raise BagError(
                f"'{self.path}' holds {self.topic} but no {INFO} message with its sample rate and format; "
                'record audio_info beside it'
            )
        return formats

    def _messages(self, connection: Connection) -> Iterator[tuple[int, Any]]:
        found = 0
        try:
            for _, bag_time_ns, raw in self._reader.messages([connection]):
                found += 1
                try:
                    message = TYPES.deserialize_cdr(raw, connection.msgtype)
                except (SerdeError, IndexError, MemoryError) as error:
                    self.reject(f'{connection.topic}: not a {connection.msgtype} ({error})')
                    continue
                yield bag_time_ns, message
        except Exception as error:  # each storage and compression raises its own kinds
            raise BagError(f"'{self.path}' is damaged ({error}); try `ros2 bag reindex`") from error
        if found < connection.msgcount:
            raise BagError(
                f"'{self.path}' is damaged: {found} messages of {connection.topic} found, "
                f'{connection.msgcount} expected; try `ros2 bag reindex`'
            )


@dataclass(frozen=True)
class TopicQos:
    """A `TopicQos` is what the publisher offered, kept in the bag so that `ros2 bag play` offers the same."""

    reliable: bool = True
    latched: bool = False
    depth: int = 10

    def to_bag(self) -> Qos:
        """Return it as rosbags has it, with the unspecified times that rosbag2 writes for 'no limit'."""
        unlimited = QosTime(9_223_372_036, 854_775_807)
        return Qos(
            QosHistory.KEEP_LAST,
            self.depth,
            QosReliability.RELIABLE if self.reliable else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL if self.latched else QosDurability.VOLATILE,
            unlimited,
            unlimited,
            QosLiveliness.AUTOMATIC,
            unlimited,
            avoid_ros_namespace_conventions=False,
        )


class BagWriter:
    """A `BagWriter` writes serialized messages to a new rosbag2 bag; open and close it, or use `with`."""

    def __init__(self, path: Path, storage: Storage = 'mcap') -> None:
        """Name a new bag; raise BagError when `path` exists: recordings are never overwritten."""
        self.path = path
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        except WriterError as error:
            raise BagError(f"'{path}' exists; give a new path, recordings are never overwritten") from error
        self._connections: dict[str, Connection] = {}

    def open(self) -> BagWriter:
        """Make the directory; raise BagError when that cannot be done."""
        try:
            self._writer.open()
        except (WriterError, OSError) as error:
            raise BagError(f"'{self.path}' cannot be written ({error}); give a path in a writable folder") from error
        return self

    def close(self) -> None:
        """Write the index and metadata.yaml, without which the bag is not readable."""
        self._writer.close()

    def __enter__(self) -> BagWriter:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_topic(self, topic: str, message_type: str, qos: TopicQos) -> None:
        """Add a topic by its full name; `message_type` is one of STAMPED, PLAIN, INFO."""
        self._connections[topic] = self._writer.add_connection(
            topic, message_type, typestore=TYPES, offered_qos_profiles=[qos.to_bag()]
        )

    def write(self, topic: str, bag_time_ns: int, cdr: bytes | memoryview) -> None:
        """Write a serialized message as it came from the middleware; raise BagError when the disk is full."""
        try:
            self._writer.write(self._connections[topic], bag_time_ns, cdr)
        except OSError as error:
            raise BagError(f"'{self.path}' cannot be written any further ({error})") from error
