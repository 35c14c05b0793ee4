"""Audio files are read block by block, up to where they are damaged, and the damage is told."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.file_reader import AudioFile, read_piece, read_recording
from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.audio.resample import to_mono_16k

RATE_HZ = 16_000
NOISE = (np.random.default_rng(1).normal(0, 0.1, 72_000) * 32_767).astype(np.int16)


def read(path: Path) -> tuple[np.ndarray, AudioFile]:
    with AudioFile(path) as file:
        return np.round(np.concatenate(list(file.blocks()))[:, 0] * 32_768).astype(np.int16), file


def written(path: Path, **how: str) -> bytearray:
    soundfile.write(path, NOISE, RATE_HZ, **how)
    return bytearray(path.read_bytes())


def without_lengths(wav: bytearray) -> bytearray:
    wav[4:8] = wav[40:44] = bytes(4)
    return wav


def without_length(flac: bytearray) -> bytearray:
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    return flac


@pytest.mark.parametrize('name', ['a.wav', 'a.flac', 'a.aiff', 'a.au', 'a.w64', 'a.rf64', 'a.caf'])
def test_the_blocks_of_a_whole_file_are_all_of_it_and_no_damage_is_told(tmp_path, name):
    written(tmp_path / name)
    samples, file = read(tmp_path / name)
    np.testing.assert_array_equal(samples, NOISE)
    assert (file.damage, file.unfinished, file.frames) == (None, None, 72_000)


@pytest.mark.parametrize(
    'how',
    [{'format': 'WAVEX'}, {'subtype': 'PCM_24'}, {'subtype': 'PCM_32'}, {'subtype': 'FLOAT'}, {'subtype': 'DOUBLE'}],
    ids=lambda how: next(iter(how.values())),
)
def test_a_wav_of_any_kind_of_samples_is_the_same_sound_also_with_bytes_behind_it(tmp_path, how):
    soundfile.write(tmp_path / 'a.wav', NOISE / 32_768, RATE_HZ, **how)
    with (tmp_path / 'a.wav').open('ab') as file:
        file.write(bytes(1_001))
    samples, file = read(tmp_path / 'a.wav')
    np.testing.assert_allclose(samples, NOISE, atol=1)
    assert (file.damage, file.unfinished, file.frames) == (None, None, 72_000)


@pytest.mark.parametrize('name', ['a.ogg', 'a.mp3', 'a.opus'])
def test_a_whole_file_of_a_lossy_format_is_not_called_damaged(tmp_path, name):
    how = {'format': 'OGG', 'subtype': 'OPUS'} if name == 'a.opus' else {}
    written(tmp_path / name, **how)
    samples, file = read(tmp_path / name)
    assert (len(samples), file.damage) == (72_000, None)


def test_a_flac_without_a_length_as_from_a_pipe_is_read_whole(tmp_path):
    (tmp_path / 'a.flac').write_bytes(without_length(written(tmp_path / 'a.flac')))
    samples, file = read(tmp_path / 'a.flac')
    np.testing.assert_array_equal(samples, NOISE)
    assert file.damage is None


@pytest.mark.parametrize('length', [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000, 0x8000_0000])
def test_a_wav_of_unknown_length_as_from_a_pipe_is_read_whole(tmp_path, length):
    wav = written(tmp_path / 'a.wav')
    wav[40:44] = struct.pack('<I', length)
    (tmp_path / 'a.wav').write_bytes(wav)
    samples, file = read(tmp_path / 'a.wav')
    np.testing.assert_array_equal(samples, NOISE)
    assert file.damage is None


def test_a_wav_whose_writer_was_killed_is_read_whole_and_called_unfinished(tmp_path):
    (tmp_path / 'a.wav').write_bytes(without_lengths(written(tmp_path / 'a.wav')))
    samples, file = read(tmp_path / 'a.wav')
    np.testing.assert_array_equal(samples, NOISE)
    assert 'never finished' in (file.unfinished or '')
    assert file.damage is None


def test_a_large_wav_whose_writer_was_killed_is_read_whole_too(tmp_path):
    rf64 = written(tmp_path / 'a.rf64')
    rf64[20:36] = bytes(16)  # in ds64
    (tmp_path / 'a.rf64').write_bytes(rf64)
    samples, file = read(tmp_path / 'a.rf64')
    np.testing.assert_array_equal(samples, NOISE)
    assert 'never finished' in (file.unfinished or '')


def test_a_wav_whose_only_chunk_beside_an_empty_one_is_text_is_empty(tmp_path):
    soundfile.write(tmp_path / 'a.wav', NOISE[:0], RATE_HZ)
    with (tmp_path / 'a.wav').open('ab') as file:
        file.write(b'LIST' + struct.pack('<I', 4) + b'INFO')
    with pytest.raises(AudioFormatError, match='holds no samples'):
        read(tmp_path / 'a.wav')


@pytest.mark.parametrize(
    ('name', 'at_least', 'sentence'),
    [
        ('a.wav', 47_900, 'after 3.0 s: it ends there, and its header promises 4.5 s'),
        ('a.aiff', 47_900, 'after 3.0 s: it ends there, and its header promises 4.5 s'),
        ('a.au', 47_900, 'after 3.0 s: it ends there, and its header promises 4.5 s'),
        ('a.w64', 47_900, 'after 3.0 s: it ends there, and its header promises 4.5 s'),
        ('a.rf64', 47_900, 'after 3.0 s: it ends there, and its header promises 4.5 s'),
        ('a.flac', 44_000, 'cannot be decoded any further'),
        ('a.mp3', 40_000, 'of the 4.5 s that its header promises 1.'),
        ('a.ogg', 20_000, 'lacks its last part'),
    ],
)
def test_a_file_that_was_cut_off_is_used_up_to_there_and_that_is_said(tmp_path, name, at_least, sentence):
    content = written(tmp_path / name)
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    samples, file = read(tmp_path / name)
    assert at_least <= len(samples) < 50_000
    if name not in ('a.mp3', 'a.ogg'):
        np.testing.assert_array_equal(samples, NOISE[: len(samples)])
    assert sentence in (file.damage or '')


@pytest.mark.parametrize('length', ['known', 'unknown'])
def test_a_flac_with_damage_within_a_block_is_used_up_to_the_damage(tmp_path, length):
    flac = written(tmp_path / 'a.flac')
    flac = without_length(flac) if length == 'unknown' else flac
    half = len(flac) // 2
    flac[half : half + 300] = b'\xaa' * 300
    (tmp_path / 'a.flac').write_bytes(flac)
    samples, file = read(tmp_path / 'a.flac')
    assert 32_000 < len(samples) <= 36_864  # more than the whole seconds before it
    np.testing.assert_array_equal(samples[:32_768], NOISE[:32_768])
    assert 'cannot be decoded any further' in (file.damage or '')


def spoiled(content: bytes, how: str) -> bytes:
    pages = [page for page in range(len(content)) if content[page : page + 4] == b'OggS']
    middle = pages[len(pages) * 2 // 3] if pages else len(content) // 2
    noise = np.random.default_rng(1).bytes(3_000)
    return {
        'zeros': content[: middle + 100] + bytes(400) + content[middle + 500 :],
        'missing': content[: middle + 100] + content[middle + 1_000 :],
        'noise between': content[:middle] + noise + content[middle:],
        'noise behind': content + noise,
    }[how]


@pytest.mark.parametrize('name', ['a.ogg', 'a.opus'])
@pytest.mark.parametrize('how', ['zeros', 'missing'])
def test_an_ogg_with_a_hole_is_used_before_and_after_it_and_the_hole_is_told(tmp_path, name, how):
    format_ = {'format': 'OGG', 'subtype': 'OPUS'} if name == 'a.opus' else {}
    content = written(tmp_path / name, **format_)
    whole, _ = read(tmp_path / name)
    (tmp_path / name).write_bytes(spoiled(content, how))
    samples, file = read(tmp_path / name)
    found = re.search(r'is damaged after (\d\.\d) s: (\d\.\d) s of it cannot be decoded', file.damage or '')
    assert found, file.damage
    assert float(found[2]) == pytest.approx((72_000 - len(samples)) / RATE_HZ, abs=0.06)
    before = round(float(found[1]) * RATE_HZ)
    assert 0 < before < len(samples) - RATE_HZ // 2  # and something comes after it
    np.testing.assert_array_equal(samples[:before], whole[:before])
    piece = read_piece(tmp_path / name, 0.0, 4.5)
    assert 'a part of it cannot be decoded' in (piece.problem or '')
    assert before <= len(piece.samples) <= before + RATE_HZ, 'what has no right time is no part of a piece'


@pytest.mark.parametrize(
    ('name', 'how'),
    [
        ('a.ogg', 'noise between'),
        ('a.opus', 'noise between'),
        ('a.ogg', 'noise behind'),
        ('a.opus', 'noise behind'),
        ('a.mp3', 'noise behind'),
    ],
)
def test_noise_between_pages_or_behind_the_last_takes_no_sound_away(tmp_path, name, how):
    format_ = {'format': 'OGG', 'subtype': 'OPUS'} if name == 'a.opus' else {}
    content = written(tmp_path / name, **format_)
    whole, _ = read(tmp_path / name)
    (tmp_path / name).write_bytes(spoiled(content, how))
    samples, file = read(tmp_path / name)
    np.testing.assert_array_equal(samples, whole)
    assert file.damage is None


@pytest.mark.parametrize('how', ['zeros', 'missing', 'noise between'])
def test_a_damaged_mp3_is_used_as_far_as_it_can_be_decoded(tmp_path, how):
    content = written(tmp_path / 'a.mp3')
    whole, _ = read(tmp_path / 'a.mp3')
    (tmp_path / 'a.mp3').write_bytes(spoiled(content, how))
    samples, file = read(tmp_path / 'a.mp3')
    np.testing.assert_array_equal(samples[:32_000], whole[:32_000])
    assert len(samples) < len(whole)
    assert 'is damaged' in (file.damage or '') and 'copy the file again' in (file.damage or '')


@pytest.mark.cures('that can be used; copy it again from its source')
def test_a_piece_of_a_damaged_file_is_what_of_it_comes_before_the_damage(tmp_path):
    content = written(tmp_path / 'a.flac')
    (tmp_path / 'a.flac').write_bytes(content[: len(content) * 2 // 3])
    whole = read_piece(tmp_path / 'a.flac', 0.5, 2.0)
    np.testing.assert_array_equal(np.round(whole.samples * 32_768), NOISE[8_000:32_000])
    assert whole.problem is None
    part = read_piece(tmp_path / 'a.flac', 2.0, 4.0)
    np.testing.assert_array_equal(np.round(part.samples * 32_768), NOISE[32_000 : 32_000 + len(part.samples)])
    assert 'cannot be decoded any further' in part.problem and 8_000 < len(part.samples) < 17_000
    with pytest.raises(
        AudioFormatError, match=r'no sound after 4\.0 s that can be used; copy it again from its source'
    ):
        read_piece(tmp_path / 'a.flac', 4.0, 4.5)
    (tmp_path / 'a.flac').write_bytes(content)
    assert len(read_piece(tmp_path / 'a.flac', 4.0, 4.5).samples) == 8_000


def test_samples_that_are_no_numbers_are_damage_where_sound_came_before_and_else_an_error(tmp_path):
    samples = np.full(48_000, 0.1, np.float32)
    samples[40_000:] = np.nan
    soundfile.write(tmp_path / 'late.wav', samples, RATE_HZ, 'FLOAT')
    heard, file = read(tmp_path / 'late.wav')
    assert len(heard) == 40_000
    assert 'after 2.5 s: it holds NaN' in (file.damage or '')
    soundfile.write(tmp_path / 'first.wav', samples[40_000:], RATE_HZ, 'FLOAT')
    with pytest.raises(AudioFormatError, match='NaN'):
        read(tmp_path / 'first.wav')


def test_what_is_no_recording_is_told_in_a_sentence_that_fits(tmp_path):
    (tmp_path / 'text.wav').write_text('hello')
    (tmp_path / 'nothing.wav').touch()
    soundfile.write(tmp_path / 'slow.wav', NOISE, 2_000)
    for name, sentence in {
        'none.wav': 'is not there; check the path',
        '.': 'is a folder; give an audio file in it',
        'text.wav': 'Format not recognised',
        'nothing.wav': 'is empty',
        'slow.wav': 'sample rate 2000 Hz found',
    }.items():
        with pytest.raises(AudioFormatError, match=sentence):
            read(tmp_path / name)


def test_whatever_a_decoder_raises_is_damage_and_no_exception(tmp_path, monkeypatch):
    written(tmp_path / 'a.wav')
    with AudioFile(tmp_path / 'a.wav') as file:
        blocks = file.blocks()
        next(blocks)
        monkeypatch.setattr(soundfile.SoundFile, 'read', lambda *_, **__: 1 / 0)
        assert list(blocks) == []
        assert 'after 1.0 s: it cannot be decoded any further (division by zero)' in (file.damage or '')


def test_a_pipe_is_read_as_it_comes(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    content = bytes(written(tmp_path / 'a.wav'))
    writer = threading.Thread(target=(tmp_path / 'pipe').write_bytes, args=(content,), daemon=True)
    writer.start()
    samples, file = read(tmp_path / 'pipe')
    writer.join(10)
    np.testing.assert_array_equal(samples, NOISE)
    assert file.damage is None


@pytest.mark.parametrize(('rate_hz', 'channels'), [(16_000, 1), (44_100, 2)])
def test_a_recording_is_read_whole_at_16_khz_or_as_much_of_it_as_is_wanted(tmp_path, rate_hz, channels):
    sound = np.repeat(NOISE[:, None], channels, 1).astype(np.float32) / 32_768
    soundfile.write(tmp_path / 'a.flac', sound, rate_hz)
    recording = read_recording(tmp_path / 'a.flac')
    assert recording.problem is None
    np.testing.assert_allclose(recording.samples, to_mono_16k(sound, rate_hz), atol=1e-5)
    first = read_recording(tmp_path / 'a.flac', longest_s=1.0)
    assert len(first.samples) == pytest.approx(16_000, abs=1)
    content = (tmp_path / 'a.flac').read_bytes()
    (tmp_path / 'a.flac').write_bytes(content[: len(content) // 2])
    assert 'cannot be decoded any further' in (read_recording(tmp_path / 'a.flac').problem or '')


def test_half_an_hour_of_stereo_is_read_in_flat_memory(tmp_path):
    # A sparse file of zeros: half an hour of 48 kHz stereo, 690 MB as float32 and next to nothing on the disk.
    code = (
        'import resource, sys\n'
        'from audio_interaction_ros.audio.file_reader import AudioFile\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'with AudioFile(sys.argv[1]) as file:\n'
        '    frames = sum(len(block) for block in file.blocks())\n'
        'grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n'
        'assert file.damage is None, file.damage\n'
        'print(frames, grown // 1024)\n'
    )
    long = tmp_path / 'long.w64'
    frames = 1_800 * 48_000
    soundfile.write(long, np.zeros((48_000, 2), np.int16), 48_000, format='W64')
    size = long.stat().st_size
    header = size - 48_000 * 4
    content = bytearray(long.read_bytes()[:header])
    content[16:24] = struct.pack('<Q', header + frames * 4)
    content[header - 8 : header] = struct.pack('<Q', 24 + frames * 4)
    long.write_bytes(content)
    os.truncate(long, header + frames * 4)
    done = subprocess.run([sys.executable, '-c', code, str(long)], capture_output=True, text=True, check=True)
    heard, grown_mib = map(int, done.stdout.split())
    assert heard == frames
    assert grown_mib < 20
