"""Under the grammar whatever a model would rather write is a call that fits its schema."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import ListeningLoop, Response, make_session
from audio_interaction_ros.tool_use import grammar
from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.errors import ToolsError
from audio_interaction_ros.tool_use.grammar import NOTHING, after, grammar_of
from audio_interaction_ros.tool_use.numbers import NumberRange
from audio_interaction_ros.tool_use.schema import closed_schema, validator_of
from audio_interaction_ros.tool_use.writing import CallWriter, Vocabulary
from tests.fuzz.cases import cases
from tests.tiny_checkpoint import DIM, make_tokenizer

ROOT = Path(__file__).parents[2]
EOS = 8
TOOLS = Tools.parse(
    """
tools:
  - {name: light, description: l, confirmation: yes,
     arguments: {type: object, properties: {state: {enum: [on, off]}}, required: [state]}}
  - {name: say, description: s, arguments: {type: object, properties: {text: {type: string, maxLength: 12}}}}
"""
)
WORDS = st.sampled_from(['on', 'off', 'é', '机器', 'a"b', 'c\\d', 'a\nb', '', 'on top', ', "x": '])
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-(10**4), 10**4).map(lambda number: round(number, 3))


@st.composite
def limits(draw, low, high, values):
    """A schema's two limits, of which either may be missing."""
    first, second = sorted((draw(values), draw(values)))
    return {name: value for name, value in ((low, first), (high, second)) if draw(st.booleans())}


