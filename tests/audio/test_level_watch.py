"""What is wrong with the level of what is encoded, each by its name, its measured level and a cure."""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.audio.high_pass import HighPass
from audio_interaction_ros.audio.level_watch import LevelWatch

RATE = 16_000


def room(seconds=3.0, level=0.05, rate=RATE, seed=0):
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def watched(samples, rate=RATE, block_s=0.04):
    samples = samples[:, None] if samples.ndim == 1 else samples
    watch, pcm = LevelWatch(), PcmFormat(rate, samples.shape[1], 'S16LE')
    block = round(block_s * rate)
    for first in range(0, len(samples), block):
        watch.told(samples[first : first + block], pcm)
    return watch


@pytest.mark.parametrize('rate', [16_000, 44_100, 48_000])
@pytest.mark.parametrize('block_s', [0.01, 0.04, 0.5, 3.0])
def test_ordinary_sound_has_its_level_and_no_fault(rate, block_s):
    watch = watched(room(rate=rate), rate, block_s)
    assert watch.fault is None
    assert watch.levels.level_dbfs == pytest.approx(-26.0, abs=0.3)


def lsb(seconds):
    return (np.random.default_rng(0).integers(-1, 2, round(seconds * RATE)) / 32_768).astype(np.float32)


def quiet_scene():
    return np.concatenate([room(10.0, 10**-4.5), room(1.0, 10**-3)])


@pytest.mark.parametrize(
    ('samples', 'kind', 'deaf', 'words'),
    [
        (np.zeros(48_000, np.float32), 'digital_silence', True, 'unmute it'),
        (np.full(48_000, 5 / 32_768, np.float32), 'constant', True, '0.00015'),
        (np.full(48_000, -1.0, np.float32), 'constant', True, '-1.00000'),
        (lsb(3.0), 'lowest_bit', True, '-92 dBFS'),
        (np.stack([room(), -room()], 1), 'channels_cancel', True, '-26 dBFS before, -120 dBFS after'),
        (np.stack([room(), -0.95 * room()], 1), 'channels_cancel', True, '-58 dBFS after'),
        (room() + 0.0708, 'dc', False, '-23 dBFS'),
        (np.clip(room() * 12, -1, 1), 'clipping', False, 'at full scale'),
        (quiet_scene(), 'quiet', False, 'a floor of -90 dBFS'),
    ],
)
def test_what_is_wrong_is_named_with_its_level(samples, kind, deaf, words):
    fault = watched(samples).fault
    assert (fault.kind, fault.deaf) == (kind, deaf)
    assert words in fault.sentence


def test_a_dead_microphone_is_known_within_a_second_and_a_half_and_forgiven_at_once():
    watch, pcm = watched(room()), PcmFormat(RATE, 1, 'S16LE')
    for n in range(36):
        assert (watch.fault is not None) == (n >= 35)
        watch.told(np.zeros((640, 1), np.float32), pcm)
    assert watch.fault.deaf
    watch.told(room(0.1)[:, None], pcm)
    assert watch.fault is None


def test_two_channels_of_unlike_sound_are_well():
    assert watched(np.stack([room(), room(seed=1)], 1)).fault is None


def test_a_quiet_room_is_no_quiet_microphone():
    assert watched(room(20.0, 10**-3.5)).fault is None


def test_a_quiet_room_with_a_loud_sound_now_and_then_is_well():
    assert watched(np.concatenate([room(10.0, 3e-4), room(0.3, 0.03), room(10.0, 3e-4)])).fault is None


def test_what_is_below_hearing_is_not_level():
    hum = 0.3 * np.sin(2 * np.pi * 3.0 * np.arange(48_000) / RATE).astype(np.float32)
    assert watched(hum + room(level=1e-3)).levels.level_dbfs < -30.0


@pytest.mark.parametrize('cuts', [[], [1, 2, 3, 300, 10_000]])
def test_the_high_pass_removes_dc_and_keeps_the_rest_however_it_is_cut(cuts):
    t = np.arange(32_000) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * t)
    sound = (tone + 0.25).astype(np.float32)[:, None]
    high_pass = HighPass(RATE, 40.0)
    filtered = np.concatenate([high_pass.push(piece) for piece in np.split(sound, cuts)])[:, 0]
    assert abs(filtered[8_000:].mean()) < 1e-4
    assert np.abs(filtered[8_000:]).max() == pytest.approx(0.5, abs=0.01)
    whole = HighPass(RATE, 40.0).push(sound)[:, 0]
    np.testing.assert_allclose(filtered, whole, atol=1e-6)


def test_the_cutoff_is_where_three_decibels_are_lost():
    sine = np.sin(2 * np.pi * 40.0 * np.arange(64_000) / RATE).astype(np.float32)[:, None]
    filtered = HighPass(RATE, 40.0).push(sine)[32_000:]
    assert 20 * np.log10(np.abs(filtered).max()) == pytest.approx(-3.0, abs=0.1)
