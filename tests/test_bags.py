"""Bags keep audio as it was, in both storages, and every doubtful one is refused in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from audio_interaction_ros.audio.formats import PcmFormat, encode_s16le
from audio_interaction_ros.bag_writer import BagWriter, TopicQos
from audio_interaction_ros.bags import INFO, PLAIN, STAMPED, TYPES, AudioBagReader, BagError
from tests.bag_of_sound import START_NS, audio_cdr, info_cdr, s16_messages, write_bag, write_described_bag

PCM = PcmFormat(16_000, 1, 'S16LE')
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
STORAGES = ('mcap', 'sqlite3')


def reading(path: Path, topic: str | None = None) -> list:
    with AudioBagReader(path, topic) as bag:
        return list(bag.read())


@pytest.mark.parametrize('storage', STORAGES)
def test_a_bag_gives_back_stamps_and_samples(tmp_path, storage):
    sent = s16_messages(NOISE, 16_000)
    read = reading(write_bag(tmp_path / 'bag', sent, PCM, storage))
    assert [message.stamp_ns for message in read] == [stamp_ns for stamp_ns, _ in sent]
    assert all(message.pcm == PCM for message in read)
    samples = np.concatenate([message.pcm.decode(message.data)[:, 0] for message in read])
    np.testing.assert_allclose(samples, NOISE, atol=1 / 32_768)


@pytest.mark.parametrize('storage', STORAGES)
def test_a_bag_tells_ros2_bag_what_it_needs_to_play_it(tmp_path, storage):
    path = write_bag(tmp_path / 'bag', s16_messages(NOISE, 16_000), PCM, storage)
    metadata = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert metadata['storage_identifier'] == storage
    assert metadata['message_count'] == 17
    entries = [entry['topic_metadata'] for entry in metadata['topics_with_message_count']]
    topics = {entry['name']: entry for entry in entries}
    assert topics['/audio_stamped']['type'] == STAMPED
    assert topics['/audio_stamped']['type_description_hash'].startswith('RIHS01_')
    (qos,) = topics['/audio_info']['offered_qos_profiles']
    assert (qos['reliability'], qos['durability']) == ('reliable', 'transient_local')
    with Reader(path) as reader:
        definitions = {connection.topic: connection.msgdef.data for connection in reader.connections}
    assert 'uint8[] data' in definitions['/audio_stamped']
    assert 'std_msgs/Header header' in definitions['/audio_stamped']


@pytest.mark.parametrize(
    ('storage', 'mode'),
    [('mcap', 'STORAGE'), *((storage, mode) for storage in STORAGES for mode in ('FILE', 'MESSAGE'))],
)
def test_a_bag_that_another_recorder_compressed_is_read(tmp_path, storage, mode):
    sent = s16_messages(NOISE, 16_000)
    bag = Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin[storage.upper()])
    bag.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with bag:
        info = bag.add_connection('/audio_info', INFO, typestore=TYPES)
        sound = bag.add_connection('/audio_stamped', STAMPED, typestore=TYPES)
        bag.write(info, START_NS, info_cdr(PCM))
        for stamp_ns, data in sent:
            bag.write(sound, stamp_ns, audio_cdr(stamp_ns, data))
    assert [(message.stamp_ns, bytes(message.data)) for message in reading(tmp_path / 'bag')] == sent


def test_plain_audio_data_takes_the_time_it_has_in_the_bag(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/audio', PLAIN, TopicQos())
        bag.add_topic('/audio_info', INFO, TopicQos())
        data = TYPES.types[PLAIN](data=np.zeros(320, np.uint8))
        bag.write('/audio', START_NS + 5, TYPES.serialize_cdr(data, PLAIN))
        bag.write('/audio_info', START_NS + 9, info_cdr(PCM))
    (message,) = reading(tmp_path / 'bag')
    assert message.stamp_ns == START_NS + 5
    assert message.data.tobytes() == bytes(320)


def test_a_new_audio_info_applies_to_the_audio_after_it(tmp_path):
    other = PcmFormat(48_000, 2, 'F32LE')
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        bag.add_topic('/audio_info', INFO, TopicQos())
        for time_ns, pcm in ((START_NS, PCM), (START_NS + 10, other)):
            bag.write('/audio_info', time_ns, info_cdr(pcm))
            bag.write('/audio_stamped', time_ns + 1, audio_cdr(time_ns, bytes(16)))
    assert [message.pcm for message in reading(tmp_path / 'bag')] == [PCM, other]


@pytest.mark.parametrize('length', [0, 3, 4, 11, 30, 47])
def test_a_truncated_message_is_counted(tmp_path, length):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        bag.add_topic('/audio_info', INFO, TopicQos())
        bag.write('/audio_info', START_NS, info_cdr(PCM))
        whole = audio_cdr(START_NS, bytes(400))
        bag.write('/audio_stamped', START_NS, whole[:length])
        bag.write('/audio_stamped', START_NS + 1, whole)
    with AudioBagReader(tmp_path / 'bag') as bag:
        assert len(list(bag.read())) == 1
        assert bag.malformed == 1


def test_a_coded_stream_is_refused_with_the_cure(tmp_path):
    path = write_bag(tmp_path / 'bag', [(START_NS, b'ID3')], PCM, coding_format='mp3')
    with pytest.raises(BagError, match=r"coded as 'mp3'; set the audio driver to 'wave'"):
        reading(path)


@pytest.mark.parametrize('storage', STORAGES)
def test_an_empty_bag_is_refused(tmp_path, storage):
    with pytest.raises(BagError, match='is empty: /audio_stamped has no messages'):
        reading(write_bag(tmp_path / 'bag', [], PCM, storage))
    with BagWriter(tmp_path / 'nothing', storage):
        pass
    with pytest.raises(BagError, match='holds no topics'):
        reading(tmp_path / 'nothing')


def test_a_bag_without_audio_is_refused_naming_what_it_holds(tmp_path):
    types = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connection = bag.add_connection('/scan', 'sensor_msgs/msg/LaserScan', typestore=types)
        bag.write(connection, 1, b'\0\1\0\0')
    with pytest.raises(BagError, match=r'holds /scan \(sensor_msgs/msg/LaserScan\); a topic of type audio'):
        reading(tmp_path / 'bag')


def without_info(path: Path, first: int = 0, last: int | None = None) -> Path:
    with BagWriter(path) as bag:
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        for stamp_ns, data in s16_messages(NOISE, 16_000)[first:last]:
            bag.write('/audio_stamped', stamp_ns, audio_cdr(stamp_ns, data))
    return path


@pytest.mark.cures('with its sample rate and format')
def test_one_file_of_a_bag_without_the_format_is_refused_naming_the_bag_that_has_it(tmp_path):
    path = tmp_path / 'bag'
    with BagWriter(path, max_s=0.5) as bag:
        bag.add_topic('/audio_stamped', STAMPED, TopicQos())
        for stamp_ns, data in s16_messages(NOISE, 16_000):
            bag.write('/audio_stamped', stamp_ns, audio_cdr(stamp_ns, data))
        bag.add_topic('/audio_info', INFO, TopicQos(latched=True))
        bag.write('/audio_info', START_NS + 10**9, info_cdr(PCM))
    with pytest.raises(BagError, match=r"no audio_common_msgs/msg/AudioInfo message .* give the whole bag '.*/bag'"):
        reading(path / 'bag_0.mcap')
    assert len(reading(path)) == 16


def test_a_format_that_is_given_counts_whatever_the_bag_says(tmp_path):
    path = write_bag(tmp_path / 'bag', s16_messages(NOISE, 16_000), PcmFormat(48_000, 2, 'S16LE'))
    with AudioBagReader(path, pcm=PCM) as bag:
        samples = np.concatenate([message.pcm.decode(message.data)[:, 0] for message in bag.read()])
    np.testing.assert_allclose(samples, NOISE, atol=1 / 32_768)


def test_alsas_names_of_sample_formats_are_understood():
    assert PcmFormat.from_info(16_000, 1, 'S16_LE', 'wave') == PCM


@pytest.mark.cures('whose bags replay reads too')
@pytest.mark.parametrize(
    ('code', 'field', 'data'),
    [(8, 'int16_data', encode_s16le(NOISE)), (1, 'float32_data', NOISE.astype('<f4').tobytes())],
)
def test_a_bag_of_the_other_audio_common_msgs_is_read_as_it_describes_itself(tmp_path, code, field, data):
    path = write_described_bag(tmp_path / 'bag', [(START_NS + 7, data)], code, field)
    (message,) = reading(path)
    assert (message.stamp_ns, message.pcm.sample_rate_hz) == (START_NS + 7, 16_000)
    np.testing.assert_allclose(message.pcm.decode(message.data)[:, 0], NOISE, atol=1 / 32_768)
    with AudioBagReader(write_described_bag(tmp_path / 'odd', [(START_NS, data)], 4, field)) as bag:
        assert list(bag.read()) == []
        assert bag.complaints == [
            'PortAudio sample format 4 found, one of 1, 2, 8, 16, 32 expected; set the audio driver to one of them'
        ]


@pytest.mark.cures('writes it anew')
@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('fault', ['a renamed file', 'no storage', 'not YAML'])
def test_a_bag_whose_metadata_does_not_fit_is_read_without_it_and_that_is_said(tmp_path, storage, fault):
    path = write_bag(tmp_path / 'bag', s16_messages(NOISE, 16_000), PCM, storage)
    metadata = path / 'metadata.yaml'
    if fault == 'a renamed file':
        (file,) = (entry for entry in path.iterdir() if entry.suffix in ('.mcap', '.db3'))
        file.rename(file.with_stem('kitchen'))
    elif fault == 'no storage':
        metadata.write_text(metadata.read_text().replace(f'storage_identifier: {storage}', 'storage_identifier: ""'))
    else:
        metadata.write_bytes(b'\0\0: [')
    with AudioBagReader(path) as bag:
        assert len(list(bag.read())) == 16
    assert bag.remarks and (fault == 'not YAML' or '`ros2 bag reindex` writes it anew' in bag.remarks[0])


@pytest.mark.cures('is not a readable rosbag2 bag')
def test_a_bag_of_ros_1_is_refused_with_the_command_that_makes_a_readable_one(tmp_path):
    """Of whose audio the format is then given, because ROS 1's driver tells it to nobody."""
    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg('uint8[] data', PLAIN))
    with Ros1Writer(tmp_path / 'old.bag') as bag:
        topic = bag.add_connection('/audio', PLAIN, typestore=types)
        for stamp_ns, data in s16_messages(NOISE, 16_000):
            message = types.types[PLAIN](data=np.frombuffer(data, np.uint8))
            bag.write(topic, stamp_ns, types.serialize_ros1(message, PLAIN))
    with pytest.raises(BagError, match='convert the ROS 1 bag: `rosbags-convert') as refused:
        reading(tmp_path / 'old.bag')
    (command,) = re.findall(r'`rosbags-convert (.*)`', str(refused.value))
    arguments = command.replace('NEW', str(tmp_path / 'new')).split()
    convert = [sys.executable, '-c', 'from rosbags.convert.__main__ import main; main()', *arguments]
    subprocess.run(convert, check=True, capture_output=True)
    with AudioBagReader(tmp_path / 'new', pcm=PCM) as bag:
        assert len(list(bag.read())) == 16


