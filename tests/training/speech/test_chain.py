"""The chain with real speech and a real recogniser: espeak-ng speaks, pocketsphinx listens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import ValidationError

from audio_interaction_ros.audio.formats import Samples
from training.speech.asr import Pocketsphinx, Transcript
from training.speech.chain import ChainSettings, SpeechChain, SpeechDecision
from training.speech.espeak import Speaker
from training.speech.tts import EspeakTts
from training.speech.voices import Said

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')

QUESTION, ANSWER, THANKS = 'When does the bakery open?', 'It opens at 7:30, Mr. Brown.', 'Thank you & see you later!'
EAR = Pocketsphinx((QUESTION, ANSWER, THANKS, 'We ran out of milk this morning.', 'It looks like rain.'))
VOICE = 'en-us+m1'


@pytest.fixture(scope='module')
def tts() -> Iterator[EspeakTts]:
    with Speaker() as speaker:
        yield EspeakTts(speaker)


class _Wordless(EspeakTts):
    """espeak-ng that does not tell word times, as Piper and CosyVoice do not."""

    def speak(self, text: str, voice: str, seed: int) -> Said:
        return Said(super().speak(text, voice, seed).samples)


class _BreaksOff(EspeakTts):
    """espeak-ng that stops in the middle."""

    def speak(self, text: str, voice: str, seed: int) -> Said:
        samples = super().speak(text, voice, seed).samples
        return Said(samples[: len(samples) // 2])


class _Inattentive:
    """pocketsphinx that misses what is said the first few times."""

    def __init__(self, misses: int) -> None:
        self._misses = misses

    def knows(self, text: str, language: str) -> bool:
        return EAR.knows(text, language)

    def transcribe(self, samples: Samples, language: str) -> Transcript:
        self._misses -= 1
        return Transcript('') if self._misses >= 0 else EAR.transcribe(samples, language)


def test_the_defaults_are_those_of_the_paper() -> None:
    assert ChainSettings().wer_threshold == 0.10 and ChainSettings().retries == 2
    with pytest.raises(ValidationError):
        ChainSettings(tau=0.2)  # type: ignore[call-arg]


def test_a_sentence_that_is_understood_is_kept_with_all_that_was_decided(tts: EspeakTts) -> None:
    said = SpeechChain(tts, EAR).say(ANSWER, 'en', VOICE)
    assert said.samples is not None, said.decision.reason
    assert said.samples.dtype == np.float32 and 8_000 < len(said.samples) < 80_000
    assert said.decision.rewritten == 'It opens at seven thirty, Mister Brown.'
    assert said.decision.changes == ('numeral_expand', 'abbrev_expand')
    assert said.decision.verdict == 'kept' and said.decision.attempts[-1].wer == 0.0 and said.decision.reason == ''
    assert SpeechDecision.model_validate_json(said.decision.model_dump_json()) == said.decision


def test_word_times_are_those_of_the_written_words(tts: EspeakTts) -> None:
    for engine, words_by in ((tts, 'engine'), (_Wordless(tts._speaker), 'recogniser')):
        said = SpeechChain(engine, EAR).say(ANSWER, 'en', VOICE)
        assert said.samples is not None and said.decision.words_by == words_by
        assert [word for word, _, _ in said.words] == ANSWER.split()
        edges = [edge for _, start, end in said.words for edge in (start, end)]
        assert edges == sorted(edges) and edges[-1] == pytest.approx(len(said.samples) / 16_000, abs=0.01)
        lengths = {word: end - start for word, start, end in said.words}
        assert lengths['7:30,'] > lengths['at']  # two spoken words


def test_without_engine_and_recogniser_time_is_shared_out_by_letters(tts: EspeakTts) -> None:
    said = SpeechChain(_Wordless(tts._speaker), None).say('We ran 😀 out.', 'en', VOICE)
    assert said.decision.words_by == 'letters' and said.decision.verdict == 'unchecked'
    (we, ran, smile, out) = ((start, end) for _, start, end in said.words)
    assert smile[0] == smile[1] == ran[1] == out[0]
    assert ran[1] - ran[0] == pytest.approx(1.5 * (we[1] - we[0]), rel=0.02)


def test_a_sentence_that_is_heard_as_something_else_is_discarded(tts: EspeakTts) -> None:
    foreign = 'My uncle paints elephants on weekends.'  # words that it knows, in a sentence that it does not
    said = SpeechChain(tts, EAR).say(foreign, 'en', VOICE)
    assert said.samples is None and said.decision.verdict == 'discarded' and foreign in said.decision.reason
    attempts = said.decision.attempts
    assert len(attempts) == 1 + 2 and all(a.wer is not None and a.wer > 0.10 for a in attempts)
    assert len({attempt.seed for attempt in attempts}) == 3


def test_speech_that_breaks_off_is_discarded(tts: EspeakTts) -> None:
    said = SpeechChain(_BreaksOff(tts._speaker), EAR).say(QUESTION, 'en', VOICE)
    assert said.samples is None and len(said.decision.attempts) == 3


def test_a_second_attempt_is_the_same_voice_with_another_rate_and_pitch(tts: EspeakTts) -> None:
    said = SpeechChain(tts, _Inattentive(1)).say(QUESTION, 'en', VOICE)
    assert said.samples is not None, said.decision.reason
    missed, understood = said.decision.attempts[:2]
    assert missed.transcript == '' and missed.wer == 1.0
    first, second = (tts.speak(QUESTION, VOICE, attempt.seed).samples for attempt in (missed, understood))
    assert len(first) != len(second)
    np.testing.assert_array_equal(said.samples, second[: len(said.samples)])
    assert SpeechChain(tts, _Inattentive(1), ChainSettings(retries=0)).say(QUESTION, 'en', VOICE).samples is None


def test_what_the_recogniser_is_no_judge_of_is_taken_and_marked(tts: EspeakTts) -> None:
    for text, language, voice in (('你好。', 'zh', 'cmn+m1'), ('The glorpy cat sleeps.', 'en', VOICE)):
        said = SpeechChain(tts, EAR).say(text, language, voice)  # type: ignore[arg-type]
        assert said.samples is not None and said.decision.verdict == 'unchecked'
        assert len(said.decision.attempts) == 1 and said.decision.attempts[0].wer is None


def test_the_result_does_not_depend_on_what_was_rendered_before(tts: EspeakTts) -> None:
    sentences = [(QUESTION, 'en-us+m2'), (ANSWER, 'en-us+m3'), (QUESTION, 'en-us+m3')]
    chain = SpeechChain(tts, EAR)
    forwards = [chain.say(text, 'en', voice) for text, voice in sentences]
    backwards = [chain.say(text, 'en', voice) for text, voice in sentences[::-1]]
    for one, other in zip(forwards, backwards[::-1], strict=True):
        assert one.decision == other.decision
        assert one.samples is None or np.array_equal(one.samples, other.samples)
    seeds = {said.decision.attempts[0].seed for said in forwards}
    assert len(seeds) == 2, 'rate and pitch belong to the voice'
    other_corpus = SpeechChain(tts, EAR, seed=1).say(QUESTION, 'en', 'en-us+m2')
    assert other_corpus.decision.attempts[0].seed not in seeds


def test_a_sentence_with_nothing_to_say_is_discarded_without_rendering(tts: EspeakTts) -> None:
    said = SpeechChain(tts, EAR).say('😀 https://example.com', 'en', VOICE)
    assert said.samples is None and said.decision.attempts == () and 'nothing to say' in said.decision.reason
