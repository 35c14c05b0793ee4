"""A bag that is refused is read once it is mended, or asked for, as the sentence says."""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bag_writer import BagWriter, TopicQos
from audio_interaction_ros.bags import INFO, STAMPED, AudioBagReader, BagError
from tests.bag_of_sound import START_NS, audio_cdr, info_cdr, s16_messages, write_bag
from tests.ordinary_user import ordinary_user

PCM = PcmFormat(16_000, 1, 'S16LE')
MESSAGES = s16_messages(np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32), 16_000)


def count(path, topic=None, pcm=None):
    with AudioBagReader(path, topic, pcm) as bag:
        return len(list(bag.read()))


@pytest.mark.cures(
    'give the directory that `ros2 bag record` wrote',
    'give another --topic, or record the sound too',
    'record again while sound is published',
)
def test_a_bag_with_sound_is_read_where_it_is_and_by_the_name_of_its_topic(tmp_path):
    path = write_bag(tmp_path / 'bag', MESSAGES, PCM)
    with pytest.raises(BagError, match=r'no bag at .*; give the directory that `ros2 bag record` wrote'):
        count(tmp_path / 'bag2')
    with pytest.raises(BagError, match=r'holds /audio_info .*; give another --topic, or record the sound too'):
        count(path, '/sound')
    assert count(path) == count(path, '/audio_stamped') == len(MESSAGES)
    with pytest.raises(BagError, match='has no messages; record again while sound is published'):
        count(write_bag(tmp_path / 'early', [], PCM))


@pytest.mark.cures('give a path in a writable folder')
def test_a_bag_is_written_where_the_user_may_write():
    with ordinary_user() as folder:
        (folder / 'closed').mkdir(mode=0o500)
        with pytest.raises(BagError, match=r'cannot be written \(.*Permission denied.*; give a path in a writable'):
            write_bag(folder / 'closed' / 'bag', MESSAGES, PCM)
        assert count(write_bag(folder / 'bag', MESSAGES, PCM)) == len(MESSAGES)


@pytest.mark.cures(
    'topics ({topics}) and none beside {topic}', '{error}; if that is not what the bag holds, give its format by'
)
def test_a_bag_that_describes_its_sound_doubtfully_is_read_by_the_format_that_is_given(tmp_path):
    for name, infos in (('several', ('/left/audio_info', '/right/audio_info')), ('one', ('/front/audio_info',))):
        with BagWriter(tmp_path / name) as bag:
            bag.add_topic('/front/audio_stamped', STAMPED, TopicQos())
            for topic in infos:
                bag.add_topic(topic, INFO, TopicQos(latched=True))
                bag.write(topic, START_NS, info_cdr(PCM, 'wave' if name == 'several' else 'mp3'))
            for stamp_ns, data in MESSAGES:
                bag.write('/front/audio_stamped', stamp_ns, audio_cdr(stamp_ns, data))
    for name, found in (('several', 'none beside /front/audio_stamped'), ('one', 'if that is not what the bag holds')):
        with pytest.raises(BagError, match=rf'{found}.* give its format by --sample-rate, --channels'):
            count(tmp_path / name)
        assert count(tmp_path / name, pcm=PCM) == len(MESSAGES)


@pytest.mark.cures('expected; restore it from a copy')
def test_a_bag_of_which_messages_are_gone_is_read_again_from_a_copy(tmp_path):
    """As when a file of it was written by another recording that was not as long."""
    path = write_bag(tmp_path / 'bag', MESSAGES, PCM, 'sqlite3')
    short = write_bag(tmp_path / 'short' / 'bag', MESSAGES[:4], PCM, 'sqlite3')
    copy = (path / 'bag_0.db3').read_bytes()
    (path / 'bag_0.db3').write_bytes((short / 'bag_0.db3').read_bytes())
    with pytest.raises(BagError, match='4 messages of /audio_stamped found, 16 expected; restore it from a copy'):
        count(path)
    (path / 'bag_0.db3').write_bytes(copy)
    assert count(path) == len(MESSAGES)
