"""A file in place of a microphone: the chosen channels of it, when they would have been captured."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.channels import ChannelChoice
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.sources import FileSource


@pytest.fixture
def six(tmp_path):
    """The file of an array: a quiet room in five channels, and in the sixth what the loudspeaker plays."""
    room = np.random.default_rng(0).normal(0, 0.01, (3_200, 5))
    loudspeaker = 0.5 * np.sin(np.arange(3_200) / 10)
    soundfile.write(tmp_path / 'six.wav', np.column_stack([room, loudspeaker]), 16_000)
    return tmp_path / 'six.wav'


@pytest.mark.parametrize(('channels', 'numbers'), [('0', [0]), ('0,1', [0, 1]), ('', range(6))])
def test_a_file_is_played_with_the_chosen_channels_only(six, channels, numbers):
    source = FileSource(str(six), 40, ChannelChoice.parse(channels))
    assert source.pcm == PcmFormat(16_000, len(numbers), 'S16LE')
    heard = np.frombuffer(b''.join(block.data for block in source.blocks(Event())), '<i2').reshape(-1, len(numbers))
    np.testing.assert_array_equal(heard, soundfile.read(six, dtype='int16')[0][:, list(numbers)])


def test_a_file_without_the_chosen_channel_is_refused(six):
    with pytest.raises(AudioFormatError, match='channel 6 was asked for and there are 6; set channels to numbers from'):
        FileSource(str(six), 40, ChannelChoice.parse('6'))


def test_a_damaged_file_is_played_up_to_the_damage_and_that_is_said(six):
    content = six.read_bytes()
    six.write_bytes(content[: len(content) // 2])
    heard = b''
    with pytest.raises(AudioFormatError, match=r'ends there, and its header promises 0\.2 s'):
        for block in FileSource(str(six), 40).blocks(Event()):
            heard += block.data
    np.testing.assert_array_equal(np.frombuffer(heard, '<i2').reshape(-1, 6), soundfile.read(six, dtype='int16')[0])


def test_a_file_is_played_in_blocks_of_one_length_whatever_its_rate(tmp_path):
    soundfile.write(tmp_path / 'a.flac', np.linspace(-0.5, 0.5, 47_000), 44_100)
    blocks = list(FileSource(str(tmp_path / 'a.flac'), 40).blocks(Event()))
    assert [len(block.data) // 2 for block in blocks] == [1_764] * 26 + [1_136]


@pytest.mark.parametrize(('name', 'sentence'), [('none.wav', 'is not there'), ('empty.wav', 'holds no samples')])
def test_a_file_without_sound_is_refused(tmp_path, name, sentence):
    soundfile.write(tmp_path / 'empty.wav', np.empty(0), 16_000)
    with pytest.raises(AudioFormatError, match=sentence):
        FileSource(str(tmp_path / name), 40)
