"""Audio topics in rosbag2 bags (sqlite3 and MCAP), read without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.interfaces import (
    Connection,
)
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.bag_repair import UnfinishedBag, files_without_metadata, unfinished_files

STAMPED, PLAIN, INFO = (f'audio_common_msgs/msg/{name}' for name in ('AudioDataStamped', 'AudioData', 'AudioInfo'))
_DEFINITIONS = {
    PLAIN: 'uint8[] data',
    STAMPED: 'std_msgs/Header header\naudio_common_msgs/AudioData audio',
    INFO: 'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format',
}
# The message of a wrapper of PortAudio, whose package has the same name as ros-drivers': it describes itself.
DESCRIBED = 'audio_common_msgs/msg/AudioStamped'
_DESCRIBED_DEFINITIONS = {
    PLAIN: 'float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\nuint8[] uint8_data',
    INFO: 'int32 format\nint32 channels\nint32 rate\nint32 chunk',
    'audio_common_msgs/msg/Audio': 'audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info',
    DESCRIBED: 'std_msgs/Header header\naudio_common_msgs/Audio audio',
}
GIVE_FORMAT = 'give its format by --sample-rate, --channels and --sample-format'  # of `audio-interaction replay`
_RESTORE = 'restore it from a copy, or save what is whole of it with `mcap recover` or `sqlite3 FILE .recover`'
_MAX_COMPLAINTS = 5


def _types(definitions: Mapping[str, str]) -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in definitions.items():
        types.register(get_types_from_msg(definition, name))
    return types


TYPES, DESCRIBED_TYPES = _types(_DEFINITIONS), _types(_DESCRIBED_DEFINITIONS)


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
    or through `reject`, and `complaints` says why (the first few different reasons). `remarks` says what of an
    unfinished bag was mended on reading: whatever lies before the damage is read.
    """

    def __init__(self, path: Path, topic: str | None = None, pcm: PcmFormat | None = None) -> None:
        """Take the bag at `path`; `topic` is needed only when it holds more than one audio topic.

        `pcm` is the sound's format where the bag does not tell it, or not rightly: it counts whatever AudioInfo says.
        """
        self.path = path
        self._given = pcm
        self.topic = topic or ''
        self.malformed = 0
        self.complaints: list[str] = []
        self.remarks: list[str] = []
        self._wanted = topic

    def __enter__(self) -> AudioBagReader:
        """Open the bag; raise BagError: no bag, an empty one, no audio in it, coded audio, or no word on its format."""
        if not self.path.exists():
            raise BagError(f"no bag at '{self.path}'; give the directory that `ros2 bag record` wrote")
        try:
            self._reader = self._opened()
        except Exception as error:  # what a library makes of a bag that is none is anything
            raise BagError(f"'{self.path}' is not a readable rosbag2 bag ({error}); {self._instead()}") from error
        self.remarks = self._reader.remarks if isinstance(self._reader, UnfinishedBag) else []
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
        if self._audio.msgtype == DESCRIBED:
            yield from self._described()
            return
        formats = iter(self._formats)
        _, pcm = next(formats)
        upcoming = next(formats, None)
        for bag_time_ns, message in self._messages(self._audio):
            while upcoming and upcoming[0] <= bag_time_ns:
                pcm, upcoming = upcoming[1], next(formats, None)
            stamped = self._audio.msgtype == STAMPED
            stamp_ns = _stamp_ns(message) if stamped else bag_time_ns
            yield AudioMessage(stamp_ns, bag_time_ns, pcm, (message.audio if stamped else message).data)

    def _described(self) -> Iterator[AudioMessage]:
        for bag_time_ns, message in self._messages(self._audio):
            info = message.audio.info
            try:
                field, pcm = PcmFormat.from_portaudio(info.format, info.channels, info.rate)
            except AudioFormatError as error:
                self.reject(str(error))
                continue
            data = np.asarray(getattr(message.audio.audio_data, field)).view(np.uint8)
            yield AudioMessage(_stamp_ns(message), bag_time_ns, pcm, data)

    def _opened(self) -> Reader | UnfinishedBag:
        files = unfinished_files(self.path)
        reader = UnfinishedBag(self.path, files) if files else Reader(self.path)
        try:
            reader.open()
        except Exception as error:  # what a library makes of such metadata is anything
            if files or not (files := files_without_metadata(self.path)):
                raise
            reader = UnfinishedBag(self.path, files)
            reader.remarks.append(
                f"'{self.path}': metadata.yaml does not fit the files beside it ({error}), which are read without it; "
                '`ros2 bag reindex` writes it anew'
            )
            reader.open()
        return reader

    def _instead(self) -> str:
        """Return what to do with what is no rosbag2 bag."""
        of_ros1 = [self.path] if self.path.suffix == '.bag' else sorted(self.path.glob('*.bag'))
        if of_ros1:
            return f'convert the ROS 1 bag: `rosbags-convert --src {of_ros1[0]} --dst NEW`'
        return 'give the directory that `ros2 bag record` wrote, or one of its .mcap or .db3 files'

    def reject(self, reason: str) -> None:
        """Count a message that turned out to be unusable."""
        self.malformed += 1
        if reason not in self.complaints and len(self.complaints) < _MAX_COMPLAINTS:
            self.complaints.append(reason)

    def _find_audio(self) -> Connection:
        connections = self._reader.connections
        audio = [connection for connection in connections if connection.msgtype in (STAMPED, DESCRIBED, PLAIN)]
        if self._wanted:
            audio = [connection for connection in audio if connection.topic.strip('/') == self._wanted.strip('/')]
        # A driver may publish both; the stamped one says when the sound was captured.
        audio = [connection for connection in audio if connection.msgtype != PLAIN] or audio
        if not audio:
            found = ', '.join(f'{connection.topic} ({connection.msgtype})' for connection in connections)
            wanted = f'{self._wanted} ' if self._wanted else ''
            raise BagError(
                f"'{self.path}' holds {found or 'no topics'}; a topic {wanted}of type {STAMPED}, {DESCRIBED} or "
                f'{PLAIN} is expected; give another --topic, or record the sound too'
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
        if self._given is not None or self._audio.msgtype == DESCRIBED:
            return [(0, self._given)] if self._given is not None else []
        infos = [connection for connection in self._reader.connections if connection.msgtype == INFO]
        namespace = self.topic.rpartition('/')[0]
        infos = [info for info in infos if info.topic.rpartition('/')[0] == namespace] or infos
        if len(infos) > 1:
            topics = ', '.join(info.topic for info in infos)
            raise BagError(
                f"'{self.path}' holds several {INFO} topics ({topics}) and none beside {self.topic}; "
                f'{GIVE_FORMAT}, or record the one that belongs to it'
            )
        formats = []
        for time_ns, info in self._messages(infos[0]) if infos else ():
            try:
                pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
            except AudioFormatError as error:
                raise BagError(
                    f"'{self.path}', {infos[0].topic}: {error}; if that is not what the bag holds, {GIVE_FORMAT}"
                ) from error
            formats.append((time_ns, pcm))
        if not formats:
            raise BagError(
                f"'{self.path}' holds {self.topic} but no {INFO} message with its sample rate and format; "
                f'{self._whole_bag()}{GIVE_FORMAT}, or record audio_info beside it'
            )
        return formats

    def _whole_bag(self) -> str:
        """Return what to do where one file is given of a bag that may have the format in another; '' elsewhere."""
        there = self.path.is_file() and (self.path.parent / 'metadata.yaml').exists()
        return f"give the whole bag '{self.path.parent}', " if there else ''

    def _messages(self, connection: Connection) -> Iterator[tuple[int, Any]]:
        found = 0
        types = DESCRIBED_TYPES if connection.msgtype == DESCRIBED else TYPES
        try:
            for _, bag_time_ns, raw in self._reader.messages([connection]):
                found += 1
                try:
                    message = types.deserialize_cdr(raw, connection.msgtype)
                except Exception as error:  # each kind of nonsense raises its own
                    self.reject(f'{connection.topic}: not a {connection.msgtype} ({error})')
                    continue
                yield bag_time_ns, message
        except Exception as error:  # each storage and compression raises its own kinds
            raise BagError(f"'{self.path}' is damaged ({error}); {_RESTORE}") from error
        if found < connection.msgcount:
            raise BagError(
                f"'{self.path}' is damaged: {found} messages of {connection.topic} found, "
                f'{connection.msgcount} expected; {_RESTORE}'
            )


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)
