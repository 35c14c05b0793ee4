"""Chunk indices at their exact boundaries, FIFO drains, and Algorithm 2's two exclusive targets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.audio import CHUNK_SAMPLES
from training.labels import MASK, early, late, tokenise
from training.streams import Drain, Reply, schedule
from training.tokens import make_tokenizer

TEXTS = ['Bless you!', 'A baby is crying.', 'one two three']
TOKENIZER, PROTOCOL = make_tokenizer(TEXTS, 320)
PREFIX = PROTOCOL.prefix(TOKENIZER.encode('Listen.').ids)


def reply(due: int, text: str = TEXTS[0], emotion: str = 'normal', language: str = 'english') -> Reply:
    return Reply(onset=0, due=due, text=text, emotion=emotion, language=language)


@pytest.mark.parametrize(
    ('due', 'chunk'),
    [(1, 0), (6_399, 0), (6_400, 0), (6_401, 1), (12_800, 1), (12_801, 2), (60 * 6_400, 59)],
)
def test_a_reply_follows_the_chunk_that_holds_the_last_sample_it_needs(due: int, chunk: int):
    assert reply(due).chunk == chunk == math.ceil(due / CHUNK_SAMPLES) - 1
    drains = schedule([reply(due)], 60, aloud=False)
    assert [(d.first, d.last) for d in drains if d.reply == 0] == [(chunk, chunk)]


def test_a_stream_without_replies_is_one_silence_a_chunk():
    assert schedule([], 5, aloud=True) == [Drain(first=i, last=i) for i in range(5)]


def test_chunks_that_arrive_while_a_reply_is_said_are_drained_together():
    """30 characters at 15 a second are two seconds: five chunks."""
    drains = schedule([reply(6_400, 'x' * 30)], 12, aloud=True)
    assert [(d.first, d.last, d.reply) for d in drains[:3]] == [(0, 0, 0), (1, 5, None), (6, 6, None)]
    written = schedule([reply(6_400, 'x' * 30)], 12, aloud=False)
    assert [(d.first, d.last) for d in written] == [(i, i) for i in range(12)]


def test_replies_due_during_another_wait_their_turn_and_those_after_the_end_have_none():
    replies = [reply(2 * 6_400, 'x' * 24), reply(3 * 6_400), reply(3 * 6_400 + 5), reply(99 * 6_400)]
    drains = schedule(replies, 14, aloud=True)
    assert [(d.first, d.last, d.reply) for d in drains if d.reply is not None] == [(1, 1, 0), (2, 5, 1), (6, 6, 2)]


replies_lists = st.lists(
    st.builds(
        reply,
        due=st.integers(1, 40 * CHUNK_SAMPLES),
        text=st.sampled_from(TEXTS),
        emotion=st.sampled_from(sorted(PROTOCOL.emotions)),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(replies=replies_lists, chunks=st.integers(1, 30), aloud=st.booleans())
def test_a_schedule_covers_every_chunk_once_and_never_answers_early_or_twice(replies, chunks, aloud):
    drains = schedule(replies, chunks, aloud)
    assert [c for d in drains for c in range(d.first, d.last + 1)] == list(range(chunks))
    said = [d.reply for d in drains if d.reply is not None]
    assert len(said) == len(set(said))
    for d in drains:
        assert d.reply is None or replies[d.reply].chunk <= d.last
    assert [replies[i].chunk for i in said] == sorted(replies[i].chunk for i in said)


@settings(max_examples=60, deadline=None)
@given(replies=replies_lists, chunks=st.integers(1, 30), seed=st.integers(0, 99))
def test_late_replies_come_up_to_three_drains_later_in_the_same_order_and_the_wait_is_undecided(replies, chunks, seed):
    drains = schedule(replies, chunks, aloud=False)
    moved, undecided = late(drains, 0.5, np.random.default_rng(seed))
    assert [(d.first, d.last) for d in moved] == [(d.first, d.last) for d in drains]
    before, after = ({d.reply: n for n, d in enumerate(each) if d.reply is not None} for each in (drains, moved))
    assert list(before) == list(after)
    waited = set()
    for number, at in before.items():
        assert at <= after[number] <= at + 3
        waited |= {drains[n].last for n in range(at, after[number])}
    assert waited == undecided


def test_a_warning_may_come_as_soon_as_its_sound_has_begun_and_nothing_else_may():
    replies = [
        Reply(onset=2 * CHUNK_SAMPLES + 10, due=5 * CHUNK_SAMPLES, text='Fire!'),
        Reply(onset=6 * CHUNK_SAMPLES, due=9 * CHUNK_SAMPLES, text='It is noon.'),
    ]
    drains = schedule(replies, 10, aloud=False)
    assert [d.last for d in drains if d.reply is not None] == [4, 8]
    assert early(drains, replies, {0}) == {2, 3}
    assert early(drains, replies, set()) == set()
    assert early(drains, replies, {0, 1}) == {2, 3, 6, 7}


@settings(max_examples=40, deadline=None)
@given(replies=replies_lists, chunks=st.integers(1, 20), aloud=st.booleans(), undecided=st.sets(st.integers(0, 19)))
def test_targets_are_exclusive_predict_the_next_token_and_can_be_read_back(replies, chunks, aloud, undecided):
    drains = schedule(replies, chunks, aloud)
    tokens = tokenise(drains, replies, PREFIX, TOKENIZER, PROTOCOL, undecided)
    following = [*tokens.ids[1:], PROTOCOL.eos]
    controls = []
    for position, (stream, lm) in enumerate(zip(tokens.stream_targets, tokens.lm_targets, strict=True)):
        assert stream == MASK or lm == MASK
        for target in (stream, lm):
            assert target in (MASK, following[position])
        if stream != MASK:
            assert position in tokens.chunk_ends and stream in (PROTOCOL.silent, PROTOCOL.response)
            controls.append(stream)
    expected = [d for d in drains if d.reply is not None or d.last not in undecided]
    assert len(controls) == len(expected)
    assert tokens.ids.count(PROTOCOL.audio) == 10 * chunks == 10 * len(tokens.chunk_ends)
    text = [target for target in tokens.lm_targets if target != MASK]
    said = [replies[d.reply] for d in drains if d.reply is not None]
    wanted = [id_ for r in said for id_ in (PROTOCOL.emotions[r.emotion], *TOKENIZER.encode(r.text).ids, PROTOCOL.eos)]
    assert text == wanted
    assert not any(tokens.lm_targets[: len(PREFIX)].count(id_) for id_ in PREFIX)


def test_chinese_takes_longer_to_say_a_character_at_a_time():
    assert reply(1, '你好吗', language='chinese').speaking_s > reply(1, 'abc').speaking_s
