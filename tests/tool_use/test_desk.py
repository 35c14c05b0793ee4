"""What is not as declared is not begun: refused, said why, and counted; and nobody waits for ever."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.desk import Outcome, ToolDesk, is_yes

TOOLS = Tools.parse(
    """
tools:
  - {name: light, description: l, arguments: {type: object, properties: {state: {enum: [on, off]}}, required: [state]}}
  - {name: move, description: m, timeout_s: 30, question: "Shall I go to the ${to}?",
     confirmation: {when: {properties: {to: {const: street}}, required: [to]}},
     arguments: {type: object, properties: {to: {type: string, maxLength: 20}}, required: [to]}}
"""
)
STREET = '{"to": "street"}'


@pytest.fixture
def desk():
    return ToolDesk(TOOLS, queue_max=3, confirm_within_s=20.0, repeat_after_s=5.0)


def refused(due):
    """The only result of what was not begun: its kind and words."""
    (result,) = due.results
    assert not due.begin and result.outcome is Outcome.REFUSED
    return result.kind, result.text


def test_a_call_is_begun_and_its_result_told_once(desk):
    (case,) = desk.take('1', 'light', '{"state": "on"}', 'r', 0.0).begin
    assert (case.id, case.call.arguments, desk.open) == ('1', {'state': 'on'}, 1)
    result = desk.done('1', 'it is on')
    assert (result.outcome, result.text, desk.open) == (Outcome.DONE, 'it is on', 0)
    assert desk.done('1', 'again') is None and desk.failed('1', 'late') is None
    assert desk.counts == {'done': 1}


@pytest.mark.parametrize(
    ('tool', 'arguments', 'kind'),
    [
        ('oven', '{}', 'undeclared'),
        ('light', '{"state": "dim"}', 'invalid'),
        ('light', '{"state": "on"', 'malformed'),
        ('light', '[' * 3_000, 'malformed'),
        ('confirm', '{"answer": "yes"}', 'unconfirmed'),
    ],
)
def test_what_is_not_as_declared_is_refused_and_counted(desk, tool, arguments, kind):
    assert refused(desk.take('1', tool, arguments, 'r', 0.0))[0] == kind
    assert (desk.counts, desk.open) == ({kind: 1}, 0)


def test_a_call_that_comes_again_is_refused(desk):
    desk.take('1', 'light', '{"state": "on"}', 'r', 0.0)
    assert 'this id' in refused(desk.take('1', 'light', '{"state": "off"}', 'r', 0.1))[1]
    assert desk.open == 1, 'the first one is still open'
    assert 'just now' in refused(desk.take('2', 'light', '{ "state":"on" }', 'r', 4.0))[1]
    desk.done('1', '')
    assert 'just now' in refused(desk.take('3', 'light', '{"state": "on"}', 'r', 8.0))[1], 'again and again'
    assert desk.take('4', 'light', '{"state": "off"}', 'r', 8.0).begin
    assert desk.take('5', 'light', '{"state": "on"}', 'r', 13.1).begin
    desk.failed('5', 'no light')
    assert desk.take('6', 'light', '{"state": "on"}', 'r', 13.2).begin, 'what failed may be tried again at once'
    assert desk.counts == {'repeated': 3, 'done': 1, 'failed': 1}


def test_a_tool_that_never_answers_has_failed_after_its_time(desk):
    desk.take('1', 'light', '{"state": "on"}', 'r', 0.0)
    assert not desk.due(9.9).results
    (result,) = desk.due(10.0).results
    assert (result.outcome, result.kind) == (Outcome.FAILED, 'timed_out')
    assert result.text == "the tool 'light' did not answer within 10 s"
    assert desk.done('1', 'late') is None and desk.open == 0


def test_no_more_are_open_than_may_be(desk):
    for number in range(3):
        assert desk.take(str(number), 'move', f'{{"to": "{number}"}}', 'r', 0.0).begin
    assert refused(desk.take('x', 'light', '{"state": "on"}', 'r', 0.0))[0] == 'queue_full'
    desk.done('0', '')
    assert desk.take('y', 'light', '{"state": "on"}', 'r', 0.0).begin, 'a refused one is not held against it'


def asked(desk):
    due = desk.take('1', 'move', STREET, 'r', 0.0)
    assert not due.begin
    assert [(one.outcome, one.text) for one in due.results] == [(Outcome.ASKED, 'Shall I go to the street?')]


def test_a_yes_begins_what_was_asked_about_and_a_no_ends_it(desk):
    asked(desk)
    assert desk.confirm('7', 'yes', 1.0)[0] is False
    assert desk.confirm('', 'well', 1.0)[:2] == (False, 'the answer is neither a yes nor a no; say one of the two')
    success, _, due = desk.confirm('', 'Yes, please!', 15.0)
    assert success and [case.id for case in due.begin] == ['1']
    assert not desk.due(44.9).results and desk.due(45.0).results, 'its time begins with the yes'
    assert desk.confirm('', 'yes', 46.0)[0] is False
    desk.take('2', 'move', STREET, 'r2', 50.0)
    success, _, due = desk.confirm('2', 'no', 51.0)
    assert success and refused(due)[0] == 'declined' and desk.open == 0


def test_where_nobody_says_yes_nothing_is_done(desk):
    asked(desk)
    assert refused(desk.take('2', 'move', '{"to": "street" }', 'r', 10.0))[0] == 'repeated'
    kind, words = refused(desk.due(20.0))
    assert (kind, words) == ('unconfirmed', "nobody said yes to 'move' within 20 s, so it was not done")
    assert desk.confirm('', 'yes', 20.1)[0] is False


def test_one_call_at_a_time_waits_for_a_yes():
    tools = Tools.parse('tools: [' + ', '.join(f'{{name: {n}, description: d, confirmation: yes}}' for n in 'ab') + ']')
    desk = ToolDesk(tools, 8, 20.0, 5.0)
    desk.take('1', 'a', '{}', 'r', 0.0)
    assert "'a' waits for a yes" in refused(desk.take('2', 'b', '{}', 'r', 1.0))[1]


def test_the_model_may_hear_a_yes_but_not_make_it_up_with_the_call(desk):
    asked(desk)
    assert refused(desk.take('2', 'confirm', '{"answer": "yes"}', 'r', 5.0))[0] == 'unconfirmed'
    assert refused(desk.take('3', 'confirm', '{"answer": "yes"}', 'r2', 0.4))[0] == 'unconfirmed'
    assert desk.waiting is not None
    assert desk.take('4', 'confirm', '{"answer": "yes"}', 'r2', 2.0).begin
    other = ToolDesk(TOOLS, 3, 20.0, 5.0, by_voice=False)
    asked(other)
    assert 'ai/tool_confirm' in refused(other.take('2', 'confirm', '{"answer": "yes"}', 'r2', 5.0))[1]


def test_a_desk_that_is_closed_refuses_what_was_open(desk):
    desk.take('1', 'light', '{"state": "on"}', 'r', 0.0)
    desk.take('2', 'move', STREET, 'r', 0.0)
    assert {result.id for result in desk.close()} == {'1', '2'}
    assert desk.open == 0 and desk.waiting is None


@pytest.mark.parametrize(
    ('words', 'meant'),
    [
        ('yes', True),
        ('Ja, bitte.', True),
        ('好的', True),
        ('no', False),
        ("No, don't!", False),
        ('不要', False),
        ('yes no', None),
        ('not sure', None),
        ('不好', None),
        ('', None),
        ('yesterday', None),
        ('knows', None),
    ],
)
def test_an_answer_is_a_yes_only_where_it_can_be_nothing_else(words, meant):
    assert is_yes(words) is meant


def test_of_ten_thousand_random_calls_none_is_begun_that_is_not_as_declared():
    """With answers, results and time passing among them."""
    rng = np.random.default_rng(25)
    desk = ToolDesk(TOOLS, queue_max=4, confirm_within_s=6.0, repeat_after_s=3.0)
    pieces = [
        '{',
        '}',
        '"state"',
        '"to"',
        ': ',
        '"on"',
        '"off"',
        '"street"',
        '"bath"',
        ', ',
        '[',
        ']',
        '7',
        'null',
        '\0',
    ]
    whole = ['{"state": "on"}', '{"state": "off"}', STREET, '{"to": "bath"}', '{"answer": "yes"}', '{"to": 7}', '{}']
    now_s, confirmed, begun, came = 0.0, set(), [], 0

    def draw(values):
        return values[int(rng.integers(len(values)))]

    def note(due):
        for result in due.results:
            assert result.text and len(result.text) < 1_000
        for case in due.begin:
            TOOLS.declared[case.call.tool.name].require_valid(case.call.arguments)
            assert case.call.arguments.get('to') != 'street' or case.id in confirmed
            begun.append(case)

    for number in range(10_000):
        now_s += float(rng.exponential(0.5))
        arguments = draw(whole) if rng.random() < 0.7 else ''.join(draw(pieces) for _ in range(int(rng.integers(8))))
        tool = draw(['light', 'move', 'confirm', 'oven', ''])
        id = draw([str(number), str(number // 2), '', 'x' * 300])
        before = desk.waiting
        due = desk.take(id, tool, arguments, f'r{number}', now_s)
        if tool == 'confirm' and due.begin:
            confirmed.add(before.id)
        note(due)
        came += 1
        if rng.random() < 0.1 and (waiting := desk.waiting) is not None:
            answer = draw(['yes', 'no', 'perhaps', ''])
            if answer == 'yes':
                confirmed.add(waiting.id)
            note(desk.confirm('', answer, now_s)[2])
        if begun and rng.random() < 0.5:
            draw([desk.done, desk.failed])(draw(begun[-4:]).id, 'it is so')
        note(desk.due(now_s))
        assert desk.open <= 4
    assert sum(desk.counts.values()) >= came - desk.open - len(confirmed) - len(begun)
    assert len(begun) > 200 and {'malformed', 'undeclared', 'invalid', 'repeated', 'unconfirmed'} <= set(desk.counts)
    assert json.dumps(desk.counts)
