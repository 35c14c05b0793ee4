"""Audio topics in new rosbag2 bags (sqlite3 and MCAP), written without ROS so that a sudden death loses little."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2.metadata import dump_qos_v9

from audio_interaction_ros.bag_files import McapPart, SqlitePart, Topic
from audio_interaction_ros.bag_repair import UNFINISHED
from audio_interaction_ros.bags import INFO, TYPES, BagError

Storage = Literal['sqlite3', 'mcap']
FLUSH_S = 2.0
_CANNOT_WRITE = (OSError, sqlite3.Error)


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
    """A `BagWriter` writes serialized messages to a new rosbag2 bag; open and close it, or use `with`.

    What was written more than `flush_s` ago, in seconds, survives the writer's sudden death. With `max_bytes` or
    `max_s` a new file begins when the last one is so large or so long; it has the last message of every latched
    topic, and the last AudioInfo, at its beginning.
    """

    def __init__(
        self,
        path: Path,
        storage: Storage = 'mcap',
        *,
        max_bytes: int | None = None,
        max_s: float | None = None,
        flush_s: float = FLUSH_S,
    ) -> None:
        """Name a new bag; raise BagError when `path` exists: recordings are never overwritten."""
        if path.exists():
            raise BagError(f"'{path}' exists; give a new path, recordings are never overwritten")
        self.path = path
        self._storage = storage
        self._max_bytes, self._max_ns, self._flush_s = max_bytes, max_s and max_s * 1e9, flush_s
        self._topics: dict[str, tuple[Topic, TopicQos]] = {}
        self._latched: dict[str, bytes] = {}
        self._parts: list[_PartInfo] = []
        self._last_ns = 0
        self._flushed_s = 0.0
        self._failed = False

    @property
    def size(self) -> int:
        """Return how many bytes were written, in all files together."""
        return sum(part.size for part in self._parts[:-1]) + self._part.size

    @property
    def parts(self) -> int:
        """Return how many files the bag has."""
        return len(self._parts)

    def open(self) -> BagWriter:
        """Make the directory and the first file; raise BagError when that cannot be done."""
        try:
            self.path.mkdir(parents=True)
            self._begin_part()
        except _CANNOT_WRITE as error:
            raise BagError(f"'{self.path}' cannot be written ({error}); give a path in a writable folder") from error
        return self

    def close(self) -> None:
        """Write the index and the final metadata.yaml; raise BagError when the disk is full.

        After an error that was raised before, close what there is; metadata.yaml then goes on saying that the
        bag was not finished, so that readers count for themselves.
        """
        if self._failed:
            with suppress(*_CANNOT_WRITE):
                self._part.close(yaml.safe_dump(self._metadata(finished=False)))
            return
        with self._disk():
            self._end_part()
            self._write_metadata(finished=True)

    def __enter__(self) -> BagWriter:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_topic(self, topic: str, message_type: str, qos: TopicQos) -> None:
        """Add a topic by its full name; `message_type` is one of STAMPED, PLAIN, INFO."""
        definition, _ = TYPES.generate_msgdef(message_type, ros_version=2)
        qos_yaml = yaml.safe_dump(dump_qos_v9([qos.to_bag()])).strip()
        added = Topic(len(self._topics) + 1, topic, message_type, definition, TYPES.hash_rihs01(message_type), qos_yaml)
        self._topics[topic] = added, qos
        with self._disk():
            self._part.add_topic(added)

    def write(self, topic: str, bag_time_ns: int, cdr: bytes | memoryview) -> None:
        """Write a serialized message as it came from the middleware; raise BagError when the disk is full.

        A time before that of the last message becomes that time: a bag's messages are in order, also when the
        clock is set back.
        """
        bag_time_ns = self._last_ns = max(bag_time_ns, self._last_ns)
        added, qos = self._topics[topic]
        with self._disk():
            if self._part_is_full(bag_time_ns):
                self._end_part()
                self._begin_part()
                for name, latched in self._latched.items():
                    if name != topic:
                        self._put(self._topics[name][0], bag_time_ns, latched)
            self._put(added, bag_time_ns, cdr)
        if qos.latched or added.message_type == INFO:  # without the format a file alone could not be read
            self._latched[topic] = bytes(cdr)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited for `flush_s` to the disk; call it also while no messages come. Raises BagError."""
        if time.monotonic() - self._flushed_s >= self._flush_s:
            with self._disk():
                self._part.flush()
                self._write_metadata()
            self._flushed_s = time.monotonic()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except _CANNOT_WRITE as error:
            self._failed = True
            raise BagError(
                f"'{self.path}' cannot be written any further ({error}); what was written until then is readable; "
                'make room, and record to a new path'
            ) from error

    def _part_is_full(self, time_ns: int) -> bool:
        info = self._parts[-1]
        if not info.counts:
            return False
        too_long = self._max_ns is not None and time_ns - info.first_ns >= self._max_ns
        return too_long or (self._max_bytes is not None and self._part.size >= self._max_bytes)

    def _begin_part(self) -> None:
        suffix, kind = ('mcap', McapPart) if self._storage == 'mcap' else ('db3', SqlitePart)
        name = f'{self.path.name}_{len(self._parts)}.{suffix}'
        self._part: McapPart | SqlitePart = kind(self.path / name)
        for topic, _ in self._topics.values():
            self._part.add_topic(topic)
        self._parts.append(_PartInfo(name))
        self._flushed_s = time.monotonic()
        self._write_metadata()

    def _end_part(self) -> None:
        self._parts[-1].size = self._part.size
        self._part.close(yaml.safe_dump(self._metadata(finished=True)))

    def _put(self, topic: Topic, time_ns: int, cdr: bytes | memoryview) -> None:
        self._part.write(topic.number, time_ns, cdr)
        self._parts[-1].count(topic.name, time_ns)

    def _write_metadata(self, finished: bool = False) -> None:
        text = yaml.safe_dump({'rosbag2_bagfile_information': self._metadata(finished)}, sort_keys=False)
        new = self.path / 'metadata.yaml.new'
        try:
            new.write_text(text, encoding='utf-8')
            new.replace(self.path / 'metadata.yaml')
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _metadata(self, finished: bool) -> dict[str, Any]:
        """Return what rosbag2 has in metadata.yaml; while the bag is written, `custom_data` says so."""
        counts = sum((part.counts for part in self._parts), Counter[str]())
        filled = [part for part in self._parts if part.counts]
        first_ns = min((part.first_ns for part in filled), default=2**63 - 1)
        last_ns = max((part.last_ns for part in filled), default=first_ns)
        return {
            'version': 9,
            'storage_identifier': self._storage,
            'duration': {'nanoseconds': last_ns - first_ns},
            'starting_time': {'nanoseconds_since_epoch': first_ns},
            'message_count': counts.total(),
            'topics_with_message_count': [
                {
                    'topic_metadata': {
                        'name': name,
                        'type': topic.message_type,
                        'serialization_format': 'cdr',
                        'offered_qos_profiles': dump_qos_v9([qos.to_bag()]),
                        'type_description_hash': topic.type_hash,
                    },
                    'message_count': counts[name],
                }
                for name, (topic, qos) in self._topics.items()
            ],
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [part.name for part in self._parts],
            'files': [
                {
                    'path': part.name,
                    'starting_time': {'nanoseconds_since_epoch': part.first_ns},
                    'duration': {'nanoseconds': part.last_ns - part.first_ns},
                    'message_count': part.counts.total(),
                }
                for part in self._parts
            ],
            'custom_data': None if finished else {UNFINISHED: 'true'},
            'ros_distro': 'jazzy',
        }


@dataclass
class _PartInfo:
    """A `_PartInfo` is what metadata.yaml says of one file."""

    name: str
    size: int = 0
    first_ns: int = 2**63 - 1
    last_ns: int = 2**63 - 1
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, topic: str, time_ns: int) -> None:
        self.first_ns = min(time_ns, self.first_ns)
        self.last_ns = time_ns
        self.counts[topic] += 1
