"""espeak-ng through its library: repeatable, with word times that lie on the words."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.speech.espeak import Speaker
from training.speech.voices import TRAIN_VOICES, SpeechError, Voice

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='needs espeak-ng')


def test_the_same_sentence_is_the_same_samples_whatever_was_said_before():
    with Speaker() as first:
        alone = first.speak('the red house', TRAIN_VOICES[0]).samples
    with Speaker() as second:
        second.speak('something else entirely', TRAIN_VOICES[30])
        after = second.speak('the red house', TRAIN_VOICES[0]).samples
    assert np.array_equal(alone, after)
    assert alone.dtype == np.float32 and float(np.abs(alone).max()) <= 1.0


def test_every_word_has_its_time_in_order_and_within_the_sound():
    text = 'please send the letter before noon'
    with Speaker() as speaker:
        said = speaker.speak(text, TRAIN_VOICES[3])
    samples, words = said.samples, said.words
    assert words is not None
    assert [word for word, _, _ in words] == text.split()
    edges = [edge for _, start, end in words for edge in (start, end)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= len(samples) / SAMPLE_RATE_HZ
    assert min(end - start for _, start, end in words) > 0.05
    # 'letter' is longer than 'the', and there is sound in it.
    (_, start, end) = words[3]
    assert end - start > words[2][2] - words[2][1]
    assert float(np.abs(samples[int(start * SAMPLE_RATE_HZ) : int(end * SAMPLE_RATE_HZ)]).max()) > 0.05


def test_phonemes_lie_on_their_words_and_are_named_without_stress_length_or_tone():
    with Speaker() as speaker:
        said = speaker.speak('see the moon', TRAIN_VOICES[0])
        chinese = speaker.speak('你好', Voice('cmn+m1', 150, 50))
    assert [name for name, _, _ in said.phones] == ['s', 'i:', 'D', '@', 'm', 'u:', 'n']
    assert all(start < end for _, start, end in said.phones)
    assert said.words is not None
    (_, from_s, until_s) = said.words[2]
    assert [name for name, start, _ in said.phones if from_s <= start < until_s] == ['m', 'u:', 'n']
    assert not any(character.isdigit() for name, _, _ in chinese.phones for character in name)


def test_a_voice_that_does_not_exist_is_named():
    with Speaker() as speaker, pytest.raises(SpeechError, match='no such voice'):
        speaker.speak('hello', Voice('nix', 150, 50))


@pytest.mark.parametrize(
    ('hostile', 'harmless'),
    [
        ('\x01200s\x02 Good\x00 day.\x1b', '200s Good day.'),  # espeak-ng's embedded commands begin with \x01
        ('Good\nday.\r\n', 'Good day.'),
        ('Good\ud800 day.', 'Good day.'),
    ],
)
def test_control_characters_command_nothing(hostile: str, harmless: str):
    with Speaker() as speaker:
        one, other = (speaker.speak(text, TRAIN_VOICES[0]).samples for text in (hostile, harmless))
    assert np.array_equal(one, other)


def test_there_must_be_something_to_say():
    with Speaker() as speaker, pytest.raises(SpeechError, match='nothing to say'):
        speaker.speak(' \n\x00\t', TRAIN_VOICES[0])


def test_it_is_what_the_program_says():
    """Echo and the pause at the end included."""
    voice = Voice('en-us+f4', 151, 30)
    command = ['espeak-ng', '-b', '1', '-v', voice.name, '-s', '151', '-p', '30', '--stdin', '--stdout']
    wav = subprocess.run(command, input=b'Did you see the game last night?', capture_output=True, check=True).stdout
    pcm = np.frombuffer(wav[44:], '<i2').astype(np.float32) / 32_768
    expected = soxr.resample(pcm, int.from_bytes(wav[24:28], 'little'), SAMPLE_RATE_HZ)
    with Speaker() as speaker:
        assert np.array_equal(speaker.speak('Did you see the game last night?', voice).samples, expected)


def test_a_process_that_has_ended_is_one_sentence_with_the_cure():
    with Speaker() as speaker:
        speaker.speak('hello', TRAIN_VOICES[0])
        assert speaker._server is not None
        speaker._server.kill()
        speaker._server.wait()
        with pytest.raises(SpeechError, match='install espeak-ng'):
            speaker.speak('hello', TRAIN_VOICES[0])


def test_text_is_never_a_command():
    with Speaker() as speaker:
        hostile = speaker.speak('-w out.wav; $(reboot)\n{"text": 1}', TRAIN_VOICES[0])
        again = speaker.speak('hello', TRAIN_VOICES[0])
    assert len(hostile.samples) and hostile.words and len(hostile.words) == 5 and len(again.samples)
