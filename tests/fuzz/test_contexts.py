"""Whatever is published as a context or an instruction is refused in a sentence, or is read as words within limits."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.streaming.context import MAX_CHARACTERS, DigitalContext, ToldError
from audio_interaction_ros.streaming.told import Told
from tests.fuzz.cases import cases
from tests.fuzz.strategies import damaged

NOW_S = 1_772_370_000.0
WORDS = st.sampled_from(
    [
        '',
        'a',
        'é',
        '机',
        '<|eos|>',
        '<|silent|>',
        '\0',
        '\n',
        '\x1b',
        '\ud800',
        '2026-03-01T14:00:00Z',
        '1970-01-01T00:00Z',
    ]
)
KEYS = st.sampled_from(['time', 'place', 'calendar', 'home', 'robot', 'expires', 'title', 'start', 'x', '<|eos|>'])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | WORDS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=12,
)


def refused_or_read(text: str) -> None:
    try:
        context = DigitalContext.parse(text)
    except ToldError as error:
        assert '; ' in str(error) and '\n' not in str(error) and len(str(error)) < 500
        return
    shown = context.at(NOW_S).text
    assert len(shown) <= 2 * MAX_CHARACTERS and '\n' not in shown
    assert DigitalContext.parse(shown).text == shown


@cases(100)
@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_any_json_is_refused_or_read(entries):
    refused_or_read(json.dumps(entries))


@cases(100)
@given(damaged(b'{"time": "2026-03-01T14:00:00Z", "calendar": [{"title": "Gym", "expires": "2026-03-01T14:00:00Z"}]}'))
def test_a_damaged_context_is_refused_or_read(content):
    refused_or_read(content.decode('utf-8', 'replace'))


@cases(100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(['instruct', 'give_context']),
            st.lists(WORDS, max_size=8).map(''.join) | JSON.map(json.dumps),
        ),
        max_size=6,
    )
)
def test_whatever_the_model_is_told_it_reads_no_control_token_and_not_too_much(decoder_half, told):
    it = Told(decoder_half, 100, now_s=lambda: NOW_S)
    special = decoder_half.protocol.special_ids()
    around = len(decoder_half.protocol.prefix([]))
    for name, text in told:
        try:
            getattr(it, name)(text)
        except ToldError as error:
            assert '; ' in str(error)
        if (telling := it.due()) is not None:
            it.done(telling, 0.0)
        prefix = it.in_force.prefix
        assert len(prefix) <= 100
        assert not special & set(prefix[around - 1 : -1])
