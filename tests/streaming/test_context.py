"""A digital context is checked to its last value, and what is stale in it is left out."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from audio_interaction_ros.streaming.context import (
    MAX_DEPTH,
    MAX_VALUES,
    DigitalContext,
    ToldError,
)

NOW = datetime(2026, 3, 1, 13, 0, tzinfo=timezone.utc)
NOW_S = NOW.timestamp()


def in_s(seconds):
    return (NOW + timedelta(seconds=seconds)).isoformat()


FULL = {
    'app': {'messages': 3},
    'robot': {'battery': 0.8, 'docked': False},
    'home': {'oven': {'state': 'on', 'expires': in_s(60)}, 'door': 'locked'},
    'calendar': [{'title': 'Dentist', 'start': '2026-03-01T15:00:00+01:00'}, {'title': 'Gym', 'expires': in_s(-1)}],
    'place': 'kitchen',
    'time': '2026-03-01T14:00:00Z',
}


def test_the_model_reads_known_entries_first_and_no_stale_ones():
    context = DigitalContext.parse(json.dumps(FULL))
    shown = json.loads(context.at(NOW_S).text)
    assert list(shown) == ['time', 'place', 'calendar', 'home', 'robot', 'app']
    assert shown['calendar'] == [{'title': 'Dentist', 'start': '2026-03-01T15:00:00+01:00'}]
    assert shown['home'] == {'oven': {'state': 'on'}, 'door': 'locked'}
    assert context.next_expiry_s(NOW_S) == NOW_S + 60
    later = context.at(NOW_S + 60)
    assert json.loads(later.text)['home'] == {'door': 'locked'}
    assert later.next_expiry_s(NOW_S + 60) == float('inf')


def test_a_whole_context_expires_and_null_does_not():
    whole = DigitalContext.parse(
        json.dumps({'place': None, 'robot': {'task': None}, 'expires': in_s(5)}).replace('"place": null, ', '')
    )
    assert whole.at(NOW_S).text == '{"robot": {"task": null}}'
    assert whole.at(NOW_S + 5).text == ''


def test_the_outline_tells_what_there_is_and_nothing_of_what_it_says():
    outline = DigitalContext.parse(json.dumps(FULL)).outline
    assert outline == 'time, place, calendar (2), home (2), robot (2), 1 of other names'
    assert DigitalContext().outline == 'nothing'


def test_nothing_and_an_empty_object_are_no_context():
    assert [DigitalContext.parse(text).text for text in ('', ' \n', '{}')] == ['', '', '']


def nested(depth):
    return '{"home": ' * depth + '{}' + '}' * depth


@pytest.mark.cures(
    'leave out what the model need not know',
    'publish one JSON object',
    'publish one such as',
    'give each key once',
    'leave it out, or give null',
    'the context is nested too deep',
    'the context has a number that is too large; give a smaller one',
    'correct it or leave it out',
    'a time with its zone expected; give it as in',
    'has the control character U+',
)
@pytest.mark.parametrize(
    ('bad', 'sentence', 'mended'),
    [
        ('{"x": "' + 'a' * 10_000_000 + '"}', 'a context of 10000009 characters found', '{"x": "a"}'),
        ('place: kitchen', 'is not JSON (Expecting value', '{"place": "kitchen"}'),
        ('["kitchen"]', 'the context is a list, an object expected', '{"place": "kitchen"}'),
        ('{"a": 1, "a": 2}', "the context has 'a' twice", '{"a": 2}'),
        ('{"robot": {"battery": NaN}}', 'has NaN, which is no number', '{"robot": {"battery": null}}'),
        ('{"robot": {"battery": 1e999}}', 'a number that is too large', '{"robot": {"battery": 1e9}}'),
        (nested(MAX_DEPTH), 'nested too deep, at most 8 levels', nested(MAX_DEPTH - 1)),
        ('[' * 15_000, 'nested too deep', '{}'),
        (json.dumps({'x': [1] * MAX_VALUES}), 'more than 1000 values', json.dumps({'x': [1] * (MAX_VALUES - 1)})),
        ('{"time": 5}', "'time' is a number, an ISO 8601 time", '{"time": "2026-03-01T14:00"}'),
        ('{"time": "noon"}', "'time' is a text, an ISO 8601 time", '{"time": "2026-03-01T12:00:00Z"}'),
        ('{"place": true}', "'place' is true or false, a text or an object", '{"place": {"room": "kitchen"}}'),
        ('{"calendar": {}}', "'calendar' is an object, a list of objects", '{"calendar": []}'),
        ('{"calendar": [{"start": 1}]}', "'calendar' is a list, a list of objects such as", '{"calendar": []}'),
        ('{"calendar": [{"title": "a", "end": "x"}]}', "'calendar' is", '{"calendar": [{"title": "a"}]}'),
        ('{"home": null}', "'home' is null, an object", '{"home": {}}'),
        ('{"robot": "docked"}', "'robot' is a text, an object", '{"robot": {"docked": true}}'),
        ('{"x": [{"expires": 5}]}', "'expires' is a number, a time with its zone", '{"x": [{}]}'),
        ('{"expires": "2026-03-01T12:00:00"}', "'expires' is a text", '{"expires": "2026-03-01T12:00:00Z"}'),
        ('{"x": "\\u0007"}', 'the context has the control character U+0007 in it', '{"x": "\\n"}'),
        ('{"\\ud800": 1}', 'the context has the control character U+D800 in it', '{"\\ud83d\\ude00": 1}'),
    ],
)  # fmt: skip
def test_what_is_no_context_is_refused_in_a_sentence_and_taken_once_it_is_mended(bad, sentence, mended):
    began_s = time.monotonic()
    with pytest.raises(ToldError) as refused:
        DigitalContext.parse(bad)
    assert time.monotonic() - began_s < 5.0
    assert sentence in str(refused.value)
    assert '; ' in str(refused.value) and len(str(refused.value)) < 300
    DigitalContext.parse(mended)
