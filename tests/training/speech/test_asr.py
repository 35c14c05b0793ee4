"""Recognisers: pocketsphinx on espeak-ng's speech, Whisper's code path on a checkpoint of a few kilobytes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.speech.asr import FasterWhisper, Pocketsphinx, RecogniserError, Transcript, TransformersWhisper
from training.speech.espeak import Speaker
from training.speech.spoken import SpeechSettings
from training.speech.tts import EspeakTts

SENTENCES = ('The bakery opens at 7.', 'We ran out of milk this morning.', 'It looks like rain later.')
needs_espeak = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')


@needs_espeak
def test_pocketsphinx_tells_its_sentences_apart_whatever_it_heard_before() -> None:
    ear = Pocketsphinx(SENTENCES)
    with Speaker() as speaker:
        tts = EspeakTts(speaker)
        spoken = [tts.speak(sentence.replace('7', 'seven'), 'en-us+m1', 5).samples for sentence in SENTENCES]
    heard = [ear.transcribe(samples, 'en').text for samples in spoken]
    expected = ['the bakery opens at seven', 'we ran out of milk this morning', 'it looks like rain later']
    assert heard == expected
    ear.transcribe(np.random.default_rng(0).normal(0, 0.3, 16_000).astype(np.float32), 'en')
    assert [ear.transcribe(samples, 'en').text for samples in reversed(spoken)] == expected[::-1]


@needs_espeak
def test_pocketsphinx_says_when_each_word_was_spoken() -> None:
    with Speaker() as speaker:
        said = EspeakTts(speaker).speak(SENTENCES[1], 'en-us+m1', 5)
    heard = Pocketsphinx(SENTENCES).transcribe(said.samples, 'en')
    assert heard.words is not None and said.words is not None
    assert ' '.join(word for word, _, _ in heard.words) == heard.text
    for (_, start_s, _), (_, expected_s, _) in zip(heard.words, said.words, strict=True):
        assert start_s == pytest.approx(expected_s, abs=0.15)


def test_pocketsphinx_hears_nothing_in_silence() -> None:
    ear = Pocketsphinx(SENTENCES)
    for length in (0, 100, 16_000):
        assert ear.transcribe(np.zeros(length, np.float32), 'en') == Transcript('')


def test_pocketsphinx_says_what_it_cannot_do() -> None:
    with pytest.raises(RecogniserError, match='glorpy'):
        Pocketsphinx(['The glorpy cat sleeps.'])
    ear = Pocketsphinx([*SENTENCES, 'The glorpy cat sleeps.'])
    assert ear.knows(SENTENCES[0], 'en') and not ear.knows('The glorpy cat sleeps.', 'en')
    assert not ear.knows('你好', 'zh')
    with pytest.raises(RecogniserError, match="English only and was given 'zh'"):
        Pocketsphinx(SENTENCES).transcribe(np.zeros(16_000, np.float32), 'zh')


def test_an_absent_faster_whisper_is_named_with_its_cure_before_a_corpus_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'faster_whisper', None)
    recipe = CorpusRecipe(speech=SpeechSettings(check='faster-whisper', whisper='parts/whisper-base'))
    with pytest.raises(RecogniserError, match=r"pip install 'audio_interaction_ros\[whisper\]'"):
        build(recipe, {}, 0.1, 5, 1, tmp_path / 'corpus')
    assert not (tmp_path / 'corpus').exists()


def _save_whisper(folder: Path) -> None:
    """A Whisper that says 'a' whatever it hears, in transformers' own format."""
    import torch
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    torch.manual_seed(0)
    names = 'endoftext startoftranscript en zh transcribe translate startofprev nospeech notimestamps'.split()  # noqa: SIM905
    names += [f'{number * 0.02:.2f}' for number in range(1_501)]
    ids = {text: number for number, text in enumerate(['a', *(f'<|{name}|>' for name in names)])}
    end = '<|endoftext|>'
    tokenizer = WhisperTokenizer(vocab=ids, merges=[], unk_token=end, bos_token=end, eos_token=end)
    tokenizer.add_special_tokens({'additional_special_tokens': list(ids)[1:]})
    ending = {
        'eos_token_id': ids[end],
        'pad_token_id': ids[end],
        'decoder_start_token_id': ids['<|startoftranscript|>'],
    }
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(ids), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=48,
            suppress_tokens=None, begin_suppress_tokens=None, bos_token_id=ids[end], **ending,
        )
    )  # fmt: skip
    with torch.no_grad():
        model.model.decoder.layer_norm.weight.zero_()
        model.model.decoder.layer_norm.bias.copy_(100.0 * model.model.decoder.embed_tokens.weight[0])
    model.generation_config = GenerationConfig(
        **ending,
        is_multilingual=True,
        lang_to_id={'<|en|>': ids['<|en|>'], '<|zh|>': ids['<|zh|>']},
        task_to_id={'transcribe': ids['<|transcribe|>'], 'translate': ids['<|translate|>']},
        no_timestamps_token_id=ids['<|notimestamps|>'],
        prev_sot_token_id=ids['<|startofprev|>'],
        max_initial_timestamp_index=50,
        max_length=20,
    )
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)


@pytest.mark.slow
def test_transformers_whisper_transcribes_short_and_long_sound(tmp_path: Path) -> None:
    _save_whisper(tmp_path)
    whisper = TransformersWhisper(str(tmp_path))
    noise = np.random.default_rng(0).normal(0, 0.1, 31 * 16_000).astype(np.float32)
    for samples, language in ((noise[:16_000], 'en'), (noise[:16_000], 'zh'), (noise, 'en')):
        assert set(whisper.transcribe(samples, language).text) == {'a'} and whisper.knows('', language)
    with pytest.raises(ValueError, match='klingon'):  # it is told the language
        whisper.transcribe(noise[:16_000], 'klingon')


@pytest.mark.skipif('WHISPER' not in os.environ, reason='set WHISPER to what `training parts whisper-base` wrote')
@needs_espeak
def test_faster_whisper_opens_what_parts_wrote_and_leaves_it_as_it_is() -> None:
    pytest.importorskip('faster_whisper')
    folder = Path(os.environ['WHISPER'])
    before = sorted(folder.iterdir())
    whisper = FasterWhisper(str(folder))
    with Speaker() as speaker:
        samples = EspeakTts(speaker).speak(SENTENCES[1], 'en-us+m1', 5).samples
    assert whisper.transcribe(samples, 'en').text == SENTENCES[1]
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_an_absent_whisper_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecogniserError, match='could not be loaded'):
        TransformersWhisper(str(tmp_path))
