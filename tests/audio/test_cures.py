"""Sound that is refused, or called wrong, is well once it is mended as the sentence says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.channels import ChannelChoice, ChannelPicker
from audio_interaction_ros.audio.chunk_stream import ChunkStream
from audio_interaction_ros.audio.devices import DeviceError, InputDevice, KnownDevice, find, load_portaudio, why_none
from audio_interaction_ros.audio.file_reader import AudioFile
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, encode_s16le
from audio_interaction_ros.audio.high_pass import HighPass
from audio_interaction_ros.audio.level_watch import LevelWatch
from audio_interaction_ros.audio.sources import FileSource
from tests.ordinary_user import ordinary_user
from tests.sound_driver import BLOCK, MS, PCM, START_NS, Driver

RATE_HZ = 16_000
ROOM = np.random.default_rng(0).normal(0, 0.05, 3 * RATE_HZ).astype(np.float32)


@pytest.mark.cures('channel {…} was asked for')
def test_a_channel_that_is_there_is_taken():
    two, one = PcmFormat(RATE_HZ, 2, 'S16LE'), PcmFormat(RATE_HZ, 1, 'S16LE')
    with pytest.raises(AudioFormatError, match=r'there are 2; set channels to numbers from 0 to 1$'):
        ChannelPicker(ChannelChoice.parse('2'), two)
    assert ChannelPicker(ChannelChoice.parse('0,1'), two).pcm == two
    with pytest.raises(AudioFormatError, match=r'there are 1; set channels to 0$'):
        ChannelPicker(ChannelChoice.parse('1'), one)
    assert ChannelPicker(ChannelChoice.parse('0'), one).pcm == one


@pytest.mark.cures("set header.stamp to its first sample's capture time", 'or send shorter messages')
def test_a_message_that_was_refused_is_taken_when_it_is_sent_as_said():
    stream, second = ChunkStream(1), np.zeros((RATE_HZ, 1), np.float32)
    with pytest.raises(AudioFormatError, match=r'set header.stamp to its first sample'):
        list(stream.push(second, PCM, stamp_ns=0))
    assert len(list(stream.push(second, PCM, START_NS))) == 2
    long = np.zeros((12 * RATE_HZ, 1), np.float32)
    with pytest.raises(AudioFormatError, match='12 s of sound in one message by its description, at most 10 s'):
        list(stream.push(long, PCM, START_NS))
    for described, samples in ((PcmFormat(48_000, 1, 'S16LE'), long), (PCM, long[: 4 * RATE_HZ])):
        assert list(ChunkStream(1).push(samples, described, START_NS))


@pytest.mark.cures('send every channel of every sample', 'set the audio driver to S16LE')
def test_bytes_that_were_refused_are_read_when_they_are_sent_as_said():
    stereo = PcmFormat(RATE_HZ, 2, 'S16LE')
    with pytest.raises(AudioFormatError, match='6 bytes found, a multiple of 4 expected for 2 × S16LE; correct'):
        stereo.decode(bytes(6))
    assert PcmFormat(RATE_HZ, 1, 'S16LE').decode(bytes(6)).shape == (3, 1)
    assert stereo.decode(bytes(8)).shape == (2, 2)
    samples = np.array([0.5, np.nan], np.float32)
    with pytest.raises(AudioFormatError, match='set the audio driver to S16LE, which has none'):
        PcmFormat(RATE_HZ, 1, 'F32LE').decode(samples.astype('<f4').tobytes())
    assert PCM.decode(np.nan_to_num(samples * 32_768).astype('<i2').tobytes())[0, 0] == 0.5


def devices(*names: str) -> list[InputDevice]:
    return [InputDevice(index, name, 'ALSA', 1, 48_000) for index, name in enumerate(names)]


@pytest.mark.cures("microphones match '{wanted}'", '{sought}; there are')
def test_a_microphone_is_found_by_the_words_that_the_refusal_gives():
    there = devices('pulse', 'usb_front', 'usb_back')
    for wanted, words in (('usb', r"give one of '(\w+)', '(\w+)'"), ('front door', r"0 '(\w+)' \(ALSA\), 1 '(\w+)'")):
        with pytest.raises(DeviceError) as refused:
            find(wanted, there)
        for name in re.search(words, str(refused.value)).groups():
            assert find(name, there).name == name


@pytest.mark.cures('nothing tells which is which')
def test_of_two_alike_the_one_is_found_again_when_both_are_plugged_in_as_they_were():
    both = [
        InputDevice(number, f'USB: Audio (hw:{number},0)', 'ALSA', 1, 48_000, hardware='1:2:', socket=f'1-{number}')
        for number in (1, 2)
    ]
    known = KnownDevice.among(both[1], both)
    with pytest.raises(DeviceError, match=r'there were 2 and there are 1 now, .*; plug in the missing one, into'):
        known.again(both[:1])
    assert known.again(both) == both[1]


@pytest.mark.cures('pip install sounddevice', 'apt install libportaudio2')
@pytest.mark.parametrize(
    ('missing', 'sentence'),
    [(None, 'pip install sounddevice'), ('its library', 'apt install libportaudio2')],
    ids=['the module', 'the library'],
)
def test_without_portaudio_a_file_is_played_and_with_it_microphones_are_found(tmp_path, monkeypatch, missing, sentence):
    with monkeypatch.context() as without:
        if missing is None:
            without.setitem(sys.modules, 'sounddevice', None)  # as where it is not installed
        else:
            without.delitem(sys.modules, 'sounddevice', raising=False)
            without.setattr('ctypes.util.find_library', lambda _: None)
        with pytest.raises(DeviceError, match=rf'{sentence}\), or play a file'):
            load_portaudio()
        soundfile.write(tmp_path / 'a.wav', ROOM[:1_600], RATE_HZ)
        assert list(FileSource(str(tmp_path / 'a.wav'), 40).blocks(Event()))
    try:
        assert load_portaudio().get_portaudio_version()
    except DeviceError:
        pytest.skip('PortAudio is not installed')


@pytest.mark.cures('but your user may not open it', 'end what uses it', 'the system knows no sound card that records')
def test_without_any_microphone_each_cause_that_is_removed_gives_way_to_the_next(tmp_path):
    """There is no sound card here to open: with the last cause removed PortAudio lists it, and nobody asks why."""
    assert 'plug one in' in why_none(tmp_path)
    (tmp_path / 'pcmC0D0c').symlink_to(tmp_path / 'card')  # plugged in, and nobody may open it, root neither
    assert 'add it to the group audio' in why_none(tmp_path)
    (tmp_path / 'card').touch()  # now one may
    assert 'end what uses it' in why_none(tmp_path)
    with pytest.raises(DeviceError):
        find('usb', [])
    assert find('usb', devices('usb'))


def problem_of(path: Path) -> str | None:
    """What is said of a file, raised or remarked; None where all of it was read."""
    try:
        with AudioFile(path) as file:
            for _ in file.blocks():
                pass
            return file.problem
    except AudioFormatError as error:
        return str(error)


def sound(path: Path) -> None:
    soundfile.write(path, ROOM, RATE_HZ)


def not_finite(path: Path) -> None:
    soundfile.write(path, np.full(RATE_HZ, np.nan, np.float32), RATE_HZ, 'FLOAT')


def cut_off(path: Path) -> None:
    sound(path)
    path.write_bytes(path.read_bytes()[:50_000])


def never_finished(path: Path) -> None:
    sound(path)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    path.write_bytes(content)


@pytest.mark.cures(
    'write the file again from its source',
    "'{_path}' {…}; give a file with at least some sound in it",
    'is empty (0 bytes); give a file with at least some sound in it',
    'copy the file again from its source',
    'give a WAV or FLAC file',
    'all that follows the header was used as sound',
)
@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (not_finite, 'holds NaN or infinite samples, finite ones expected; write the file again from its source'),
        (lambda path: soundfile.write(path, ROOM[:0], RATE_HZ), 'holds no samples; give a file with at least some'),
        (Path.touch, r'is empty \(0 bytes\); give a file with at least some sound'),
        (cut_off, r'after 1\.6 s: it ends there, and its header promises 3\.0 s; .* copy the file again'),
        (lambda path: path.write_text('hello'), r'cannot be read as audio \(.*\); give a WAV or FLAC file'),
        (never_finished, 'its header says that it is empty; all that follows the header was used as sound'),
    ],
)
def test_a_file_is_read_without_a_word_when_it_is_mended_as_was_said(tmp_path, spoil, sentence):
    path = tmp_path / 'sound.wav'
    spoil(path)
    assert re.search(sentence, problem_of(path))
    if spoil is never_finished:
        with AudioFile(path) as file:
            assert sum(map(len, file.blocks())) == len(ROOM)
    sound(path)
    assert problem_of(path) is None
    sound(path.with_suffix('.flac'))
    assert problem_of(path.with_suffix('.flac')) is None


@pytest.mark.cures('give your user the right to read it')
def test_a_file_that_may_not_be_read_is_read_once_it_may(tmp_path):
    with ordinary_user() as folder:
        path = folder / 'sound.wav'
        sound(path)
        path.chmod(0o000)
        assert 'may not be read by you; give your user the right to read it' in problem_of(path)
        path.chmod(0o400)
        assert problem_of(path) is None


def watched(samples: np.ndarray) -> LevelWatch:
    samples = samples[:, None] if samples.ndim == 1 else samples
    watch = LevelWatch()
    for first in range(0, len(samples), BLOCK):
        watch.told(samples[first : first + BLOCK], PcmFormat(RATE_HZ, samples.shape[1], 'S16LE'))
    return watch


def first_channel(samples: np.ndarray, _: str) -> np.ndarray:
    pcm = PcmFormat(RATE_HZ, samples.shape[1], 'S16LE')
    return PCM.decode(ChannelPicker(ChannelChoice.parse('0'), pcm).pick(encode_s16le(samples)))


def raised(samples: np.ndarray, sentence: str) -> np.ndarray:
    return samples * 10 ** (int(re.search(r'by (\d+) dB to begin with', sentence)[1]) / 20)


LOUD = 20 * ROOM  # before the converter, which clips it


@pytest.mark.cures(
    'alone (channels of audio_capture, --channels of listen and ask), or mend the cable',
    'the microphone gives digital silence; unmute it',
    'it is dead, or its plug is not in',
    'it is dead or all but muted',
    "lower the microphone's gain",
    'set high_pass_hz of chunk_encoder to 2',
    'raise its gain (alsamixer, pavucontrol), by {…} dB to begin with',
)
@pytest.mark.parametrize(
    ('kind', 'samples', 'cure'),
    [
        ('channels_cancel', np.stack([ROOM, -ROOM], 1), first_channel),
        ('channels_cancel', np.stack([ROOM, -ROOM], 1), lambda *_: np.stack([ROOM, ROOM], 1)),
        ('digital_silence', 0 * ROOM, lambda *_: ROOM),
        ('constant', 0 * ROOM + 0.3, lambda *_: ROOM),
        ('lowest_bit', np.clip(np.round(ROOM * 20), -1, 1) / 32_768, lambda samples, _: samples * 10 ** (40 / 20)),
        ('clipping', np.clip(LOUD, -1, 1), lambda *_: np.clip(LOUD * 10 ** (-10 / 20), -1, 1)),
        ('dc', ROOM + 0.1, lambda samples, _: HighPass(RATE_HZ, 2.0).push(samples[:, None])),
        ('quiet', np.tile(ROOM, 4) * 10**-3.3, raised),
    ],
)
def test_a_microphone_that_is_mended_as_was_said_is_well(kind, samples, cure):
    fault = watched(samples.astype(np.float32)).fault
    assert fault.kind == kind
    mended = watched(cure(samples.astype(np.float32), fault.sentence).astype(np.float32))
    assert mended.fault is None, mended.fault.sentence


def one_stamp() -> Iterator[tuple[int, int]]:
    """Stamp and arrival of each message, in ns."""
    yield from ((START_NS, START_NS + n * 40 * MS) for n in range(100))


def two_publishers() -> Iterator[tuple[int, int]]:
    yield from ((START_NS + n * 40 * MS - n % 2 * 5_000 * MS, START_NS + n * 40 * MS) for n in range(100))


def another_clock() -> Iterator[tuple[int, int]]:
    yield from ((START_NS + n * 20 * MS, START_NS + n * 40 * MS) for n in range(100))


@pytest.mark.cures(
    'the audio driver probably stamps when it starts',
    'probably two publishers with different clocks',
    'the audio driver probably stamps by another clock',
)
@pytest.mark.parametrize(
    ('stamps', 'cure'),
    [
        (one_stamp, 'let it stamp each message with the capture time of its first sample'),
        (two_publishers, 'leave one, and let it stamp each message with the capture time of its first sample'),
        (another_clock, 'let it stamp by the clock that the sound is captured by'),
    ],
)
def test_a_driver_that_stamps_as_was_said_is_well(stamps, cure):
    driver = Driver()
    for n, (stamp_ns, arrived_ns) in enumerate(stamps()):
        list(driver.stream.push(ROOM[n * 100 :][:BLOCK, None], PCM, stamp_ns, arrived_ns))
    assert driver.stream.fault.sentence.endswith(cure)
    for n in range(100, 250):
        at_ns = START_NS + n * 40 * MS
        list(driver.stream.push(ROOM[n * 100 :][:BLOCK, None], PCM, at_ns, at_ns))
    assert driver.stream.fault is None