@st.composite
def objects(draw, parts):
    properties = draw(st.dictionaries(st.sampled_from(['a', 'ab', 'to', 'état', 'q"']), parts, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    return {'type': 'object', 'properties': properties, 'required': required}


SIMPLE = st.one_of(
    st.just({'type': 'boolean'}),
    st.just({'type': ['null', 'integer']}),
    st.lists(WORDS | NUMBERS | st.booleans() | st.none(), min_size=1, max_size=3, unique_by=json.dumps).map(
        lambda values: {'enum': values}
    ),
    limits('minLength', 'maxLength', st.integers(0, 12)).map(lambda own: {'type': 'string', **own}),
    limits('minimum', 'maximum', NUMBERS).map(lambda own: {'type': 'number', **own}),
    limits('exclusiveMinimum', 'exclusiveMaximum', NUMBERS).map(lambda own: {'type': 'number', **own}),
    limits('minimum', 'maximum', st.integers(-999, 999)).map(lambda own: {'type': 'integer', **own}),
)
PARTS = st.recursive(
    SIMPLE,
    lambda inner: (
        objects(inner)
        | st.builds(
            lambda items, own: {'type': 'array', 'items': items, **own},
            inner,
            limits('minItems', 'maxItems', st.integers(0, 3)),
        )
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {'anyOf': parts})
    ),
    max_leaves=6,
)


@pytest.fixture(scope='module')
def tokenizers():
    """Ours, where tokens are parts of words, and one in which every byte is a token."""
    return [Tokenizer.from_file(str(ROOT / 'checkpoints' / 'embedded' / 'tokenizer.json')), make_tokenizer()]


@pytest.fixture(scope='module')
def vocabularies(tokenizers):
    return [Vocabulary(tokenizer) for tokenizer in tokenizers]


def written(writer, vocabulary, rng, calls=True, most=3_000):
    """The tokens of a response to random logits; one that begins as a call where asked for, else as text."""
    barred = torch.zeros(vocabulary.size + 3, dtype=torch.bool)
    barred[vocabulary.size :] = True
    writer.begin()
    ids = []
    while len(ids) < most:
        logits = torch.from_numpy(rng.standard_normal(vocabulary.size + 3))
        if not ids:
            logits[: vocabulary.size][torch.from_numpy(vocabulary.opening != calls)] -= 100
            logits[EOS] -= 1_000
        token = int(logits.masked_fill(writer.barred(barred, EOS), -torch.inf).argmax())
        if token == EOS:
            break
        writer.took(token)
        ids.append(token)
    return ids


@cases(25)
@given(objects(PARTS), st.integers(0, 2**32 - 1))
def test_random_logits_give_a_call_that_fits_whatever_the_schema(tokenizers, vocabularies, schema, seed):
    arguments = {'arguments': schema}
    try:
        tools = Tools.parse(json.dumps({'tools': [{'name': 'it', 'description': 'd', **arguments}]}))
    except ToolsError as error:
        assert 'allows no' in str(error), error
        return
    rng = np.random.default_rng(seed)
    for tokenizer, vocabulary in zip(tokenizers, vocabularies, strict=True):
        ids = written(CallWriter(tools, vocabulary), vocabulary, rng)
        call = tools.call_of(tokenizer.decode(ids))
        assert validator_of(schema).is_valid(call.arguments)


def test_what_fits_a_schema_can_be_written():
    """The grammar leaves nothing out that a caller would miss."""
    schema = closed_schema(
        {
            'type': 'object',
            'properties': {
                'a': {'type': 'string', 'maxLength': 4},
                'b': {'type': 'number', 'minimum': -1, 'maximum': 2},
                'c': {'type': 'array', 'items': {'type': 'boolean'}},
            },
        },
        'it',
    )
    for value in ({}, {'a': '机"\n\\'}, {'b': -0.5, 'c': []}, {'a': '', 'c': [True, False]}, {'b': 2}, {'b': 0.000001}):
        state = grammar_of(schema)
        text = json.dumps(value, ensure_ascii=False).replace('1e-06', '0.000001')
        for byte in text.encode():
            state = after(state, byte)
        assert state.whole, value
    for text in (
        '{"c": [], "a": ""}',
        '{"a":""}',
        '{"a": "12345"}',
        '{"b": 2.1}',
        '{"b": 01}',
        '{"b": -0}',
        '{"a": ""',
    ):
        state = grammar_of(schema)
        for byte in text.encode():
            state = after(state, byte)
        assert state is NOTHING or not state.whole, text


@given(st.integers(-2_000, 2_000), st.integers(-2_000, 2_000), st.integers(-2_100, 2_100))
def test_an_integer_is_written_digit_by_digit_if_it_is_in_its_range(low, high, number):
    within = NumberRange.of({'type': 'integer', 'minimum': low, 'maximum': high})
    text = str(number)
    assert within.is_whole(text) == (low <= number <= high)
    assert not within.is_whole(text) or all(within.prefix_fits(text[:length]) for length in range(len(text) + 1))


def test_text_is_written_as_it_was_without_tools(vocabularies):
    vocabulary, rng = vocabularies[0], np.random.default_rng(0)
    writer = CallWriter(TOOLS, vocabulary)
    barred = torch.zeros(vocabulary.size, dtype=torch.bool)
    more = writer.barred(barred, EOS)
    shut = {vocabulary.bytes_of[int(id_)] for id_ in more.nonzero()[:, 0]}
    assert all(text.strip().startswith(b'{') for text in shut), 'only what would be no call is barred'
    assert not {b'{', b'{"'} & shut
    written(writer, vocabulary, rng, calls=False, most=1)
    assert not writer.calling and torch.equal(writer.barred(barred, EOS), barred)


def test_a_call_ends_where_it_is_whole_and_nowhere_else(tokenizers, vocabularies):
    writer = CallWriter(TOOLS, vocabularies[1])
    barred = torch.zeros(vocabularies[1].size, dtype=torch.bool)
    text = ' {"tool": "light", "state": "off"}'
    for token in tokenizers[1].encode(text).ids:
        kept = writer.barred(barred, EOS)
        assert not kept[token] and (not writer.calling or kept[EOS])
        writer.took(token)
    assert writer.barred(barred, EOS).logical_not().nonzero().flatten().tolist() == [EOS]


def test_a_session_writes_calls_that_fit_and_its_text_is_empty_then(decoder_half):
    """A model of random weights, whose every response is made to begin as a call."""
    writer = CallWriter(TOOLS, Vocabulary(decoder_half.tokenizer))
    session = make_session(decoder_half, 1e-9, temperature=1.0, max_response_tokens=200, calls=writer)
    opening = decoder_half.tokenizer.encode('{').ids[0]
    queue = ChunkQueue(4)
    loop = ListeningLoop(queue, session, decoder_half)
    choose = session._choose
    session._choose = lambda logits: opening if not writer.calling else choose(logits)
    whole = 0
    for index in range(6):
        vectors = torch.randn(10, DIM, generator=torch.Generator().manual_seed(index))
        queue.push(EncodedChunk.unbroken(index, vectors, stream_id=1))
        responses = [event for event in loop.run_until_idle() if isinstance(event, Response)]
        assert responses[-1].final and not any(response.text for response in responses)
        if not session.cut_short:
            whole += 1
            assert TOOLS.call_of(responses[-1].call).tool.name in ('light', 'say', 'confirm')
    assert whole >= 4


def test_what_is_remembered_of_the_grammar_is_bounded_and_may_be_forgotten_at_any_time(
    tokenizers, vocabularies, monkeypatch
):
    tools = Tools.parse(
        'tools: [{name: it, description: d, arguments: {type: object, required: [n, t], '
        'properties: {n: {type: number}, t: {type: string, maxLength: 9}}}}]'
    )
    monkeypatch.setattr(grammar, '_MOST_KNOWN', 40)
    rng = np.random.default_rng(0)
    for _ in range(3):
        ids = written(CallWriter(tools, vocabularies[1]), vocabularies[1], rng)
        assert tools.call_of(tokenizers[1].decode(ids))
        assert max(len(grammar._known), len(grammar._after)) <= 40


def test_a_tokenizer_that_cannot_write_every_call_is_refused(vocabularies):
    other = Tokenizer(models.BPE(vocab={'a': 0}, merges=[]))
    with pytest.raises(ToolsError, match='not byte-level'):
        Vocabulary(other)
    other.decoder = decoders.ByteLevel()
    with pytest.raises(ToolsError, match='no token for the byte 32'):
        Vocabulary(other)
    vocabulary = Vocabulary(make_tokenizer())
    vocabulary._single.discard(0xF0)
    rare = Tools.parse('tools: [{name: a, description: d, arguments: {type: object, properties: {x: {enum: [𝄞]}}}}]')
    with pytest.raises(ToolsError, match='cannot write'):
        CallWriter(rare, vocabulary)
