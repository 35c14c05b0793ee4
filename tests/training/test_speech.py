"""Text-to-speech through the real espeak-ng, and its failures."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from training.corpus.speech import (
    ORDINARY_SENTENCES,
    SAMPLE_RATE,
    TRAIN_VOICES,
    VALIDATION_VOICES,
    SpeechError,
    Voice,
    ordinary_speech,
    synthesise,
)

needs_espeak = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')


def _by_language() -> dict[str, list[Voice]]:
    languages: dict[str, list[Voice]] = {}
    for voice in TRAIN_VOICES + VALIDATION_VOICES:
        languages.setdefault(voice.name.partition('+')[0], []).append(voice)
    return languages


def test_training_and_validation_voices_share_no_variant() -> None:
    train, validation = (
        {voice.name.partition('+')[2] for voice in voices} for voices in (TRAIN_VOICES, VALIDATION_VOICES)
    )
    assert train and validation and not train & validation
    for voice in TRAIN_VOICES + VALIDATION_VOICES:
        assert 80 <= voice.rate_wpm <= 450 and 0 <= voice.pitch <= 99


def test_there_are_enough_sentences_for_every_voice_language() -> None:
    assert len(ORDINARY_SENTENCES) >= 120
    assert len(set(ORDINARY_SENTENCES)) == len(ORDINARY_SENTENCES)
    for voice in TRAIN_VOICES + VALIDATION_VOICES:
        assert sum(language == voice.language for language, _ in ORDINARY_SENTENCES) >= 10
    mentioned = ' '.join(text for _, text in ORDINARY_SENTENCES)
    assert all(word in mentioned for word in ('fire', 'glass', 'horn', 'alarm'))


@needs_espeak
def test_speech_is_audible_float32_and_repeatable() -> None:
    sound = synthesise('The bakery opens at seven.', TRAIN_VOICES[0])
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert 1.0 < sound.size / SAMPLE_RATE < 5.0
    assert 0.1 < np.max(np.abs(sound)) <= 1.0
    np.testing.assert_array_equal(sound, synthesise('The bakery opens at seven.', TRAIN_VOICES[0]))


@needs_espeak
def test_text_is_never_read_as_an_option() -> None:
    assert synthesise('--version; echo hello', TRAIN_VOICES[0]).size > SAMPLE_RATE // 2


@needs_espeak
@pytest.mark.parametrize('language', sorted(_by_language()))
def test_every_variant_sounds_different_in_every_language(language: str) -> None:
    # espeak-ng ignores unknown variants, and any variant after some language names, without a word.
    voices = _by_language()[language]
    text = next(text for spoken, text in ORDINARY_SENTENCES if spoken == voices[0].language)
    sounds = [synthesise(text, Voice(name, 170, 50)) for name in [voice.name for voice in voices] + [language]]
    assert len({sound.tobytes() for sound in sounds}) == len(sounds)


@needs_espeak
def test_ordinary_speech_follows_the_generator() -> None:
    first, again, other = (ordinary_speech(np.random.default_rng(seed), TRAIN_VOICES) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and np.max(np.abs(first)) > 0.1
    assert first.size != other.size or not np.array_equal(first, other)


@needs_espeak
def test_an_unknown_voice_names_the_cure() -> None:
    with pytest.raises(SpeechError, match='install espeak-ng'):
        synthesise('Hello.', Voice('xx-nowhere', 150, 50))


def test_a_missing_program_names_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(SpeechError, match='install espeak-ng'):
        synthesise('Hello.', TRAIN_VOICES[0])
