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