@pytest.mark.cures('choose with --topic one of')
def test_one_of_several_audio_topics_is_chosen_by_name(tmp_path):
    path = write_bag(tmp_path / 'bag', s16_messages(NOISE, 16_000), PCM, topics=('/left', '/right'))
    with pytest.raises(BagError, match='choose with --topic one of /left, /right'):
        reading(path)
    assert len(reading(path, '/right')) == 16
    with pytest.raises(BagError, match='a topic /front of type'):
        reading(path, '/front')


def test_what_is_no_bag_is_refused(tmp_path):
    with pytest.raises(BagError, match='no bag at'):
        reading(tmp_path / 'missing')
    with pytest.raises(
        BagError, match=r'not a readable rosbag2 bag .*; give the directory that `ros2 bag record` wrote'
    ):
        reading(tmp_path)
    (tmp_path / 'sound.mcap').write_bytes(b'RIFF not a bag at all' * 10)
    with pytest.raises(BagError, match='not a readable rosbag2 bag'):
        reading(tmp_path / 'sound.mcap')


@pytest.mark.cures('is damaged ({error}); restore it from a copy')
@pytest.mark.parametrize('storage', STORAGES)
def test_a_damaged_bag_ends_in_a_sentence(tmp_path, storage):
    path = write_bag(tmp_path / 'bag', s16_messages(np.tile(NOISE, 5), 16_000), PCM, storage)
    (file,) = (entry for entry in path.iterdir() if entry.suffix in ('.mcap', '.db3'))
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 20_000] = bytes(20_000)
    copy = file.read_bytes()
    file.write_bytes(whole)
    with pytest.raises(BagError, match=r'is damaged|not a readable rosbag2 bag'):
        reading(path)
    file.write_bytes(copy)  # restored, as the sentence says
    assert len(reading(path)) == 80


@pytest.mark.cures('give a new path, recordings are never overwritten')
def test_a_recording_is_never_overwritten(tmp_path):
    path = write_bag(tmp_path / 'bag', [], PCM)
    with pytest.raises(BagError, match='give a new path, recordings are never overwritten'):
        BagWriter(path)
    assert len(reading(write_bag(tmp_path / 'new', s16_messages(NOISE, 16_000), PCM))) == 16
