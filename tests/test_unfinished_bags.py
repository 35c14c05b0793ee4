"""A recording outlives its recorder: killed, out of room or cut off, what was written before is read."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bag_repair import CutMcap
from audio_interaction_ros.bag_writer import BagWriter, TopicQos
from audio_interaction_ros.bags import INFO, STAMPED, TYPES, AudioBagReader, BagError
from tests.bag_of_sound import START_NS, audio_cdr, info_cdr

PCM = PcmFormat(16_000, 1, 'S16LE')
STORAGES = ('mcap', 'sqlite3')
STEP_NS = 100_000_000
SOUND = np.random.default_rng(3).integers(0, 256, 3_200, np.uint8).tobytes()

WRITE_FOR_EVER = """
import sys, time
from pathlib import Path
from tests.test_unfinished_bags import begin, message
bag = begin(Path(sys.argv[1]), sys.argv[2], flush_s=0.2)
for number in range(100_000):
    message(bag, number)
    print(number, flush=True)
    time.sleep(0.02)
"""


def begin(path: Path, storage: str, **options) -> BagWriter:
    bag = BagWriter(path, storage, **options).open()
    bag.add_topic('/audio_stamped', STAMPED, TopicQos())
    bag.add_topic('/audio_info', INFO, TopicQos(latched=True))
    bag.write('/audio_info', START_NS, info_cdr(PCM))
    return bag


def message(bag: BagWriter, number: int) -> None:
    bag.write('/audio_stamped', START_NS + number * STEP_NS, audio_cdr(START_NS + number * STEP_NS, SOUND))


def numbers_read(path: Path) -> tuple[list[int], list[str]]:
    """Which messages are there, and what is remarked on the bag."""
    with AudioBagReader(path) as bag:
        read = list(bag.read())
    assert all(one.data.tobytes() == SOUND and one.pcm == PCM for one in read)
    return [(one.stamp_ns - START_NS) // STEP_NS for one in read], bag.remarks


def the_file(path: Path) -> Path:
    (file,) = (entry for entry in path.iterdir() if entry.suffix in ('.mcap', '.db3'))
    return file


@pytest.mark.cures('its {count} messages are read')
@pytest.mark.parametrize('storage', STORAGES)
def test_a_killed_writer_leaves_what_it_flushed_to_every_reader(tmp_path, storage):
    path = tmp_path / 'bag'
    writer = subprocess.Popen(
        [sys.executable, '-c', WRITE_FOR_EVER, str(path), storage], stdout=subprocess.PIPE, text=True
    )
    for line in writer.stdout:
        if int(line) == 60:
            break
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    read, remarks = numbers_read(path)
    assert read == list(range(len(read)))
    assert len(read) >= 40  # 1.2 s were written; what came in the last 0.2 s may be gone
    assert any('was not finished' in remark for remark in remarks)
    for target in (path, the_file(path)):  # and without any repair of ours
        with Reader(target) as reader:
            assert sum(1 for _ in reader.messages()) >= 41
            assert {connection.topic for connection in reader.connections} == {'/audio_stamped', '/audio_info'}


@pytest.mark.parametrize('storage', STORAGES)
def test_a_flush_is_on_disk_while_the_bag_is_written(tmp_path, storage):
    bag = begin(tmp_path / 'bag', storage, flush_s=0.05)
    for number in range(10):
        message(bag, number)
    time.sleep(0.06)
    bag.flush_if_due()
    assert numbers_read(tmp_path / 'bag')[0] == list(range(10))
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert metadata['message_count'] == 11
    bag.close()
    assert numbers_read(tmp_path / 'bag') == (list(range(10)), [])


@pytest.mark.cures('make room, and record to a new path')
@pytest.mark.parametrize('storage', STORAGES)
def test_a_full_disk_ends_the_recording_in_a_sentence_and_leaves_it_whole(tmp_path, storage):
    path = tmp_path / 'bag'
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    bag = begin(path, storage, flush_s=0.0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, usual[1]))
    try:
        with pytest.raises(
            BagError, match=r'cannot be written any further .*; what was written until then is readable'
        ):
            for number in range(1_000):
                message(bag, number)
        bag.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    read, _ = numbers_read(path)
    assert read == list(range(len(read)))
    assert len(read) >= (30 if storage == 'mcap' else 20)
    bag = begin(tmp_path / 'new', storage)  # now that there is room
    message(bag, 0)
    bag.close()
    assert numbers_read(tmp_path / 'new') == ([0], [])
    with Reader(the_file(path)) as reader:
        assert sum(1 for _ in reader.messages()) == len(read) + 1


@pytest.fixture(scope='module')
def finished(tmp_path_factory) -> bytes:
    """An MCAP file of three chunks of ten messages each."""
    path = tmp_path_factory.mktemp('finished') / 'bag'
    bag = begin(path, 'mcap', flush_s=1e9)
    for number in range(30):
        message(bag, number)
        if number % 10 == 9:
            bag._part.flush()
    bag.close()
    return the_file(path).read_bytes()


@pytest.mark.cures('it is read up to there')
@pytest.mark.parametrize('fraction', [0.1, 0.35, 0.5, 0.77, 0.9, 0.99])
@pytest.mark.parametrize('blank', [0, 5_000])
def test_a_file_cut_anywhere_is_read_up_to_the_cut_and_that_is_said(tmp_path, finished, fraction, blank):
    """Also when the disk put zeros where the rest should be."""
    cut = int(fraction * len(finished))
    file = tmp_path / 'cut.mcap'
    file.write_bytes(finished[:cut] + bytes(blank))
    read, remarks = numbers_read(file)
    whole = finished[:cut].count(SOUND)
    assert read == list(range(whole))
    assert len(remarks) == 1
    assert 'was not finished' in remarks[0]
    assert file.read_bytes() == finished[:cut] + bytes(blank)  # reading mends nothing on disk


def test_a_bag_that_another_recorder_did_not_finish_is_read(tmp_path):
    """One chunk is not whole, and there is no metadata.yaml."""
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        info = bag.add_connection('/audio_info', INFO, typestore=TYPES)
        sound = bag.add_connection('/audio_stamped', STAMPED, typestore=TYPES)
        bag.write(info, START_NS, info_cdr(PCM))
        for number in range(500):
            bag.write(sound, START_NS + number * STEP_NS, audio_cdr(START_NS + number * STEP_NS, SOUND))
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    os.truncate(the_file(tmp_path / 'bag'), 1_400_000)
    read, remarks = numbers_read(tmp_path / 'bag')
    assert read == list(range(len(read)))
    assert len(read) > 420
    assert 'was not finished' in remarks[0]


def test_a_commit_that_was_cut_off_is_undone_on_reading(tmp_path):
    """The journal of sqlite lies beside the file, as after a crash in a commit."""
    path = tmp_path / 'bag'
    bag = begin(path, 'sqlite3')
    for number in range(20):
        message(bag, number)
    bag.close()
    file = the_file(path)
    database = sqlite3.connect(file)
    database.execute('PRAGMA cache_size = 1')  # so that pages are written before the commit
    database.execute('UPDATE messages SET data = zeroblob(4000)')
    crashed = tmp_path / 'crashed'
    shutil.copytree(path, crashed)
    database.rollback()
    database.close()
    assert list(crashed.glob('*-journal'))
    assert numbers_read(crashed)[0] == list(range(20))


@pytest.mark.parametrize('storage', STORAGES)
def test_each_part_of_a_split_bag_can_be_read_alone(tmp_path, storage):
    """The latched format is at the beginning of each."""
    bag = begin(tmp_path / 'bag', storage, max_s=1.0)
    for number in range(25):
        message(bag, number)
    bag.close()
    parts = sorted(file for file in (tmp_path / 'bag').iterdir() if file.suffix in ('.mcap', '.db3'))
    assert [numbers_read(part)[0] for part in parts] == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert numbers_read(tmp_path / 'bag') == (list(range(25)), [])
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert [entry['message_count'] for entry in metadata['files']] == [11, 11, 6]


@pytest.mark.parametrize('storage', STORAGES)
def test_a_bag_is_split_by_size(tmp_path, storage):
    bag = begin(tmp_path / 'bag', storage, max_bytes=60_000)
    for number in range(50):
        message(bag, number)
    bag.close()
    sizes = [file.stat().st_size for file in (tmp_path / 'bag').iterdir() if file.suffix in ('.mcap', '.db3')]
    assert len(sizes) == bag.parts >= 3
    assert max(sizes) < 90_000
    assert numbers_read(tmp_path / 'bag')[0] == list(range(50))


def test_a_bag_stays_in_order_when_the_clock_is_set_back(tmp_path):
    bag = begin(tmp_path / 'bag', 'mcap')
    for number in range(4):
        bag.write('/audio_stamped', START_NS - number * STEP_NS, audio_cdr(START_NS + number * STEP_NS, SOUND))
    bag.close()
    assert numbers_read(tmp_path / 'bag')[0] == list(range(4))


def test_nothing_is_lost_of_a_file_that_was_only_not_ended(tmp_path, finished):
    file = tmp_path / 'cut.mcap'
    file.write_bytes(finished[:-8])
    assert CutMcap(file).lost > 0  # its index
    assert numbers_read(file)[0] == list(range(30))
