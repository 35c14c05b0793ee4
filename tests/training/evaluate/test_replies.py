"""What was said, assigned to what called for it; and whether it was right."""

from __future__ import annotations

import pytest

from tests.training.evaluate.streams import event, heard, reply, stream
from training.clips.answers import load_answers
from training.evaluate.language import bleu, character_error_rate, word_error_rate
from training.evaluate.replies import compare, instructed_answers
from training.evaluate.rightness import category_named, same_words
from training.evaluate.stability import self_contained
from training.streams import Role

QUESTION = event(0.5, 2.0, text='What do bees make?')
SIREN = event(4.0, 6.0, 'siren', respond=True)
DOG = event(8.0, 9.0, 'dog bark', respond=False)
ANSWERS = [reply(QUESTION, 'They make honey.'), reply(SIREN, 'A siren! An emergency vehicle is near.', due_s=4.8)]
CHAT = stream([QUESTION, SIREN, DOG], ANSWERS)


def test_right_answers_in_place_are_right_and_silence_at_the_rest_too():
    found = compare(CHAT, heard({4: 'They make honey.', 12: 'I hear a siren, make way!'}))
    assert [answer.right for answer in found.answers] == [True, True]  # any sentence of the category will do
    assert [silence.response for silence in found.silences] == [None]
    assert not found.false and not found.repeats
    question, siren, dog = found.trials()
    assert (question.respond, siren.respond, dog.respond) == (True, True, False)
    assert question.latency_s == pytest.approx(2.0 - 0.5)
    assert siren.latency_s == pytest.approx(5.2 - 4.0)
    assert (question.score, dog.score, dog.answered) == (0.9, 0.1, False)


def test_what_sounds_in_the_background_all_the_while_calls_for_nothing():
    rain = event(0.0, 12.0, 'rain', respond=False).model_copy(update={'role': Role.AMBIENT})
    found = compare(stream([rain, SIREN], [ANSWERS[1]]), heard({12: 'I hear a siren, make way!'}))
    (answer,) = found.answers
    assert answer.event == SIREN and answer.right
    assert found.trials()[0].latency_s == pytest.approx(5.2 - 4.0)


def test_a_wrong_sentence_is_an_answer_but_not_a_right_one():
    found = compare(CHAT, heard({4: 'Mercury.', 12: 'Glass is breaking!'}))
    assert [(a.response is not None, a.right) for a in found.answers] == [(True, False), (True, False)]


def test_a_response_too_late_is_false_and_its_event_missed():
    """Due after chunk 4, it may come 1.2 s later, after chunk 7, but not after chunk 8."""
    assert compare(CHAT, heard({7: 'They make honey.'})).answers[0].right
    late = compare(CHAT, heard({8: 'They make honey.'}))
    assert late.answers[0].response is None and [r.text for r in late.false] == ['They make honey.']


def test_a_second_response_to_the_same_is_a_repeat_and_one_to_an_ordinary_sound_counts_against_it():
    found = compare(CHAT, heard({11: 'A siren!', 13: 'A siren!', 21: 'Bless you!', 27: 'Oh.'}))
    assert [response.text for response in found.repeats] == ['A siren!']
    assert [response.text for response in found.false] == ['Bless you!', 'Oh.']
    assert [(s.event.category, s.response.text) for s in found.silences] == [('dog bark', 'Bless you!')]
    assert [trial.answered for trial in found.trials()] == [False, True, True]


def test_replies_that_fall_due_together_are_answered_in_their_order():
    line = event(0.5, 2.0, text='red house')
    words = [reply(line, 'red', due_s=1.0), reply(line, 'house', due_s=1.1)]
    found = compare(stream([line], words, category='real-time ASR', task='dictation'), heard({2: 'red', 3: 'house'}))
    assert [answer.right for answer in found.answers] == [True, True]


def test_tool_calls_are_compared_as_objects_and_sentences_as_words():
    assert same_words('{"state": "on", "tool": "light"}', '{"tool": "light", "state": "on"}', 'english')
    assert same_words('they make Honey', 'They make honey.', 'english')
    assert same_words('早上好', '早上好。', 'chinese')
    assert not same_words('早上', '早上好。', 'chinese')
    assert not same_words('{"tool": "light", "state": "off"}', '{"tool": "light", "state": "on"}', 'english')


@pytest.mark.parametrize(
    ('said', 'category', 'named'),
    [
        ('Glass is breaking!', 'glass breaking', True),
        ('Watch out, glass shattered.', 'glass breaking', True),  # about the same hazard
        ('Glass is breaking!', 'siren', False),
        ('A chainsaw is running close by, keep away!', 'saw', False),  # the very sentence of another category
        ('I hear: dog bark.', 'dog bark', True),
        ('Hello.', 'dog bark', False),
    ],
)
def test_a_category_is_named_by_its_sentences_its_hazard_or_its_name(said: str, category: str, named: bool):
    assert category_named(said, category) is named


ROUNDS = [event(2.0 * n + 0.2, 2.0 * n + 1.0, text=f'remark {n}') for n in range(1, 4)]
ASKED = event(8.4, 9.4, text='What was the first thing you said?')
WARNED, OTHERWISE = load_answers()['siren'].sentences[:2]


