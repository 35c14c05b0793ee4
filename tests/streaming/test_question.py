"""A question is answered when all was heard, like a full pass over the same tokens, and beside a stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.model.checkpoint import load_encoder
from audio_interaction_ros.model.stock import stock_model
from audio_interaction_ros.streaming.context import DigitalContext
from audio_interaction_ros.streaming.loop import Decision, listen
from audio_interaction_ros.streaming.question import Question, QuestionError
from tests.tiny_checkpoint import MAX_CONTEXT_CHUNKS

SOUND = np.random.default_rng(3).normal(0, 0.1, 3 * 6_400 - 100).astype(np.float32)


@pytest.fixture(scope='module')
def halves(tiny_checkpoint, decoder_half):
    return load_encoder(tiny_checkpoint), decoder_half


def full_pass(question: Question, half, ids: list[int]) -> torch.Tensor:
    """Logits of the whole sequence at once, [positions, vocabulary], `ids` after everything that was heard."""
    model, protocol = stock_model(half.language_model), half.protocol
    embed = model.get_input_embeddings()
    parts = [embed(torch.tensor(question._prefix))]
    for chunk in question._vectors:
        parts += [embed(torch.tensor([protocol.chunk_begin])), chunk, embed(torch.tensor([protocol.chunk_end]))]
    parts.append(embed(torch.tensor([protocol.response, *ids])))
    with torch.inference_mode():
        return model(inputs_embeds=torch.cat(parts)[None]).logits[0]


def test_options_are_as_likely_as_one_full_pass_says(halves):
    encoder, half = halves
    question = Question.about(encoder, half, SOUND, 'Which is it?')
    options = question.choose(['a dog', 'fire', 'the kettle'])
    protocol, vocabulary = half.protocol, half.tokenizer.get_vocab_size()
    for option in options:
        ways = []
        for tag in [[], *([id_] for id_ in protocol.emotions.values())]:
            ids = [*tag, *half.tokenizer.encode(option.text, add_special_tokens=False).ids, protocol.eos]
            logits = full_pass(question, half, ids)[-len(ids) - 1 : -1]
            spoken = torch.ones(logits.shape[1], dtype=torch.bool)
            spoken[list(protocol.special_ids() - {protocol.eos} - set(protocol.emotions.values()))] = False
            spoken[vocabulary:] = False
            likely = logits.masked_fill(~spoken, -torch.inf).log_softmax(-1)
            ways.append(likely[torch.arange(len(ids)), torch.tensor(ids)].sum())
        assert option.log_likelihood == pytest.approx(float(torch.logsumexp(torch.stack(ways), 0)), abs=1e-3)
    assert [o.log_likelihood for o in options] == sorted((o.log_likelihood for o in options), reverse=True)
    assert sum(o.share for o in options) == pytest.approx(1.0)


def test_what_is_asked_and_in_which_words_changes_the_answer_and_asking_again_does_not(halves):
    encoder, half = halves
    question = Question.about(encoder, half, SOUND, 'What is it?')
    first = question.choose(['a dog', 'fire'])
    assert question.choose(['a dog', 'fire']) == first
    assert Question.about(encoder, half, SOUND, 'Who speaks?').choose(['a dog', 'fire']) != first
    assert Question.about(encoder, half, SOUND[::-1].copy(), 'What is it?').choose(['a dog', 'fire']) != first
    assert question.answer(8) == question.answer(8)


def test_a_question_with_a_context_is_as_if_that_stood_in_the_question(halves):
    encoder, half = halves
    known = DigitalContext({'place': '<|eos|>'})
    beside = Question.about(encoder, half, SOUND, 'Where is it?', context=known)
    assert half.tokenizer.decode(beside._prefix[4:-1]) == 'Where is it?\nContext: {"place": "<|eos|>"}'
    plain = DigitalContext({'place': 'kitchen'})
    beside, within = (
        Question.about(encoder, half, SOUND, text, context=context)
        for text, context in (('Where?', plain), (f'Where?{plain.behind}', None))
    )
    assert beside.choose(['a dog', 'fire']) == within.choose(['a dog', 'fire'])
    assert beside.choose(['a dog', 'fire']) != Question.about(encoder, half, SOUND, 'Where?').choose(['a dog', 'fire'])


def test_an_answer_is_cut_off_at_its_limit_and_says_so(halves):
    encoder, half = halves
    question = Question.about(encoder, half, SOUND, 'What is it?')
    answer = question.answer(max_tokens=3)
    assert not answer.complete or len(half.tokenizer.encode(answer.text).ids) <= 3


def test_a_stream_goes_on_undisturbed(halves):
    encoder, half = halves
    sound = np.random.default_rng(4).normal(0, 0.1, 8 * 6_400).astype(np.float32)

    def decisions(ask: bool) -> list[tuple[float, bool]]:
        found = []
        for event in listen(encoder, half, sound):
            if isinstance(event, Decision):
                found.append((event.probability, event.respond))
                if ask:
                    Question.about(encoder, half, SOUND, 'What is it?').answer(4)
        return found

    assert decisions(ask=True) == decisions(ask=False)


@pytest.mark.parametrize(
    ('seconds', 'language', 'sentence'),
    [
        (0, 'english', 'the recording is empty; give one with sound in it'),
        (
            0.4 * (MAX_CONTEXT_CHUNKS + 1),
            'english',
            's of sound found, at most .*; give a part of it',
        ),
        (1, 'klingon', "language 'klingon' found; give one of "),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(halves, seconds, language, sentence):
    samples = np.zeros(int(seconds * 16_000), np.float32)
    with pytest.raises(QuestionError, match=sentence):
        Question.about(*halves, samples, 'What is it?', language)


def test_there_must_be_something_to_choose(halves):
    question = Question.about(*halves, SOUND, 'Which?')
    for options in (['a dog'], ['a dog', 'a dog']):
        with pytest.raises(QuestionError, match='give at least two, all different'):
            question.choose(options)
