"""Whatever the bytes of an audio file are: what is heard and what is told as damage is what its header promised."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from audio_interaction_ros.audio.file_reader import AudioFile
from audio_interaction_ros.audio.formats import MAX_CHANNELS, AudioFormatError
from tests.fuzz.cases import cases
from tests.fuzz.strategies import assert_one_sentence, damaged

NOISE = (np.random.default_rng(1).normal(0, 0.1, 12_000) * 32_767).astype(np.int16)
CONTAINERS = {
    'wav': ('WAV', 'PCM_16'), 'flac': ('FLAC', 'PCM_16'), 'ogg': ('OGG', 'VORBIS'), 'opus': ('OGG', 'OPUS'),
    'aiff': ('AIFF', 'PCM_16'), 'au': ('AU', 'PCM_16'), 'w64': ('W64', 'PCM_16'), 'rf64': ('RF64', 'PCM_16'),
    'caf': ('CAF', 'PCM_16'), 'mp3': ('MP3', 'MPEG_LAYER_III'), 'adpcm': ('WAV', 'IMA_ADPCM'),
    'float': ('WAV', 'FLOAT'), 'ulaw': ('WAV', 'ULAW'), 'alac': ('CAF', 'ALAC_16'),
}  # fmt: skip


def whole(container: str) -> bytes:
    file = io.BytesIO()
    kind, subtype = CONTAINERS[container]
    soundfile.write(file, NOISE, 16_000, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.fixture(scope='module')
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('fuzz') / 'sound'


def read(path: Path, content: bytes) -> tuple[np.ndarray, AudioFile]:
    path.write_bytes(content)
    with AudioFile(path) as file:
        blocks = list(file.blocks())
    return np.concatenate(blocks), file


@dataclass(frozen=True)
class Wav:
    """A WAV by its parts, any of which may be wrong."""

    rate_hz: int
    channels: int
    bits: int
    frames: int
    promised: int | None  # bytes of sound by the header; None: as many as there are
    before: tuple[tuple[bytes, bytes], ...]  # chunks: name and body
    after: bytes
    cut: int  # bytes at the end that never came

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8

    def sound(self) -> bytes:
        return np.random.default_rng(0).bytes(self.frames * self.frame_bytes)

    def content(self) -> bytes:
        sound = self.sound()
        promised = len(sound) if self.promised is None else self.promised
        if self.promised is None:
            sound += bytes(len(sound) % 2)  # what was never finished is not filled up
        bytes_a_second = self.rate_hz * self.frame_bytes
        fmt = struct.pack(
            '<HHIIHH', 1, self.channels, self.rate_hz, min(bytes_a_second, 2**32 - 1), self.frame_bytes, self.bits
        )
        chunks = chunk(b'fmt ', fmt) + b''.join(chunk(*parts) for parts in self.before)
        chunks += b'data' + struct.pack('<I', promised) + sound + self.after
        content = b'RIFF' + struct.pack('<I', min(4 + len(chunks), 2**32 - 1)) + b'WAVE' + chunks
        return content[: len(content) - self.cut]


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack('<I', len(body)) + body + bytes(len(body) % 2)


CHUNKS = st.tuples(st.sampled_from([b'LIST', b'bext', b'JUNK', b'abcd']), st.binary(max_size=30))
WAVS = st.builds(
    Wav,
    rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000]) | st.integers(4_000, 384_000),
    channels=st.integers(1, 4) | st.integers(1, MAX_CHANNELS),
    bits=st.sampled_from([8, 16, 24, 32]),
    frames=st.integers(1, 3_000),
    promised=st.none(),
    before=st.lists(CHUNKS, max_size=3).map(tuple),
    after=st.just(b''),
    cut=st.just(0),
)


@cases(150)
@given(WAVS, st.lists(CHUNKS, max_size=2))
def test_a_whole_wav_is_heard_whole_whatever_else_is_in_it(path, wav, after):
    samples, file = read(path, replace(wav, after=b''.join(chunk(*parts) for parts in after)).content())
    assert samples.shape == (wav.frames, wav.channels)
    assert file.damage is None
    assert file.unfinished is None


@cases(200)
@given(WAVS, st.data())
def test_a_wav_that_was_cut_off_is_heard_up_to_there_and_the_rest_is_told(path, wav, data):
    sound_bytes = wav.frames * wav.frame_bytes
    cut = data.draw(st.integers(1, sound_bytes + sound_bytes % 2), 'cut')
    there = min(sound_bytes, sound_bytes + sound_bytes % 2 - cut) // wav.frame_bytes
    content = replace(wav, cut=cut).content()
    if not there:
        with pytest.raises(AudioFormatError):
            read(path, content)
        return
    samples, file = read(path, content)
    assert len(samples) == there
    assert (file.damage is not None) == (there < wav.frames)
    if file.damage:
        assert f'promises {wav.frames / wav.rate_hz:.1f} s' in file.damage


@cases(150)
@given(WAVS, st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
def test_a_wav_whose_length_is_wrong_is_heard_as_far_as_it_goes(path, wav, promised):
    sound_bytes = wav.frames * wav.frame_bytes
    assume(promised == 0 or promised >= sound_bytes)
    content = replace(wav, promised=promised).content()
    samples, file = read(path, content)
    assert len(samples) == wav.frames
    if promised // wav.frame_bytes > wav.frames:
        unknown = 0x7FFF_0000 <= promised < 0x8000_1000 or promised >= 0xFFFF_0000
        assert (file.damage is None) == unknown
    assert (file.unfinished is not None) == (promised == 0)


@pytest.mark.parametrize('container', CONTAINERS)
@cases(40)
@given(data=st.data())
def test_any_damage_is_a_sentence_or_what_can_be_heard(path, container, data):
    content = data.draw(damaged(whole(container)))
    try:
        samples, file = read(path, content)
    except AudioFormatError as error:
        assert_one_sentence(error, 'sound')
        return
    assert samples.dtype == np.float32
    assert len(samples) == file.frames > 0
    assert np.isfinite(samples).all()
    for told in filter(None, [file.damage, file.unfinished]):
        assert_one_sentence(told, 'sound')


@cases(60)
@given(st.integers(1, len(whole('flac')) - 1))
def test_a_flac_that_was_cut_off_is_heard_up_to_there_and_that_is_told(path, length):
    try:
        samples, file = read(path, whole('flac')[:length])
    except AudioFormatError:
        assert length < len(whole('flac')) // 2
        return
    np.testing.assert_array_equal(np.round(samples[:, 0] * 32_768), NOISE[: len(samples)])
    assert (file.damage is None) == (len(samples) == len(NOISE))


@cases(100)
@given(st.binary(max_size=200))
def test_bytes_of_anything_are_a_sentence(path, content):
    with pytest.raises(AudioFormatError) as error:
        read(path, content)
    assert_one_sentence(error.value, 'sound')
