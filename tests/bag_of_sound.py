"""Bags for the tests: audio messages as a driver would publish them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from audio_interaction_ros.audio.formats import PcmFormat, Samples, encode_s16le
from audio_interaction_ros.bag_writer import BagWriter, Storage, TopicQos
from audio_interaction_ros.bags import DESCRIBED, DESCRIBED_TYPES, INFO, PLAIN, STAMPED, TYPES

START_NS = 1_700_000_000_000_000_000


def audio_cdr(stamp_ns: int, data: bytes) -> bytes:
    """A serialized AudioDataStamped."""
    kinds = TYPES.types
    stamp = kinds['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    header = kinds['std_msgs/msg/Header'](stamp=stamp, frame_id='microphone')
    message = kinds[STAMPED](header=header, audio=kinds[PLAIN](data=np.frombuffer(data, np.uint8)))
    return bytes(TYPES.serialize_cdr(message, STAMPED))


def info_cdr(pcm: PcmFormat, coding_format: str = 'wave') -> bytes:
    """A serialized AudioInfo."""
    info = TYPES.types[INFO](
        channels=pcm.channels,
        sample_rate=pcm.sample_rate_hz,
        sample_format=pcm.sample_format,
        bitrate=0,
        coding_format=coding_format,
    )
    return bytes(TYPES.serialize_cdr(info, INFO))


def write_bag(
    path: Path,
    messages: Iterable[tuple[int, bytes]],
    pcm: PcmFormat,
    storage: Storage = 'mcap',
    coding_format: str = 'wave',
    topics: Iterable[str] = ('/audio_stamped',),
    recorded_ns: Iterable[int] | None = None,
) -> Path:
    """`messages`: (stamp in ns, data bytes) of every audio topic, recorded then, or `recorded_ns`.

    One AudioInfo comes before them.
    """
    messages = list(messages)
    with BagWriter(path, storage) as bag:
        bag.add_topic('/audio_info', INFO, TopicQos(latched=True))
        for topic in topics:
            bag.add_topic(topic, STAMPED, TopicQos())
        bag.write('/audio_info', START_NS, info_cdr(pcm, coding_format))
        times_ns = [stamp_ns for stamp_ns, _ in messages] if recorded_ns is None else recorded_ns
        for (stamp_ns, data), time_ns in zip(messages, times_ns, strict=True):
            for topic in topics:
                bag.write(topic, time_ns, audio_cdr(stamp_ns, data))
    return path


def s16_messages(samples: Samples, sample_rate_hz: int, frames: int = 1_000) -> list[tuple[int, bytes]]:
    """Mono float32 [n] in pieces of `frames`, stamped from START_NS on."""
    return [
        (START_NS + begin * 10**9 // sample_rate_hz, encode_s16le(samples[begin : begin + frames]))
        for begin in range(0, len(samples), frames)
    ]


def write_described_bag(path: Path, messages: Iterable[tuple[int, bytes]], code: int, field: str) -> Path:
    """A bag of the other audio_common_msgs: 16 kHz, mono, in PortAudio's format `code`."""
    kinds = DESCRIBED_TYPES.types
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        topic = bag.add_connection('/audio_stamped', DESCRIBED, typestore=DESCRIBED_TYPES)
        for stamp_ns, data in messages:
            stamp = kinds['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
            types = {'float32': '<f4', 'int32': '<i4', 'int16': '<i2', 'int8': 'i1', 'uint8': 'u1'}
            fields = {f'{name}_data': np.zeros(0, dtype) for name, dtype in types.items()}
            fields[field] = np.frombuffer(data, types[field.removesuffix('_data')])
            audio = kinds['audio_common_msgs/msg/Audio'](
                audio_data=kinds[PLAIN](**fields), info=kinds[INFO](format=code, channels=1, rate=16_000, chunk=0)
            )
            message = kinds[DESCRIBED](header=kinds['std_msgs/msg/Header'](stamp=stamp, frame_id=''), audio=audio)
            bag.write(topic, stamp_ns, DESCRIBED_TYPES.serialize_cdr(message, DESCRIBED))
    return path
