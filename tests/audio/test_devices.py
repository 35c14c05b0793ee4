"""Which device a name or an index means, and which is the same one after the devices were listed anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.audio.devices import (
    DeviceError,
    InputDevice,
    KnownDevice,
    find,
    hardware_of,
    why_none,
    word_for,
)


def devices(*names, host_api='ALSA', channels=2):
    return [InputDevice(index, name, host_api, channels, 48_000) for index, name in enumerate(names)]


@pytest.mark.parametrize(
    ('wanted', 'name'),
    [
        ('default', 'default'),
        ('Default', 'default'),
        ('sysdefault', 'sysdefault'),
        ('usb_front', 'usb_front'),
        ('FRONT', 'usb_front'),
        ('pulse, ALSA', 'pulse'),
        (3, 'pulse'),
        ('3', 'pulse'),
        (' pulse ', 'pulse'),
    ],
)
def test_a_whole_name_wins_over_parts_of_others_and_a_part_of_one_will_do(wanted, name):
    there = devices('sysdefault', 'usb_front', 'usb_back', 'pulse', 'default')
    assert find(wanted, there).name == name


def test_several_matches_are_an_error_that_lists_them_with_the_words_for_each():
    with pytest.raises(DeviceError) as refused:
        find('usb', devices('pulse', 'usb_front', 'usb_back'))
    assert str(refused.value) == (
        "2 microphones match 'usb': 1 'usb_front' (ALSA), 2 'usb_back' (ALSA); give one of 'usb_front', 'usb_back'"
    )


def test_one_name_in_two_host_apis_is_told_apart_by_the_host_api():
    there = [InputDevice(0, 'USB Audio', 'MME', 1, 44_100), InputDevice(1, 'USB Audio', 'Windows WASAPI', 1, 48_000)]
    with pytest.raises(DeviceError, match="'USB Audio, MME', 'USB Audio, Windows WASAPI'"):
        find('USB Audio', there)
    assert find('USB Audio, Windows WASAPI', there).index == 1


@pytest.mark.parametrize('wanted', ['no such', 9, '9', -1, ''])
def test_what_matches_nothing_is_an_error_that_lists_what_there_is(wanted):
    with pytest.raises(DeviceError, match=r"there are: 0 'pulse' \(ALSA\); give one of these"):
        find(wanted, devices('pulse'))


def test_the_name_of_a_sound_card_holds_when_its_number_changes():
    there = devices('HDA: Analog (hw:0,0)', 'USB PnP: Audio (hw:2,0)')
    assert find('USB PnP: Audio (hw:1,0)', there).index == 1
    assert word_for(there[1], there) == 'USB PnP: Audio'
    with pytest.raises(DeviceError, match='no microphone matches'):
        find('USB PnP: Audio (hw:1,1)', there)
    two = devices('USB: Audio (hw:1,0)', 'USB: Audio (hw:2,0)')
    assert [word_for(device, two) for device in two] == ['USB: Audio (hw:1,0)', 'USB: Audio (hw:2,0)']
    with pytest.raises(DeviceError, match='2 microphones match'):
        find('USB: Audio (hw:5,0)', two)


NAMES = st.sampled_from(
    ['usb', 'USB', 'usb 1', '1', ' usb', 'usb, ALSA', 'default', 'sysdefault', 'x: y (hw:1,0)', 'x: y (hw:2,0)']
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(['ALSA', 'OSS'])), min_size=1, max_size=6))
def test_the_word_for_a_device_finds_it_and_no_other(listed):
    there = [InputDevice(index, name, api, 2, 48_000) for index, (name, api) in enumerate(listed)]
    for device in there:
        assert find(word_for(device, there), there) == device


def known(device, there):
    return KnownDevice.among(device, there)


def test_a_device_is_found_again_under_another_index_and_card_number():
    before = devices('USB PnP: Audio (hw:1,0)', 'pulse')
    it = known(before[0], before)
    after = devices('HDMI: 0 (hw:1,0)', 'pulse', 'USB PnP: Audio (hw:2,0)')
    assert it.again(after).index == 2


def test_after_unplugging_the_same_device_comes_back_or_none_does():
    before = devices('usb_front', 'usb_back')
    it = known(before[1], before)
    with pytest.raises(DeviceError, match=r"'usb_back' \(ALSA\) is not there; plug it in.*there are: 0 'usb_front'"):
        it.again(devices('usb_front'))
    other_api = [replace(before[1], host_api='OSS')]
    other_channels = [replace(before[1], channels=6)]
    for other in (other_api, other_channels, []):
        with pytest.raises(DeviceError, match='is not there'):
            it.again(other)
    assert it.again(devices('pulse', 'usb_front', 'usb_back')).name == 'usb_back'


def test_of_two_alike_the_missing_one_is_not_taken_for_the_other():
    before = devices('USB: Audio (hw:1,0)', 'USB: Audio (hw:2,0)')
    for chosen in before:
        it = known(chosen, before)
        assert it.again(before) == chosen
        with pytest.raises(DeviceError, match='there were 2 and there are 1 now'):
            it.again(devices('USB: Audio (hw:1,0)'))


def test_a_second_one_of_its_kind_is_not_taken_for_it():
    before = devices('USB: Audio (hw:1,0)')
    with pytest.raises(DeviceError, match='there were 1 and there are 2 now'):
        known(before[0], before).again(devices('USB: Audio (hw:1,0)', 'USB: Audio (hw:2,0)'))


def test_two_alike_are_told_apart_by_where_they_are_plugged_in():
    left, right = (
        InputDevice(number, f'USB: Audio (hw:{number},0)', 'ALSA', 1, 48_000, hardware='1:2:', socket=f'1-{number}')
        for number in (1, 2)
    )
    it = known(right, [left, right])
    assert it.again([right]) == right
    moved = replace(right, name='USB: Audio (hw:1,0)', index=1)
    assert it.again([moved]) == moved
    with pytest.raises(DeviceError, match='nothing tells which is which'):
        it.again([left])


def test_another_serial_number_is_another_device():
    one = InputDevice(0, 'USB: Audio (hw:1,0)', 'ALSA', 1, 48_000, hardware='1:2:A', socket='1-1')
    it = known(one, [one])
    with pytest.raises(DeviceError, match='is not there'):
        it.again([replace(one, hardware='1:2:B')])
    assert it.again([replace(one, socket='1-4')]).socket == '1-4'


def test_a_usb_card_is_known_by_what_the_kernel_says_of_it(tmp_path):
    port = tmp_path / 'devices' / 'usb1' / '1-2'
    (port / '1-2:1.0').mkdir(parents=True)
    for name, text in {'idVendor': '2886\n', 'idProduct': '0018\n', 'serial': 'AB12\n'}.items():
        (port / name).write_text(text)
    card = tmp_path / 'class' / 'sound' / 'card1'
    card.mkdir(parents=True)
    (card / 'device').symlink_to(port / '1-2:1.0')
    assert hardware_of('ReSpeaker 4 Mic Array: USB Audio (hw:1,0)', tmp_path) == ('2886:0018:AB12', '1-2')
    assert hardware_of('HDA: Analog (hw:0,0)', tmp_path) == ('', '')
    assert hardware_of('pulse', tmp_path) == ('', '')


def test_without_any_microphone_the_likely_cause_is_said(tmp_path):
    assert 'plug one in' in why_none(tmp_path)
    (tmp_path / 'pcmC0D0p').touch()  # only plays
    assert 'plug one in' in why_none(tmp_path)
    (tmp_path / 'pcmC0D0c').symlink_to(tmp_path / 'not there')  # that nobody may open, root neither
    assert 'group audio' in why_none(tmp_path)
    (tmp_path / 'not there').touch()
    assert 'end what uses it' in why_none(tmp_path)
    with pytest.raises(DeviceError, match=r"no microphone matches 'usb'; there are: none; .*sound card"):
        find('usb', [])
