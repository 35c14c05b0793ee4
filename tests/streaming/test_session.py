"""Contract 4: the cached path computes what one full pass over the same tokens computes."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from audio_interaction_ros.model.checkpoint import load_decoder
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.stock import stock_model
from audio_interaction_ros.streaming.session import Session, SessionSettings, is_decoding_loop
from tests.tiny_checkpoint import DIM, EVENTS, MAX_CONTEXT_CHUNKS, OTHER_FAMILIES, write_tiny_checkpoint

ALWAYS, NEVER = 1e-9, 1.0 - 1e-9


def make_session(half, threshold=0.5, max_response_tokens=6, events=None, **settings):
    return Session(
        Engine(half.language_model),
        half.protocol,
        half.instruction_prefix('Warn of danger.'),
        half.tokenizer.get_vocab_size(),
        SessionSettings(threshold, MAX_CONTEXT_CHUNKS, max_response_tokens, **settings),
        events,
    )


@pytest.fixture(scope='module', params=['qwen2', *OTHER_FAMILIES])
def any_half(request, decoder_half, tmp_path_factory):
    """A checkpoint of each family of language models."""
    if request.param == 'qwen2':
        return decoder_half
    directory = tmp_path_factory.mktemp('checkpoints') / request.param
    return load_decoder(write_tiny_checkpoint(directory, text_settings=OTHER_FAMILIES[request.param]))


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(10, DIM, generator=generator) for _ in range(40)]


class Reference:
    """The same protocol without a cache: the whole sequence through the model every time."""

    def __init__(self, half):
        self.half, self.model = half, stock_model(half.language_model)
        self.parts = []
        self.add_tokens(half.instruction_prefix('Warn of danger.'))

    def add_tokens(self, ids):
        self.parts.append(self.model.get_input_embeddings()(torch.tensor(ids)))

    def add_chunks(self, chunks):
        for chunk in chunks:
            self.add_tokens([self.half.protocol.chunk_begin])
            self.parts.append(chunk)
            self.add_tokens([self.half.protocol.chunk_end])

    @torch.inference_mode()
    def logits(self):
        return self.model(inputs_embeds=torch.cat(self.parts)[None]).logits[0, -1]

    @torch.inference_mode()
    def hidden(self):
        return self.model.model(inputs_embeds=torch.cat(self.parts)[None]).last_hidden_state[0, -1]

    def p_response(self):
        protocol = self.half.protocol
        return float(self.logits()[[protocol.silent, protocol.response]].softmax(0)[1])


def test_drains_of_any_size_agree_with_a_full_forward_pass(any_half, vectors):
    session, reference = make_session(any_half, NEVER), Reference(any_half)
    for start, end in ((0, 1), (1, 2), (2, 5), (5, 6)):
        respond, probability = session.drain(vectors[start:end])
        reference.add_chunks(vectors[start:end])
        assert not respond
        assert probability == pytest.approx(reference.p_response(), abs=1e-5)
        reference.add_tokens([any_half.protocol.silent])


def test_with_forced_silence_a_drain_of_many_is_as_many_drains_of_one(decoder_half, vectors):
    """Also after the last of them has rebuilt the context; a plain drain is another thing."""
    many, one = (make_session(decoder_half, NEVER, silent_between_chunks=True) for _ in range(2))
    plain = make_session(decoder_half, NEVER)
    for start, end in ((0, 3), (3, 5), (5, 8), (8, 9)):
        alone = [one.drain([chunk])[1] for chunk in vectors[start:end]]
        together = many.drain(vectors[start:end])[1]
        assert many.context_chunks == one.context_chunks
        assert together == pytest.approx(alone[-1], abs=1e-5)
        if start == 0:
            assert plain.drain(vectors[start:end])[1] != pytest.approx(together, abs=1e-4)


def test_a_response_and_what_follows_agree_with_a_full_forward_pass(any_half, vectors):
    session, reference = make_session(any_half, ALWAYS), Reference(any_half)
    for chunks in (vectors[:2], vectors[2:3]):
        _, probability = session.drain(chunks)
        reference.add_chunks(chunks)
        assert probability == pytest.approx(reference.p_response(), abs=1e-5)
        reference.add_tokens([any_half.protocol.response])
        tokens = []
        while session.responding:
            token = session.next_token()
            if len(tokens) < 6:  # the seventh is the forced eos
                logits = reference.logits()
                allowed = set(range(any_half.tokenizer.get_vocab_size()))
                allowed -= set(any_half.protocol.special_ids())
                allowed |= set(any_half.protocol.emotions.values()) if not tokens else {any_half.protocol.eos}
                assert token == max(allowed, key=lambda id_: float(logits[id_]))
            tokens.append(token)
            reference.add_tokens([token])
        assert tokens[-1] == any_half.protocol.eos
        assert 2 <= len(tokens) <= 7


def test_a_response_forbids_a_drain(decoder_half, vectors):
    session = make_session(decoder_half, ALWAYS)
    session.drain(vectors[:1])
    assert session.responding
    with pytest.raises(RuntimeError, match='during a response'):
        session.drain(vectors[1:2])


def test_more_chunks_than_the_context_has_room_for_are_refused_not_cut_off(decoder_half, vectors):
    session = make_session(decoder_half, NEVER)
    assert session.longest_drain == MAX_CONTEXT_CHUNKS // 2
    with pytest.raises(ValueError, match='5 chunks found, at most 4 expected'):
        session.drain(vectors[:5])


def test_whether_it_responds_can_be_asked_while_another_thread_starts_it_anew(decoder_half, vectors):
    """The other thread acts between any two byte codes of the question; each place is tried."""
    session = make_session(decoder_half, ALWAYS)
    session.drain(vectors[:1])
    turns = session._turns

    def asked(reset_at):
        """The answer, and how many byte codes it took; before number `reset_at` the session is reset."""
        codes = 0

        def trace(frame, event, _):
            nonlocal codes
            frame.f_trace_opcodes = True
            if event == 'opcode' and frame.f_code.co_name == 'responding':
                codes += 1
                if codes == reset_at:
                    session.reset()
            return trace

        session._turns = turns
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            return session.responding, codes
        finally:
            sys.settrace(before)

    answer, length = asked(reset_at=0)
    assert answer and length > 5
    answers = [asked(place)[0] for place in range(1, length + 1)]
    assert answers[0] is False and answers[-1] is True


def test_a_cancelled_response_leaves_the_cache_consistent(decoder_half, vectors):
    session, reference = make_session(decoder_half, ALWAYS), Reference(decoder_half)
    session.drain(vectors[:1])
    token = session.next_token()
    assert session.cancel() == decoder_half.protocol.eos
    assert not session.responding
    reference.add_chunks(vectors[:1])
    reference.add_tokens([decoder_half.protocol.response, token, decoder_half.protocol.eos])
    reference.add_chunks(vectors[1:2])
    assert session.drain(vectors[1:2])[1] == pytest.approx(reference.p_response(), abs=1e-5)


def test_past_its_limit_the_context_is_the_newest_half(any_half, vectors):
    session = make_session(any_half, NEVER)
    for i in range(MAX_CONTEXT_CHUNKS):
        session.drain(vectors[i : i + 1])
    assert session.context_chunks == MAX_CONTEXT_CHUNKS
    _, probability = session.drain(vectors[MAX_CONTEXT_CHUNKS : MAX_CONTEXT_CHUNKS + 1])
    assert session.context_chunks == MAX_CONTEXT_CHUNKS // 2
    reference = Reference(any_half)
    for chunk in vectors[MAX_CONTEXT_CHUNKS // 2 + 1 : MAX_CONTEXT_CHUNKS]:
        reference.add_chunks([chunk])
        reference.add_tokens([any_half.protocol.silent])
    reference.add_chunks(vectors[MAX_CONTEXT_CHUNKS : MAX_CONTEXT_CHUNKS + 1])
    assert probability == pytest.approx(reference.p_response(), abs=1e-5)


def test_the_context_stays_bounded_whatever_comes(decoder_half, vectors):
    session = make_session(decoder_half, 0.5)
    for i in range(60):
        session.drain(vectors[i % 20 : i % 20 + 1 + i % 4])
        while session.responding:
            session.next_token()
        assert session.context_chunks <= MAX_CONTEXT_CHUNKS


def test_a_full_context_keeps_the_newest_chunks_and_what_was_said(any_half, vectors):
    """A response, then silence until the context is full: the exchange stays, the silence in between goes."""
    settings = make_session(any_half, ALWAYS), Reference(any_half)
    session, reference = settings
    session.drain(vectors[:1])
    said = [any_half.protocol.response]
    while session.responding:
        said.append(session.next_token())
    session.settings = replace(session.settings, response_threshold=NEVER)  # silent from here on
    for i in range(1, MAX_CONTEXT_CHUNKS):
        session.drain(vectors[i : i + 1])
    _, probability = session.drain(vectors[MAX_CONTEXT_CHUNKS : MAX_CONTEXT_CHUNKS + 1])
    reference.add_chunks(vectors[:1])
    reference.add_tokens(said)
    # Half of eight chunks: the new one, one of the newest by right, the exchange, and the newest of what is left.
    for i in (MAX_CONTEXT_CHUNKS - 2, MAX_CONTEXT_CHUNKS - 1):
        reference.add_chunks(vectors[i : i + 1])
        reference.add_tokens([any_half.protocol.silent])
    reference.add_chunks(vectors[MAX_CONTEXT_CHUNKS : MAX_CONTEXT_CHUNKS + 1])
    assert session.compactions == 1
    assert probability == pytest.approx(reference.p_response(), abs=1e-5)


def test_an_idle_session_makes_room_before_a_decision_has_to_wait_for_it(decoder_half, vectors):
    session = make_session(decoder_half, NEVER)
    for i in range(30):
        before = session.compactions
        session.drain(vectors[i : i + 1])
        assert session.compactions == before
        session.tidy()
        assert session.context_chunks < MAX_CONTEXT_CHUNKS
    assert session.compactions >= 5


def test_what_would_be_urgent_can_be_asked_during_a_response_and_changes_nothing(decoder_half, vectors):
    scout = make_session(decoder_half, ALWAYS)
    scout.drain(vectors[:1])
    scout.cancel()
    scout.drain(vectors[1:3])
    first = scout.next_token()  # of what would interrupt
    emotions = {'normal': decoder_half.protocol.emotions['normal'], 'urgent': first}
    answers = {}
    for urgent in (first, first + 1):
        protocol = decoder_half.protocol.model_copy(update={'emotions': emotions | {'urgent': urgent}})
        half = replace(decoder_half, protocol=protocol)
        asked, unasked = make_session(half, ALWAYS), make_session(half, ALWAYS)
        for session in (asked, unasked):
            session.drain(vectors[:1])
        answers[urgent] = asked.would_interrupt(vectors[1:3])
        while asked.responding:
            asked.would_interrupt(vectors[1:3])
            assert asked.next_token() == unasked.next_token()
        assert asked.drain(vectors[3:4]) == unasked.drain(vectors[3:4])
        silent = make_session(half, NEVER)
        silent.drain(vectors[:1])
        assert not silent.would_interrupt(vectors[1:3])
    assert answers == {first: True, first + 1: False}


def test_after_a_response_the_next_waits_for_a_low_probability(decoder_half, vectors):
    free = make_session(decoder_half, 0.3)
    waits = make_session(decoder_half, 0.3, rearm_below=0.1)
    armed, differed = True, False
    for i in range(40):
        respond, probability = waits.drain(vectors[i : i + 1])
        assert respond == (armed and probability >= 0.3)
        differed |= respond != (probability >= 0.3)
        armed = probability <= 0.1 or (armed and not respond)
        waits.cancel()
        assert free.drain(vectors[i : i + 1])[0] == (free._turns[-1].tokens[0] == decoder_half.protocol.response)
        free.cancel()
    assert differed


def test_sampling_is_seeded_and_stays_within_the_protocol(decoder_half, vectors):
    def said(seed, temperature=2.0):
        session = make_session(decoder_half, ALWAYS, 12, temperature=temperature, seed=seed)
        session.drain(vectors[:1])
        tokens = []
        while session.responding:
            tokens.append(session.next_token())
        return tokens

    assert said(1) == said(1)
    assert len({tuple(said(seed)) for seed in range(5)}) > 1
    assert said(1, 0.0) == said(2, 0.0)
    special = decoder_half.protocol.special_ids()
    for seed in range(20):
        first, *rest, last = said(seed)
        assert last == decoder_half.protocol.eos
        assert not special & set(rest)
        assert max(rest, default=0) < decoder_half.tokenizer.get_vocab_size()
        assert first not in special or first in decoder_half.protocol.emotions.values()


def test_the_event_head_hears_the_last_eight_chunks_and_changes_nothing_else(decoder_half, eventful_half, vectors):
    with_head, without = make_session(eventful_half, NEVER, events=EVENTS), make_session(decoder_half, NEVER)
    head, at = eventful_half.language_model.event_head, 0
    for count in (1, 2, 4, 1, 3):
        at += count
        chunks = vectors[at - count : at]
        assert with_head.drain(chunks) == without.drain(chunks)
        lately = [torch.stack(vectors[max(0, at - last) : at]) for last in (3, 8)]
        given = [torch.stack([chunk.mean(0) for chunk in of]).mean(0) for of in lately]
        highest = [of.flatten(0, 1).amax(0) for of in lately]
        pooled = torch.cat([given[0], highest[0], given[1], highest[1]])
        expected = head.out(head.hidden((pooled - head.mean) / head.deviation).relu()).softmax(0)
        heard = with_head.sounding
        assert torch.allclose(heard.probabilities, expected, atol=1e-5)
        assert heard.likeliest == ([None, *EVENTS.names])[int(expected.argmax())]
        assert heard.warning == pytest.approx(float(expected[1] + expected[4]), abs=1e-5)
    assert without.sounding is None
    with_head.reset()
    with_head.drain(vectors[:1])  # of what was heard before nothing is left
    alone = head(head.pooled(head.summary(vectors[0])[None])).softmax(0)
    assert torch.allclose(with_head.sounding.probabilities, alone, atol=1e-5)


@pytest.mark.parametrize(
    ('tokens', 'looped'),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], False),
        ([5, 5, 5, 5], False),  # "no, no, no, no" is still speech
        ([9, 5, 5, 5, 5, 5, 5, 5, 5], True),
        ([1, 2] * 3, False),
        ([7, 8] + [1, 2] * 4, True),
        ([1, 2] * 4 + [3], False),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 4, True),
        (list(range(9)) * 4, False),  # longer than any loop that was seen
    ],
)
def test_going_round_in_circles_is_noticed(tokens, looped):
    assert is_decoding_loop(tokens) == looped


def test_a_full_cache_ends_the_response_and_listening_goes_on(decoder_half, vectors):
    """As little room as a model of few positions has."""
    engine = Engine(decoder_half.language_model)
    prefix = decoder_half.instruction_prefix('Warn.')
    engine.config = engine.config.model_copy(update={'max_position_embeddings': len(prefix) + 60})
    settings = SessionSettings(ALWAYS, MAX_CONTEXT_CHUNKS, max_response_tokens=200)
    session = Session(engine, decoder_half.protocol, prefix, decoder_half.tokenizer.get_vocab_size(), settings)
    for i in range(12):
        session.drain(vectors[i : i + 1])
        while session.responding:
            session.next_token()
    assert session.compactions


def test_after_a_reset_a_session_is_as_new(decoder_half, vectors):
    session = make_session(decoder_half, NEVER)
    first = session.drain(vectors[:1])
    session.drain(vectors[1:3])
    session.reset()
    assert session.context_chunks == 0
    assert session.drain(vectors[:1]) == first


def test_settings_change_one_by_one_and_another_seed_draws_as_it_would_have_from_the_start(decoder_half, vectors):
    changed, fresh = (make_session(decoder_half, ALWAYS, 12, temperature=2.0, seed=seed) for seed in (1, 2))
    changed.drain(vectors[:1])
    changed.next_token()
    changed.cancel()
    changed.change(seed=2)
    changed.change(max_response_tokens=8)
    fresh.change(max_response_tokens=8)
    assert changed.settings == fresh.settings
    changed.reset()
    said = []
    for session in (changed, fresh):
        session.drain(vectors[:1])
        tokens = []
        while session.responding:
            tokens.append(session.next_token())
        said.append(tokens)
    assert said[0] == said[1]
    assert len(said[0]) <= 9


@pytest.mark.parametrize('kept', [0, 2, 6])
def test_of_a_response_only_what_was_spoken_stays_in_the_context_and_what_came_after_it_does(any_half, vectors, kept):
    """The tokens of a whole response and the silence after it are read as if it had ended where it was broken off."""
    protocol = any_half.protocol
    session, reference = make_session(any_half, ALWAYS), Reference(any_half)
    session.drain(vectors[:2], mark='a')
    assert not session.written('a')
    with pytest.raises(RuntimeError, match='during a response'):
        session.keep_spoken('a', kept)
    while session.responding:
        session.next_token()
    written = session.written('a')
    assert len(written) == 6 and not session.written('b') and not session.written(None)
    session.change(response_threshold=NEVER)
    session.drain(vectors[2:3], mark='b')
    assert session.keep_spoken('a', kept) and not session.keep_spoken('b', kept)
    _, probability = session.drain(vectors[3:4])
    reference.add_chunks(vectors[:2])
    reference.add_tokens([protocol.response, *written[:kept], protocol.eos] if kept else [protocol.silent])
    for chunk in vectors[2:4]:
        reference.add_chunks([chunk])
        after = reference.p_response()
        reference.add_tokens([protocol.silent])
    assert probability == pytest.approx(after, abs=1e-5)
    assert session.written('a') == written[:kept]
