"""The chain with real speech and a real recogniser: espeak-ng speaks, pocketsphinx listens."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from pydantic import ValidationError

from audio_interaction_ros.audio.formats import Samples
from training.corpus.speech import SpeechError
from training.corpus.speech_chain.asr import Pocketsphinx
from training.corpus.speech_chain.chain import (
    ChainSettings,
    Dialogue,
    DialogueRecord,
    Discarded,
    RenderedDialogue,
    SpeechChain,
    Turn,
)
from training.corpus.speech_chain.tts import EspeakTts

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')

QUESTION, ANSWER, THANKS = 'When does the bakery open?', 'It opens at 7:30, Mr. Brown.', 'Thank you & see you later!'
EAR_KNOWS = (QUESTION, ANSWER, THANKS, 'We ran out of milk this morning.', 'It looks like rain.')


class _Clear:
    """espeak-ng with a few of its voices, those that pocketsphinx follows best."""

    def __init__(self, *voices: str) -> None:
        self._espeak, self._voices = EspeakTts(), voices

    def voices(self, language: str) -> tuple[str, ...]:
        return self._voices if language == 'en' else ()

    def speak(self, text: str, voice: str, seed: int) -> Samples:
        return self._espeak.speak(text, voice, seed)


class _BreaksOff(_Clear):
    """espeak-ng that stops in the middle."""

    def speak(self, text: str, voice: str, seed: int) -> Samples:
        samples = super().speak(text, voice, seed)
        return samples[: len(samples) // 2]


class _Inattentive:
    """pocketsphinx that misses what is said the first few times."""

    def __init__(self, misses: int) -> None:
        self._ear, self._misses = Pocketsphinx(EAR_KNOWS), misses

    def transcribe(self, samples: Samples, language: str) -> str:
        self._misses -= 1
        return '' if self._misses >= 0 else self._ear.transcribe(samples, language)


CLEAR = _Clear('en-us+m1', 'en-us+m2', 'en-us+m3')


def _dialogue(name: str, *texts: str) -> Dialogue:
    turns = (Turn(speaker=('user', 'friend')[number % 2], text=text) for number, text in enumerate(texts))
    return Dialogue(id=name, language='en', turns=tuple(turns))


def test_the_defaults_are_those_of_the_paper() -> None:
    assert ChainSettings().wer_threshold == 0.10 and ChainSettings().retries == 2
    with pytest.raises(ValidationError):
        ChainSettings(tau=0.2)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        ChainSettings().retries = 3  # type: ignore[misc]


def test_a_dialogue_that_is_understood_is_kept_with_all_that_was_decided() -> None:
    result = SpeechChain(CLEAR, Pocketsphinx(EAR_KNOWS)).render(_dialogue('one', QUESTION, ANSWER, THANKS))
    assert isinstance(result, RenderedDialogue), result.record.reason
    assert len(result.turns) == 3
    for samples in result.turns:
        assert samples.dtype == np.float32 and 8_000 < len(samples) < 80_000 and np.abs(samples).max() > 0.1
    first, second, third = result.record.turns
    assert first.voice == third.voice != second.voice
    assert first.rewritten == QUESTION and first.changes == ()
    assert second.rewritten == 'It opens at seven thirty, Mister Brown.'
    assert second.changes == ('numeral_expand', 'abbrev_expand') and third.changes == ('symbol_replace',)
    assert all(turn.verdict == 'kept' and turn.attempts[-1].wer <= 0.10 for turn in result.record.turns)
    assert result.record.verdict == 'kept' and result.record.reason == ''
    assert DialogueRecord.model_validate_json(result.record.model_dump_json()) == result.record


def test_one_turn_that_is_heard_as_something_else_discards_the_whole_dialogue() -> None:
    # The recogniser does not know the second sentence, so it can only hear another one, or nothing.
    foreign = 'My uncle paints elephants on weekends.'
    result = SpeechChain(CLEAR, Pocketsphinx(EAR_KNOWS)).render(_dialogue('two', QUESTION, foreign, THANKS))
    assert isinstance(result, Discarded)
    assert [turn.verdict for turn in result.record.turns] == ['kept', 'discarded']  # the third was not tried
    failed = result.record.turns[1]
    assert len(failed.attempts) == 1 + 2 and all(attempt.wer > 0.10 for attempt in failed.attempts)
    assert len({attempt.seed for attempt in failed.attempts}) == 3
    assert result.record.verdict == 'discarded' and foreign in result.record.reason


def test_speech_that_the_recogniser_cannot_follow_is_discarded() -> None:
    german = 'Ich habe meinen Schirm im Bus vergessen.'
    result = SpeechChain(_Clear('de+m1'), Pocketsphinx(EAR_KNOWS)).render(_dialogue('three', german))
    assert isinstance(result, Discarded) and len(result.record.turns[0].attempts) == 3


def test_speech_that_breaks_off_is_discarded() -> None:
    result = SpeechChain(_BreaksOff('en-us+m1'), Pocketsphinx(EAR_KNOWS)).render(_dialogue('three', QUESTION))
    assert isinstance(result, Discarded) and len(result.record.turns[0].attempts) == 3


def test_a_turn_is_tried_again_in_the_same_voice_with_another_rate_and_pitch() -> None:
    chain = SpeechChain(CLEAR, _Inattentive(1))
    result = chain.render(_dialogue('four', QUESTION))
    assert isinstance(result, RenderedDialogue), result.record.reason
    missed, understood = result.record.turns[0].attempts[:2]
    assert missed.transcript == '' and missed.wer == 1.0 and understood.seed != missed.seed
    voice = result.record.turns[0].voice
    np.testing.assert_array_equal(
        result.turns[0], CLEAR.speak(QUESTION, voice, result.record.turns[0].attempts[-1].seed)
    )
    assert len(CLEAR.speak(QUESTION, voice, missed.seed)) != len(CLEAR.speak(QUESTION, voice, understood.seed))


def test_without_retries_the_first_miss_discards() -> None:
    chain = SpeechChain(CLEAR, _Inattentive(1), ChainSettings(retries=0))
    assert isinstance(chain.render(_dialogue('four', QUESTION)), Discarded)


def test_the_result_does_not_depend_on_what_was_rendered_before() -> None:
    chain = SpeechChain(EspeakTts(), Pocketsphinx(EAR_KNOWS))
    dialogues = [_dialogue(f'five-{number}', QUESTION, 'It looks like rain.') for number in range(2)]
    forwards = [chain.render(dialogue) for dialogue in dialogues]
    backwards = [SpeechChain(EspeakTts(), Pocketsphinx(EAR_KNOWS)).render(dialogue) for dialogue in dialogues[::-1]]
    for one, other in zip(forwards, backwards[::-1], strict=True):
        assert one.record == other.record
        if isinstance(one, RenderedDialogue) and isinstance(other, RenderedDialogue):
            for left, right in zip(one.turns, other.turns, strict=True):
                np.testing.assert_array_equal(left, right)
    assert len({result.record.turns[0].voice for result in forwards}) == 2
    other_seed = SpeechChain(EspeakTts(), Pocketsphinx(EAR_KNOWS), ChainSettings(seed=1)).render(dialogues[0])
    assert other_seed.record.turns[0].voice != forwards[0].record.turns[0].voice


def test_a_turn_with_nothing_to_say_discards_without_rendering() -> None:
    result = SpeechChain(CLEAR, Pocketsphinx(EAR_KNOWS)).render(_dialogue('six', '😀 https://example.com'))
    assert isinstance(result, Discarded) and result.record.turns[0].attempts == ()
    assert 'nothing to say' in result.record.reason


def test_a_language_without_a_voice_is_an_error_and_not_a_discard() -> None:
    chinese = Dialogue(id='seven', language='zh', turns=(Turn(speaker='user', text='你好'),))
    with pytest.raises(SpeechError, match="no voice for 'zh'"):
        SpeechChain(CLEAR, Pocketsphinx(EAR_KNOWS)).render(chinese)
