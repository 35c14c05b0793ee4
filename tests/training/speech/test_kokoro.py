"""Kokoro: voices that are mixtures, words timed by the network, espeak-ng's pronunciation.

The network here is one in miniature with Kokoro's inputs and outputs, which hums at a pitch that its style names. With
KOKORO=DIR, where `python -m training parts kokoro-82m` wrote it, the real one speaks and Whisper (WHISPER=DIR) listens.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest

from tests.tiny_kokoro import write_miniature
from training.clips.store import ClipStore
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.speech.asr import TransformersWhisper
from training.speech.espeak import Speaker
from training.speech.kokoro import KokoroTts, speaker
from training.speech.spoken import SPEECH, Sentence, SpeechSettings, make_speech, make_tts, speech_parts
from training.speech.voices import SpeechError
from training.splits import SPLITS

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='needs espeak-ng')
TEXT = 'Tell me when the kettle whistles, please.'


@pytest.fixture(scope='module')
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp('kokoro') / 'part')


def pitch_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 16_000 / len(samples)


def test_every_word_has_its_time_and_the_last_ends_where_the_sound_does_but_for_a_pause(part: Path):
    said = KokoroTts(part, 30).speak(TEXT, 'kokoro-0-004', 1)
    assert said.words is not None and [word for word, _, _ in said.words] == TEXT.split()
    for (_, _, end_s), (_, start_s, _) in zip(said.words, said.words[1:], strict=False):
        assert 0 < start_s - end_s < 0.4  # the space between them
    assert 0 < len(said.samples) / 16_000 - said.words[-1][2] < 0.4
    assert said.samples.dtype == np.float32 and np.abs(said.samples).max() <= 1.0


def test_a_phoneme_lies_within_its_word(part: Path):
    said = KokoroTts(part, 30).speak(TEXT, 'kokoro-0-004', 1)
    assert said.words is not None
    of_kettle = [name for name, start, end in said.phones if said.words[4][1] <= start and end <= said.words[4][2]]
    assert ''.join(of_kettle) == 'kɛɾəl'
    assert not {name for name, _, _ in said.phones} & set(' ˈˌ.,')


def test_short_words_that_espeak_runs_into_one_have_each_their_time(part: Path):
    text = 'a record of the day at 25 past'
    said = KokoroTts(part, 30).speak(text, 'kokoro-0-000', 0)
    assert said.words is not None and [word for word, _, _ in said.words] == text.split()


def test_voices_differ_in_pitch_and_a_voice_is_always_the_same(part: Path):
    tts = KokoroTts(part, 30)
    heard = {voice: pitch_hz(tts.speak(TEXT, voice, 1).samples) for voice in tts.voices('en')}
    assert len({round(hertz) for hertz in heard.values()}) > 0.8 * len(heard)
    assert min(heard.values()) > 200 * 0.85 and max(heard.values()) < 600 * 1.2
    again = KokoroTts(part, 30).speak(TEXT, 'kokoro-0-000', 1)
    np.testing.assert_array_equal(again.samples, tts.speak(TEXT, 'kokoro-0-000', 1).samples)
    assert len({len(tts.speak(TEXT, 'kokoro-0-000', seed).samples) for seed in range(8)}) > 2  # other tempos


def test_every_corpus_has_speakers_of_its_own_and_a_name_is_one_speaker_everywhere(part: Path):
    sides = [KokoroTts(part, 300, seed).voices('en', split) for seed in (7, 8) for split in SPLITS]
    names = [name for side in sides for name in side]
    assert len(set(names)) == 600 and len({tuple(speaker(name, 5)[0]) for name in names}) == 600
    said = [KokoroTts(part, 30, seed).speak(TEXT, 'kokoro-7-001', 1).samples for seed in (7, 8)]
    np.testing.assert_array_equal(*said)
    other = KokoroTts(part, 30).speak(TEXT, 'kokoro-8-001', 1).samples
    assert abs(pitch_hz(other) - pitch_hz(said[0])) > 5


def test_it_speaks_english_in_voices_that_are_on_one_side_each(part: Path):
    tts = KokoroTts(part, 40)
    sides = [set(tts.voices('en', split)) for split in ('train', 'validation', 'test')]
    assert [len(side) for side in sides] == [32, 4, 4] and len(set.union(*sides)) == 40
    assert tts.voices('zh') == ()


def test_what_cannot_be_said_or_is_not_there_is_one_sentence(part: Path, tmp_path: Path):
    with pytest.raises(SpeechError, match=r'is 0 symbols for Kokoro, 1 to 119 expected'):
        KokoroTts(part, 30).speak('…', 'kokoro-0-000', 0)
    with pytest.raises(SpeechError, match=r'symbols for Kokoro, 1 to 119 expected; leave it out or say it in parts'):
        KokoroTts(part, 30).speak('kettle ' * 40, 'kokoro-0-000', 0)
    with pytest.raises(SpeechError, match=r"no Kokoro in '.*nowhere'; write it with: python -m training parts kokoro"):
        KokoroTts(tmp_path / 'nowhere', 30)
    with pytest.raises(SpeechError, match="'kokoro-012' is no voice of Kokoro, names such as kokoro-7-012 expected"):
        KokoroTts(part, 30).speak(TEXT, 'kokoro-012', 0)


def test_what_a_recipe_lacks_is_said_before_anything_is_made(
    part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = CorpusRecipe(speech=SpeechSettings(engine='kokoro', kokoro=tmp_path / 'nowhere'))
    with pytest.raises(SpeechError, match='no Kokoro in'):
        build(recipe, {}, 0.1, 5, 1, tmp_path / 'corpus')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    recipe = CorpusRecipe(speech=SpeechSettings(engine='kokoro', kokoro=part))
    with pytest.raises(SpeechError, match=r"there is no onnxruntime; pip install 'audio_interaction_ros\[kokoro\]'"):
        build(recipe, {}, 0.1, 5, 1, tmp_path / 'corpus')
    assert not (tmp_path / 'corpus').exists()


def test_a_recipe_has_its_sentences_said_by_it(part: Path, tmp_path: Path):
    settings = SpeechSettings(engine='kokoro', kokoro=part, kokoro_voices=30)
    tts = make_tts(settings, Speaker(), 3)
    voices = {language: tts.voices(language, 'test')[0] for language in ('en', 'zh')}
    sentences = [Sentence('The kettle whistles.', 'en', voices['en'], 'test')]
    sentences.append(Sentence('水开了。', 'zh', voices['zh'], 'test'))  # which Kokoro cannot say
    (one,) = speech_parts(sentences, settings, 3, tmp_path)
    assert make_speech(one) == 2
    clips = {clip.caption: clip for clip in ClipStore(tmp_path / SPEECH).clips}
    english, chinese = clips['The kettle whistles.'], clips['水开了。']
    assert (english.recording, english.source, english.licence) == ('kokoro:kokoro-3-002', 'kokoro', 'Apache-2.0')
    assert [word for word, _, _ in english.words or ()] == ['The', 'kettle', 'whistles.']
    assert (chinese.recording, chinese.source) == (f'espeak:{voices["zh"]}', 'espeak-ng')


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
