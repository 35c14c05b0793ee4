"""Ordinary speech through the real espeak-ng: its sentences, its voices."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from training.speech.espeak import Speaker
from training.speech.ordinary import ORDINARY_SENTENCES, ordinary_speech
from training.speech.voices import TRAIN_VOICES, VALIDATION_VOICES, Voice

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
@pytest.mark.parametrize('language', sorted(_by_language()))
def test_every_variant_sounds_different_in_every_language(language: str) -> None:
    # espeak-ng ignores unknown variants, and any variant after some language names, without a word.
    voices = _by_language()[language]
    text = next(text for spoken, text in ORDINARY_SENTENCES if spoken == voices[0].language)
    with Speaker() as speaker:
        names = [*(voice.name for voice in voices), language]
        sounds = [speaker.speak(text, Voice(name, 170, 50)).samples for name in names]
    assert len({sound.tobytes() for sound in sounds}) == len(sounds)


@needs_espeak
def test_ordinary_speech_follows_the_generator() -> None:
    with Speaker() as speaker:
        first, again, other = (
            ordinary_speech(np.random.default_rng(seed), TRAIN_VOICES, speaker) for seed in (1, 1, 2)
        )
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and np.max(np.abs(first)) > 0.1
    assert first.size != other.size or not np.array_equal(first, other)
