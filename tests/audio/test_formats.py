"""What comes in as bytes is read exactly or refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import (
    AudioFormatError,
    PcmFormat,
    encode_s16le,
    from_integers,
    to_int16,
)
from audio_interaction_ros.audio.resample import MonoResampler, to_mono_16k
from audio_interaction_ros.audio.sources import FileSource


@given(st.lists(st.integers(-32_768, 32_767), min_size=2, max_size=64).filter(lambda values: len(values) % 2 == 0))
def test_sixteen_bit_samples_survive_a_round_trip(values):
    raw = np.array(values, '<i2').tobytes()
    samples = PcmFormat(16_000, 2, 'S16LE').decode(raw)
    assert samples.shape == (len(values) // 2, 2)
    assert encode_s16le(samples) == raw


def test_floats_of_any_width_become_the_nearest_integers_and_full_scale_is_clipped():
    for dtype in (np.float32, np.float64):
        samples = np.array([-1.5, -1.0, -0.25, 0.4 / 32_768, 0.6 / 32_768, 0.5, 1.0, 2.0], dtype)
        assert to_int16(samples).tolist() == [-32_768, -32_768, -8_192, 0, 1, 16_384, 32_767, 32_767]
    whole = np.arange(-32_768, 32_768, dtype=np.int16)
    np.testing.assert_array_equal(to_int16(from_integers(whole)), whole)


@pytest.mark.parametrize(('sample_format', 'dtype'), [('F32LE', '<f4'), ('F32', '<f4'), ('F32BE', '>f4')])
def test_floats_are_read_as_they_are(sample_format, dtype):
    samples = PcmFormat(16_000, 1, sample_format).decode(np.array([0.5, -0.25], dtype).tobytes())
    np.testing.assert_array_equal(samples, [[0.5], [-0.25]])


@pytest.mark.parametrize(
    ('sample_format', 'dtype', 'values'),
    [('S32LE', '<i4', [2**30, -(2**31)]), ('S8', 'i1', [64, -128]), ('U8', 'u1', [192, 0])],
)
def test_other_integers_have_their_own_full_scale(sample_format, dtype, values):
    samples = PcmFormat(16_000, 1, sample_format).decode(np.array(values, dtype).tobytes())
    np.testing.assert_array_equal(samples, [[0.5], [-1.0]])


def test_big_endian_integers_are_swapped():
    assert PcmFormat(16_000, 1, 'S16BE').decode(b'\x40\x00')[0, 0] == 0.5


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(AudioFormatError, match='7 bytes found, a multiple of 4 expected'):
        PcmFormat(16_000, 2, 'S16LE').decode(bytes(7))


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    with pytest.raises(AudioFormatError, match='NaN'):
        PcmFormat(16_000, 1, 'F32LE').decode(np.array([0.0, bad], '<f4').tobytes())


@pytest.mark.parametrize(
    ('rate', 'channels', 'sample_format', 'coding', 'sentence'),
    [
        (16_000, 1, 'S16LE', 'mp3', "coded as 'mp3'"),
        (16_000, 0, 'S16LE', 'wave', '0 channels'),
        (16_000, 65, 'S16LE', 'wave', '65 channels'),
        (100, 1, 'S16LE', 'wave', '100 Hz'),
        (16_000, 1, 'S24LE', 'wave', "'S24LE'"),
        (16_000, 1, '', '', "''"),
    ],
)
def test_a_stream_of_another_kind_is_refused(rate, channels, sample_format, coding, sentence):
    with pytest.raises(AudioFormatError, match=sentence):
        PcmFormat.from_info(rate, channels, sample_format, coding)


@given(st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.lists(st.integers(0, 20_000), max_size=6))
def test_resampling_piece_by_piece_equals_resampling_the_whole(rate, cuts):
    sound = np.random.default_rng(0).uniform(-1, 1, (20_000, 2)).astype(np.float32)
    resampler = MonoResampler(rate)
    pieces = [resampler.push(piece) for piece in np.split(sound, sorted(cuts))]
    pieces.append(resampler.push(sound[:0], last=True))
    whole = to_mono_16k(sound, rate)
    joined = np.concatenate(pieces)
    assert abs(len(whole) - 20_000 * 16_000 / rate) <= 1
    np.testing.assert_allclose(joined, whole, atol=1e-5)


@pytest.mark.cures("'{_path}' is not there; check the path", 'give an audio file in it')
def test_a_file_that_is_not_there_is_said_so_and_read_when_it_is(tmp_path):
    path = tmp_path / 'sound.wav'
    for wrong, sentence in (
        (path, 'is not there; check the path'),
        (tmp_path, 'is a folder; give an audio file in it'),
    ):
        for reader in (read_recording, lambda path: FileSource(str(path), 40)):
            with pytest.raises(AudioFormatError, match=sentence):
                reader(wrong)
    soundfile.write(path, np.zeros(16_000), 16_000)
    assert len(read_recording(path).samples) == 16_000
    assert FileSource(str(path), 40).duration_s == 1.0
