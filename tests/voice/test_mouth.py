"""What is said next, and what is not said at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.voice.mouth import Mouth, RefusedError, Urgency


class Speaking:
    """A mouth, the time, and everything that was said to its end."""

    def __init__(self, queue_max=8, stale_after_s=10.0):
        self.mouth = Mouth(queue_max, stale_after_s)
        self.now_s = 100.0
        self.said = []

    def respond(self, id, text, **how):
        self.mouth.respond(id, text, self.now_s, **how)

    def say(self, text, urgency=Urgency.NORMAL, **how):
        return self.mouth.say(text, urgency, self.now_s, **how)

    def next(self, quiet=False):
        return self.mouth.next(self.now_s, quiet)

    def done(self, clause):
        interrupted = clause.interrupted.is_set()
        if not interrupted:
            self.said.append(clause.text)
        self.mouth.done(clause, self.now_s, '' if interrupted else clause.text)

    def say_all(self, quiet=False):
        while (clause := self.next(quiet)) is not None:
            self.done(clause)
        said, self.said = self.said, []
        return said


def test_a_response_is_said_while_it_is_written():
    it = Speaking()
    it.respond('1', 'A dog barks!')
    first = it.next()
    assert first.text == 'A dog barks!'
    it.respond('1', 'A dog barks! It is at the do')
    it.done(first)
    assert it.next() is None
    it.respond('1', 'A dog barks! It is at the door.', final=True)
    assert it.next().text == 'It is at the door.'


def test_a_response_is_said_once_however_often_it_comes():
    it = Speaking()
    for _ in range(3):
        it.respond('1', 'Bless you!', final=True)
    assert it.say_all() == ['Bless you!']
    it.respond('1', 'Bless you!')
    it.respond('1', 'Bless you! Bless you!', final=True)
    assert it.say_all() == []
    it.respond('2', 'Bless you!', final=True)
    assert it.say_all() == ['Bless you!']


def test_urgent_is_said_first_and_chatty_last():
    it = Speaking()
    it.say('Nice weather.', Urgency.CHATTY)
    it.say('Dinner is ready.')
    it.respond('1', 'A siren!', urgent=True, final=True)
    it.say('The post is here.')
    assert it.say_all() == ['A siren!', 'Dinner is ready.', 'The post is here.', 'Nice weather.']


def test_an_urgent_response_breaks_off_what_is_being_said_before_its_first_clause_is_written():
    it = Speaking()
    it.respond('1', 'Once upon a time, there was. A robot.', final=True)
    clause = it.next()
    it.respond('2', 'Fi', urgent=True)
    assert clause.interrupted.is_set()
    it.done(clause)
    assert it.next() is None
    it.respond('2', 'Fire! Get', urgent=True)
    assert it.say_all() == ['Fire!']
    it.respond('1', 'Once upon a time, there was. A robot. The end.', final=True)
    it.respond('2', 'Fire! Get out.', urgent=True, final=True)
    assert it.say_all() == ['Get out.']
    assert it.mouth.counts == {'preempted': 1, 'too_long': 0}


def test_an_urgent_one_waits_for_another_urgent_one():
    it = Speaking()
    it.respond('1', 'Fire! Get out.', urgent=True, final=True)
    clause = it.next()
    it.respond('2', 'A siren!', urgent=True, final=True)
    assert not clause.interrupted.is_set()
    it.done(clause)
    assert it.say_all() == ['Fire!', 'Get out.', 'A siren!']


def test_what_the_decoder_cancels_is_broken_off_and_not_gone_on_with():
    it = Speaking()
    it.respond('1', 'A dog barks. It is at', final=False)
    clause = it.next()
    it.respond('1', 'A dog barks. It is at', final=True, cancelled=True)
    assert clause.interrupted.is_set()
    it.done(clause)
    it.respond('1', 'A dog barks. It is at the door.', final=True)
    it.respond('2', 'Never begun.', final=True, cancelled=True)
    it.respond('2', 'Never begun.', final=True)
    assert it.say_all() == []
    assert (clause.utterance.said, clause.utterance.broken_off) == ([], True)


def test_what_was_said_is_only_what_was_said_to_its_end():
    it = Speaking()
    it.respond('1', 'One. Two. Three.', final=True)
    first = it.next()
    it.done(first)
    second = it.next()
    assert it.mouth.cancel('1') == 1
    it.done(second)
    assert second.utterance.said == ['One.']
    assert it.mouth.cancel('1') == 0


def test_another_text_waits_a_little_for_the_next_clause_of_the_one_that_is_being_said():
    it = Speaking()
    it.respond('1', 'A dog barks! It')
    it.say('Dinner is ready.')
    it.done(it.next())
    it.now_s += 0.5
    assert it.next() is None
    it.now_s += 1.0
    assert it.next().text == 'Dinner is ready.'


@pytest.mark.parametrize('age_s', [0.0, 8.0])
def test_what_waited_too_long_is_not_said(age_s):
    it = Speaking(stale_after_s=10.0)
    it.respond('1', 'A dog barks.', final=True, age_s=age_s)
    it.now_s += 10.1 - age_s
    assert it.say_all() == []
    assert it.mouth.counts['stale'] == 1
    it.respond('1', 'A dog barks.', final=True)
    assert it.say_all() == []


def test_a_response_whose_writer_has_died_is_forgotten():
    it = Speaking()
    it.respond('1', 'A dog barks! It')
    assert it.say_all() == ['A dog barks!']
    it.now_s += 40.0
    assert it.next() is None
    assert it.mouth.cancel() == 0


def test_in_quiet_hours_only_what_is_urgent_is_said():
    it = Speaking()
    it.respond('1', 'Bless you!', final=True)
    it.respond('2', 'Fire!', urgent=True, final=True)
    assert it.say_all(quiet=True) == ['Fire!']
    assert it.mouth.counts['quiet_hours'] == 1
    with pytest.raises(RefusedError, match='quiet hours, in which only what is urgent is said; say it later'):
        it.say('Dinner is ready.', quiet=True)
    it.say('The bath overflows!', Urgency.URGENT, quiet=True)
    assert it.say_all(quiet=True) == ['The bath overflows!']
    it.say('Dinner is ready.')
    assert it.say_all() == ['Dinner is ready.']


def test_at_the_limit_the_oldest_of_the_least_urgent_is_dropped_and_counted():
    it = Speaking(queue_max=2)
    for number in range(4):
        it.say(f'text {number}')
    assert it.mouth.waiting == 2
    it.respond('1', 'Fire!', urgent=True, final=True)
    it.respond('2', 'A siren!', urgent=True, final=True)
    it.respond('3', 'A dog.', final=True)
    with pytest.raises(RefusedError, match='2 texts wait already, all more urgent; say it later'):
        it.say('text 4')
    assert it.say_all() == ['Fire!', 'A siren!']
    assert it.mouth.counts['queue_full'] == 5


@pytest.mark.parametrize(
    ('text', 'urgency', 'sentence'),
    [
        ('x' * 10_000, 1, 'the text has 10000 characters, at most 1000 expected; say it in parts'),
        (' \x07 … ', 1, 'nothing in it to pronounce; give words'),
        ('Hello.', 7, r'urgency is 7; give CHATTY \(0\)'),
    ],
)
def test_a_text_that_cannot_be_said_is_refused_in_a_sentence_that_says_what_to_do(text, urgency, sentence):
    with pytest.raises(RefusedError, match=sentence):
        Speaking().say(text, urgency)


def test_a_response_of_ten_kilobytes_is_said_in_part_and_counted():
    it = Speaking()
    it.respond('1', 'la la la. ' * 1_000, final=True)
    assert sum(map(len, it.say_all())) <= 1_000
    assert it.mouth.counts['too_long'] == 1


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(['partial', 'final', 'cancelled', 'say', 'cancel', 'next', 'done', 'wait']),
        st.integers(0, 5),
        st.integers(0, 2),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(_EVENTS)
def test_whatever_comes_in_whatever_order_nothing_is_said_twice_and_the_queue_is_bounded(events):
    it = Speaking(queue_max=3)
    clause = None
    taken = []
    for kind, number, urgency in events:
        text = f'{number} one. {number} two. {number} three.'
        if kind in ('partial', 'final', 'cancelled'):
            it.respond(
                str(number),
                text[:9] if kind == 'partial' else text,
                urgent=number == 5,
                final=kind != 'partial',
                cancelled=kind == 'cancelled',
            )
        elif kind == 'say':
            try:
                it.say(f'other {len(taken)}', urgency)
            except RefusedError:
                assert it.mouth.waiting == 3
        elif kind == 'cancel':
            it.mouth.cancel(str(number))
        elif kind == 'next' and clause is None and (clause := it.next()) is not None:
            taken.append((clause.utterance.id, clause.text))
        elif kind == 'done' and clause is not None:
            it.done(clause)
            clause = None
        elif kind == 'wait':
            it.now_s += number
        assert it.mouth.waiting <= 3
        if clause is not None:
            assert clause.interrupted.is_set() == clause.utterance.over
    assert len(taken) == len(set(taken))


def test_who_talks_over_it_ends_what_was_begun_and_nothing_begins_until_that_is_over():
    it = Speaking()
    for number in '12':
        it.respond(number, 'Once upon a time, there was a robot.', final=True)
    clause = it.next()
    assert it.mouth.barge_in(but='1') == 0
    assert it.mouth.barge_in() == 1 and clause.interrupted.is_set()
    it.mouth.done(clause, it.now_s, 'Once upon')
    assert clause.utterance.broken_off and clause.utterance.said == ['Once upon']
    assert it.mouth.next(it.now_s, listens=True) is None
    it.respond('3', 'Fire!', urgent=True, final=True)
    urgent = it.mouth.next(it.now_s, listens=True)
    assert urgent.text == 'Fire!' and it.mouth.barge_in() == 0
    it.done(urgent)
    assert it.next().utterance.id == '2'
    assert it.mouth.counts['barged_in'] == 1