def history(first_said: str, last_said: str) -> list[bool]:
    alarm = event(0.2, 1.0, 'siren', respond=True)
    replies = [reply(alarm, WARNED), *(reply(e, f'answer {n}') for n, e in enumerate(ROUNDS))]
    talk = stream([alarm, *ROUNDS, ASKED], [*replies, reply(ASKED, WARNED)], mixed_in=('history review',))
    found = compare(talk, heard({2: first_said, 23: last_said}))
    assert [answer.from_history for answer in found.answers] == [False] * 4 + [True]
    return [answer.right for answer in found.answers]


def test_a_history_question_is_answered_by_what_was_really_said():
    assert history(WARNED, WARNED)[-1]
    assert history(OTHERWISE, OTHERWISE) == [True, False, False, False, True]  # another sentence, as good
    assert not history(OTHERWISE, 'All right.')[-1]


def test_what_did_not_fit_at_the_end_is_no_history_question():
    talk = stream(ROUNDS, [reply(e, 'x') for e in ROUNDS], mixed_in=('history review',), lines_left_out=1)
    assert not any(answer.from_history for answer in compare(talk, heard({})).answers)


def dictated(said: dict[int, str], spoken: bool = True):
    request = event(0.2, 1.2, text='Please take dictation.')
    line = event(2.0, 4.0, text='the red house')
    alarm = event(5.0, 6.0, 'siren', respond=True)
    replies = [
        *([reply(request, 'I write down every word.')] if spoken else []),
        *(reply(line, word, due_s=due_s) for word, due_s in (('the', 2.5), ('red', 3.1), ('house', 4.0))),
        reply(alarm, 'A siren! An emergency vehicle is near.'),
    ]
    events = [request, line, alarm] if spoken else [line, alarm]
    changes = {} if spoken else {'instruction': 'Write down what I say.'}
    return compare(stream(events, replies, category='real-time ASR', task='dictation', **changes), heard(said))


def test_the_recognition_counts_every_word_and_nothing_that_answers_something_else():
    said = {3: 'I write down every word.', 6: 'The', 7: 'bread', 14: 'A siren! An emergency vehicle is near.'}
    rate = word_error_rate([dictated(said)], seed=1)
    assert (rate['wer'], rate['words']) == (pytest.approx(2 / 3, abs=1e-4), 3)  # one substituted, one missing
    noise = word_error_rate([dictated({6: 'the', 7: 'red', 9: 'house', 25: 'well'})], seed=1)
    assert noise['wer'] == pytest.approx(1 / 3, abs=1e-4)  # one inserted
    assert character_error_rate([dictated(said)], seed=1)['cer'] is None  # nothing of it is Chinese
    # Whisper's normaliser, by which published figures are counted, does not count what is no word.
    assert word_error_rate([dictated({6: 'The', 7: 'um, red', 9: 'house.'})], seed=1)['wer'] == 0


def test_an_instruction_calls_for_what_follows_it_but_not_for_warnings_or_its_confirmation():
    said = {3: 'I write down every word.', 6: 'the', 7: 'red', 9: 'horse'}
    rows = instructed_answers(dictated(said))
    assert [(kind, text, a.right) for kind, text, a in rows] == [
        ('spoken', 'Please take dictation.', True),
        ('spoken', 'Please take dictation.', True),
        ('spoken', 'Please take dictation.', False),
    ]
    assert {kind for kind, _, _ in instructed_answers(dictated(said, spoken=False))} == {'written'}


def test_a_direct_request_stands_for_itself_and_small_talk_for_none():
    ask = event(1.0, 2.0, text='Turn on the light.')
    agent = stream([ask], [reply(ask, '{"tool": "light"}')], category='audio agent', task='spoken request')
    assert [(k, t) for k, t, _ in instructed_answers(compare(agent, heard({})))] == [('spoken', 'Turn on the light.')]
    assert instructed_answers(compare(CHAT, heard({}))) == []


def translated(said: dict[int, str]):
    request = event(0.2, 1.0, text='Translate what I say into Chinese.')
    line = event(2.0, 3.0, text='Good morning.')
    replies = [reply(request, 'I translate into Chinese.'), reply(line, '早上好。', language='chinese')]
    return compare(stream([request, line], replies, category='streaming translation', task='en to zh'), heard(said))


def test_bleu_is_by_language_and_a_missing_translation_counts():
    perfect = bleu([translated({2: 'I translate into Chinese.', 7: '早上好。'})], seed=1)
    assert (perfect['chinese']['bleu'], perfect['chinese']['segments']) == (pytest.approx(100.0), 1)
    assert perfect['english'] == {'bleu': None, 'segments': 0, 'confidence_95': None}
    assert bleu([translated({2: 'I translate into Chinese.'})], seed=1)['chinese']['bleu'] == 0.0


def test_only_streams_that_mean_the_same_after_another_are_concatenated():
    assert self_contained(CHAT)
    assert not self_contained(CHAT.model_copy(update={'mixed_in': ('history review',)}))
    assert not self_contained(translated({}).stream)
    assert not self_contained(CHAT.model_copy(update={'instruction': 'Be brief.'}))
