"""Kokoro: voices that are mixtures, words timed by the network, espeak-ng's pronunciation.

The network here is one in miniature with Kokoro's inputs and outputs, which hums at a pitch that its style names. With
KOKORO=DIR, where `python -m training parts kokoro-82m` wrote it, the real one speaks and Whisper (WHISPER=DIR) listens.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import jiwer
import numpy as np
import pytest

from tests.tiny_kokoro import write_miniature
from training.clips.store import ClipStore
from training.speech.asr import TransformersWhisper
from training.speech.kokoro import KokoroTts
from training.speech.spoken import SPEECH, Sentence, SpeechSettings, make_speech, speech_parts
from training.speech.voices import SpeechError

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='needs espeak-ng')
TEXT = 'Tell me when the kettle whistles, please.'


@pytest.fixture(scope='module')
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp('kokoro') / 'part')


def pitch_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 16_000 / len(samples)


def test_every_word_has_its_time_and_the_last_ends_where_the_sound_does_but_for_a_pause(part: Path):
    said = KokoroTts(part, 30).speak(TEXT, 'kokoro-004', 1)
    assert said.words is not None and [word for word, _, _ in said.words] == TEXT.split()
    for (_, _, end_s), (_, start_s, _) in zip(said.words, said.words[1:], strict=False):
        assert 0 < start_s - end_s < 0.4  # the space between them
    assert 0 < len(said.samples) / 16_000 - said.words[-1][2] < 0.4
    assert said.samples.dtype == np.float32 and np.abs(said.samples).max() <= 1.0


def test_a_phoneme_lies_within_its_word(part: Path):
    said = KokoroTts(part, 30).speak(TEXT, 'kokoro-004', 1)
    assert said.words is not None
    of_kettle = [name for name, start, end in said.phones if said.words[4][1] <= start and end <= said.words[4][2]]
    assert ''.join(of_kettle) == 'kɛɾəl'
    assert not {name for name, _, _ in said.phones} & set(' ˈˌ.,')


def test_short_words_that_espeak_runs_into_one_have_each_their_time(part: Path):
    text = 'a record of the day at 25 past'
    said = KokoroTts(part, 30).speak(text, 'kokoro-000', 0)
    assert said.words is not None and [word for word, _, _ in said.words] == text.split()


def test_voices_differ_in_pitch_and_a_voice_is_always_the_same(part: Path):
    tts = KokoroTts(part, 30)
    heard = {voice: pitch_hz(tts.speak(TEXT, voice, 1).samples) for voice in tts.voices('en')}
    assert len({round(hertz) for hertz in heard.values()}) > 0.8 * len(heard)
    assert min(heard.values()) > 200 * 0.85 and max(heard.values()) < 600 * 1.2
    again = KokoroTts(part, 30).speak(TEXT, 'kokoro-000', 1)
    np.testing.assert_array_equal(again.samples, tts.speak(TEXT, 'kokoro-000', 1).samples)
    assert len({len(tts.speak(TEXT, 'kokoro-000', seed).samples) for seed in range(8)}) > 2  # other tempos


def test_it_speaks_english_in_voices_that_are_on_one_side_each(part: Path):
    tts = KokoroTts(part, 40)
    sides = [set(tts.voices('en', split)) for split in ('train', 'validation', 'test')]
    assert [len(side) for side in sides] == [32, 4, 4] and len(set.union(*sides)) == 40
    assert tts.voices('zh') == ()


def test_what_cannot_be_said_or_is_not_there_is_one_sentence(part: Path, tmp_path: Path):
    with pytest.raises(SpeechError, match=r'is 0 symbols for Kokoro, 1 to 119 expected'):
        KokoroTts(part, 30).speak('…', 'kokoro-000', 0)
    with pytest.raises(SpeechError, match=r'symbols for Kokoro, 1 to 119 expected; leave it out or say it in parts'):
        KokoroTts(part, 30).speak('kettle ' * 40, 'kokoro-000', 0)
    with pytest.raises(SpeechError, match=r"no Kokoro in '.*nowhere'; write it with: python -m training parts kokoro"):
        KokoroTts(tmp_path / 'nowhere', 30)


def test_a_recipe_has_its_sentences_said_by_it(part: Path, tmp_path: Path):
    settings = SpeechSettings(engine='kokoro', kokoro=part, kokoro_voices=30)
    (one,) = speech_parts([Sentence('The kettle whistles.', 'en', 'kokoro-012', 'test')], settings, 3, tmp_path)
    assert make_speech(one) == 1
    (clip,) = ClipStore(tmp_path / SPEECH).clips
    assert (clip.recording, clip.source, clip.licence) == ('kokoro:kokoro-012', 'kokoro', 'Apache-2.0')
    assert [word for word, _, _ in clip.words or ()] == ['The', 'kettle', 'whistles.']


@pytest.mark.skipif(not {'KOKORO', 'WHISPER'} <= set(os.environ), reason='set KOKORO and WHISPER to the parts')
def test_a_recogniser_writes_down_what_the_real_one_says():
    tts, whisper = KokoroTts(Path(os.environ['KOKORO']), 300), TransformersWhisper(os.environ['WHISPER'])
    texts = [TEXT, 'From now on write down what I say.', 'The smoke alarm has gone off in the kitchen.']
    heard = [
        whisper.transcribe(tts.speak(text, voice, number).samples, 'en').text
        for text in texts
        for number, voice in enumerate(tts.voices('en', 'test')[:4])
    ]
    plain = jiwer.Compose([jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.Strip()])
    wanted = [plain(text) for text in texts for _ in range(4)]
    assert jiwer.wer(wanted, [plain(text) for text in heard]) <= 0.10
