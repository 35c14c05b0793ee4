"""The loudspeaker that was asked for, and no other."""

from __future__ import annotations

import re

import pytest

from audio_interaction_ros.audio.devices import DeviceError, OutputDevice
from audio_interaction_ros.voice.loudspeaker import find_output

THERE = [
    OutputDevice(0, 'HDA: Analog (hw:0,0)', 'ALSA', 2, 48_000, default=True),
    OutputDevice(2, 'USB: Audio (hw:1,0)', 'ALSA', 2, 48_000),
    OutputDevice(5, 'USB: Audio left (hw:2,0)', 'ALSA', 2, 48_000),
]


@pytest.mark.parametrize(
    ('wanted', 'index'), [('', 0), (2, 2), ('2', 2), ('HDA', 0), ('USB: Audio (hw:1,0)', 2), ('left', 5)]
)
def test_a_loudspeaker_is_found_by_its_index_its_name_or_a_part_that_no_other_has(wanted, index):
    assert find_output(wanted, THERE).index == index


@pytest.mark.cures("loudspeakers match '{wanted}'", 'set device to one of these names')
@pytest.mark.parametrize(
    ('wanted', 'sentence'),
    [('usb', "2 loudspeakers match 'usb': 2 'USB: Audio (hw:1,0)'"), ('HDMI', "no loudspeaker matches 'HDMI'; there")],
)
def test_what_is_not_clear_is_refused_with_the_names_that_are(wanted, sentence):
    with pytest.raises(DeviceError, match=re.escape(sentence)) as refused:
        find_output(wanted, THERE)
    names = re.findall(r"'(USB: Audio left)[^']*'", str(refused.value))
    assert find_output(names[-1], THERE).index == 5


def test_without_any_loudspeaker_another_way_is_named():
    with pytest.raises(DeviceError, match=r'no default loudspeaker; .* or set output to messages'):
        find_output('', [])
