"""Channels are chosen or averaged, and averaging that cancels is measured."""

from __future__ import annotations

import re

import numpy as np
import pytest

from audio_interaction_ros.audio.channels import ChannelChoice, ChannelPicker
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, encode_s16le
from audio_interaction_ros.audio.level_watch import LevelWatch

RATE = 16_000


def picked(samples, channels, block=640):
    """The picker and what it has picked, int16 [frames, channels], of float [frames, channels]."""
    picker = ChannelPicker(ChannelChoice.parse(channels), PcmFormat(RATE, samples.shape[1], 'S16LE'))
    data = b''.join(picker.pick(encode_s16le(samples[i : i + block])) for i in range(0, len(samples), block))
    return picker, np.frombuffer(data, '<i2').reshape(-1, picker.pcm.channels)


def noise(seconds=4.0, level=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE))


@pytest.mark.parametrize(
    ('channels', 'numbers'), [('', [0, 1, 2]), (1, [1]), ('2', [2]), ('0,2', [0, 2]), ('2, 0', [2, 0])]
)
def test_the_chosen_channels_are_kept_to_the_bit(channels, numbers):
    samples = np.stack([noise(0.2, seed=seed) for seed in range(3)], 1)
    picker, out = picked(samples, channels)
    assert picker.pcm.channels == len(numbers)
    np.testing.assert_array_equal(out, np.frombuffer(encode_s16le(samples), '<i2').reshape(-1, 3)[:, numbers])


def test_mix_is_the_average_of_all():
    samples = np.stack([np.full(640, 0.5), np.full(640, 0.25), np.zeros(640)], 1)
    picker, out = picked(samples, 'mix')
    assert picker.pcm == PcmFormat(RATE, 1, 'S16LE')
    assert (out == 8_192).all()


@pytest.mark.parametrize('gain', [-1.0, -0.9])
def test_averaging_that_cancels_is_measured_whoever_averages_and_said_by_who_does(gain):
    x = noise()
    for channels in ('mix', '0,1', ''):
        picker = picked(np.stack([x, gain * x], 1), channels)[0]
        assert picker.loss_db > 24.0
        assert (picker.cancellation is not None) == (channels == 'mix')  # of the others the listener says it
    cancellation = picked(np.stack([x, gain * x], 1), 'mix')[0].cancellation
    assert cancellation.each_dbfs == pytest.approx(-20.0, abs=1.0)
    assert cancellation.average_dbfs < -44.0
    assert cancellation.instead == 0


@pytest.mark.parametrize(('gain', 'cancels'), [(-1.0, True), (-0.8, True), (-0.6, False), (0.0, False), (1.0, False)])
def test_who_averages_and_who_hears_say_the_same_of_the_same_channels(gain, cancels):
    x = noise(0.5)
    samples = np.tile(np.stack([x, gain * x], 1), (8, 1))
    watch = LevelWatch()
    watch.told(samples.astype(np.float32), PcmFormat(RATE, 2, 'S16LE'))
    picker = picked(samples, 'mix')[0]
    assert (watch.fault is not None, picker.cancellation is not None) == (cancels, cancels)
    if cancels:
        assert without_levels(watch.fault.sentence) == without_levels(picker.cancellation.sentence)


def without_levels(sentence: str) -> str:
    return re.sub(r'-\d+ dBFS', '… dBFS', sentence)


@pytest.mark.parametrize(
    'others',
    [
        lambda x: [noise(seed=1)],  # nothing in common
        lambda x: [np.roll(x, 8)],  # the same, half a millisecond later
        lambda x: [0 * x],  # a dead channel
        lambda x: [0.5 * x],
        lambda x: [noise(seed=seed) for seed in range(1, 8)],
    ],
)
def test_averaging_that_does_no_harm_is_not_said_to(others):
    x = noise()
    assert picked(np.stack([x, *others(x)], 1), 'mix')[0].cancellation is None


def test_one_channel_alone_silence_and_a_bang_say_nothing_of_cancelling():
    x = noise()
    assert picked(np.stack([x, -x], 1), '0')[0].cancellation is None
    assert picked(np.stack([x, -x], 1) * 1e-3, 'mix')[0].cancellation is None
    assert picked(np.stack([noise(1.0), -noise(1.0)], 1), 'mix')[0].cancellation is None


def test_the_channel_to_take_instead_is_not_a_dead_one():
    x = noise()
    cancellation = picked(np.stack([0 * x, x, -x], 1), 'mix')[0].cancellation
    assert cancellation is not None and cancellation.instead == 1


def test_it_is_over_when_the_cable_was_mended():
    x, y = noise(), noise(seed=1)
    picker, _ = picked(np.concatenate([np.stack([x, -x], 1), np.stack([y, y], 1)]), 'mix')
    assert picker.cancellation is None


@pytest.mark.parametrize('text', ['left', '0,0', '-1', '0;1', '64', ',', '0,', '1.0', 'mix,0'])
def test_anything_else_is_refused_with_what_can_be_given(text):
    with pytest.raises(AudioFormatError, match=r"channels is .*0 is the first.*'mix'"):
        ChannelChoice.parse(text)


def test_a_channel_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AudioFormatError, match='channel 5 was asked for and there are 2; set channels to numbers from'):
        ChannelPicker(ChannelChoice.parse('0,5'), PcmFormat(RATE, 2, 'S16LE'))
