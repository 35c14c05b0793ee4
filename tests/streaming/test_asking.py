"""A question is answered between the decisions, from what was heard, and the stream does not notice."""

from __future__ import annotations

import time

import pytest
import torch

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.asking import LONGEST_PASS, Ask, Questions, QuestionState, RecentChunks
from audio_interaction_ros.streaming.brain import Brain
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, make_session
from audio_interaction_ros.streaming.question import Question, QuestionError
from tests.tiny_checkpoint import DIM, MAX_CONTEXT_CHUNKS


def chunk(index, stream_id=1):
    vectors = torch.randn(10, DIM, generator=torch.Generator().manual_seed(index))
    return EncodedChunk.unbroken(index, vectors, stream_id=stream_id)


class CountingEngine(Engine):
    """An engine that keeps how many positions each pass read, and fails when it is `broken`."""

    broken = False

    def __init__(self, model):
        super().__init__(model)
        self.passes = []

    def forward(self, caches, embedded):
        if self.broken:
            raise RuntimeError('the device is gone')
        self.passes.append(embedded.shape[1])
        return super().forward(caches, embedded)


class Asking:
    """Questions about six chunks of one stream."""

    def __init__(self, half, max_open=2, max_s=60.0, chunks=6):
        self.engine = CountingEngine(half.language_model)
        self.questions = Questions(half, max_open, max_s, self.engine)
        self.recent = RecentChunks(MAX_CONTEXT_CHUNKS)
        for index in range(chunks):
            self.recent.push(chunk(index))

    def ask(self, *given, **more):
        return self.questions.ask('', self.recent, Ask(*given, **more))

    def replies(self):
        """Every reply, until no question is open; none takes more than one pass, and that a short one."""
        found = []
        while self.questions:
            before = len(self.engine.passes)
            reply = self.questions.advance()
            assert len(self.engine.passes) <= before + 1
            found += [reply] if reply else self.questions.ended()
        assert max(self.engine.passes, default=0) <= LONGEST_PASS
        return found


@pytest.fixture
def asking(decoder_half):
    return Asking(decoder_half)


def test_an_answer_in_short_passes_is_that_of_one_pass(asking, decoder_half):
    asked = asking.ask('What is it?', max_tokens=12)
    *growing, final = asking.replies()
    vectors = [chunk(index).vectors for index in range(6)]
    assert final.answer == Question(decoder_half, vectors, 'What is it?').answer(12)
    assert (final.state, final.asked, asked.heard_s) == (QuestionState.FINAL, asked, pytest.approx(2.4))
    assert final.answer.text, 'the tiny checkpoint should have said something'
    assert {reply.state for reply in growing} == {QuestionState.WRITING}
    assert all(final.answer.text.startswith(reply.answer.text) for reply in growing)
    assert len(asking.engine.passes) > 6 * 12 / LONGEST_PASS, 'the sound was to be read in several passes'


def test_the_likeliest_option_about_the_last_seconds_is_that_of_one_pass(asking, decoder_half):
    asked = asking.ask('Which is it?', seconds=1.0, options=['a dog', 'fire', 'rain'])
    (final,) = asking.replies()
    vectors = [chunk(index).vectors for index in (3, 4, 5)]
    expected = Question(decoder_half, vectors, 'Which is it?').choose(['a dog', 'fire', 'rain'])
    assert asked.heard_s == pytest.approx(1.2)
    assert [o.text for o in final.options] == [o.text for o in expected]
    assert [o.share for o in final.options] == pytest.approx([o.share for o in expected], abs=1e-4)
    assert (final.answer.text, final.answer.complete) == (expected[0].text, True)


def run(half, ask):
    """What a stream of sixteen chunks makes of itself, with questions asked, answered and cancelled between."""
    engine = Engine(half.language_model)
    queue, questions = ChunkQueue(8), Questions(half, 2, 60.0)
    brain = Brain(engine, {'': ListeningLoop(queue, make_session(half, engine=engine), half)})
    recent, said, replies = RecentChunks(MAX_CONTEXT_CHUNKS), [], []
    for index in range(16):
        recent.push(chunk(index))
        queue.push(chunk(index))
        if ask and index in (3, 8):
            questions.ask('', recent, Ask('What is it?', max_tokens=6))
            questions.ask('', recent, Ask('Which is it?', options=['a dog', 'fire']))
        if ask and index == 9:
            questions.cancel('')
        while emitted := brain.round():
            event = emitted['']
            said.append(
                (event.chunk.index, event.respond, event.probability)
                if isinstance(event, Decision)
                else (event.text, event.emotion, event.final)
            )
            if ask:  # also in the middle of a response
                replies += filter(None, [questions.advance()])
        replies += questions.ended()
    return said, [reply.state for reply in replies]


def test_decisions_and_responses_before_during_and_after_are_those_of_a_run_without_questions(decoder_half):
    alone, _ = run(decoder_half, ask=False)
    beside, states = run(decoder_half, ask=True)
    assert beside == alone  # to the last bit
    assert {QuestionState.FINAL, QuestionState.CANCELLED} <= set(states)


def test_a_cancelled_question_ends_before_another_pass_and_the_next_is_answered(asking):
    first, second = asking.ask('What is it?'), asking.ask('Who speaks?', max_tokens=4)
    asking.questions.advance()
    passes = len(asking.engine.passes)
    assert asking.questions.cancel('', first.id) == 1
    (ended,) = asking.questions.ended()
    assert (ended.asked, ended.state, len(asking.engine.passes)) == (first, QuestionState.CANCELLED, passes)
    assert not ended.answer.complete
    assert asking.questions.cancel('', first.id) == 0
    assert asking.questions.cancel('left', second.id) == 0, 'the question of another source'
    assert asking.replies()[-1].asked == second


@pytest.mark.cures('wait for an answer, or cancel a question', 'set max_questions above 0')
def test_more_questions_than_are_allowed_are_refused_and_counted(decoder_half):
    asking = Asking(decoder_half, max_open=0)
    with pytest.raises(QuestionError, match='this decoder answers no questions; set max_questions above 0'):
        asking.ask('What is it?')
    asking = Asking(decoder_half, max_open=2)
    for _ in range(2):
        asking.ask('What is it?')
    with pytest.raises(QuestionError, match='2 questions are open, at most 2 are allowed; wait for an answer'):
        asking.ask('What is it?')
    asking.questions.cancel('')
    asking.questions.ended()
    asking.ask('What is it?', max_tokens=2)
    asking.replies()
    assert asking.questions.measurements() == {
        'questions_open': 0,
        'questions_final': 1,
        'questions_cancelled': 2,
        'questions_failed': 0,
        'questions_refused': 1,
    }


@pytest.mark.cures('ask again, and if it fails again')
def test_a_question_that_takes_too_long_or_breaks_the_model_fails_with_a_sentence(decoder_half):
    late = Asking(decoder_half, max_s=0.01)
    late.ask('What is it?')
    time.sleep(0.02)
    (reply,) = late.questions.ended()
    assert reply.reason == 'it was not answered within 0.01 s; ask again, or about fewer seconds'
    broken = Asking(decoder_half)
    broken.engine.broken = True
    broken.ask('What is it?')
    (reply,) = broken.replies()
    assert (reply.state, str(reply.error)) == (QuestionState.FAILED, 'the device is gone')
    assert reply.reason.startswith('the model failed at it; ask again')
    broken.engine.broken = False
    broken.ask('What is it?', max_tokens=2)
    assert broken.replies()[-1].state == QuestionState.FINAL


def test_it_takes_no_more_memory_than_its_answer_may_need(decoder_half):
    question = Question(decoder_half, [chunk(0).vectors], 'What is it?')
    session = question._session(10)
    assert session.cache.capacity < len(question._prefix) + 12 + 10 + 5


@pytest.mark.cures('ask when ai/decision comes')
def test_nothing_is_asked_about_what_was_forgotten(asking):
    assert [each.index for each in asking.recent.last(0.8)] == [4, 5]
    asking.recent.push(chunk(0, stream_id=2))
    assert [each.stream_id for each in asking.recent.last(0)] == [2]
    asking.recent.forget()
    with pytest.raises(QuestionError, match='nothing was heard yet; ask when ai/decision comes'):
        asking.ask('What is it?')
    asking.recent.push(chunk(1, stream_id=2))
    asking.ask('What is it?')


@pytest.mark.cures(
    'ask about fewer, or 0 for all',
    'put it in words',
    'leave it out of the text',
    'at most {_MAX_QUESTION} expected; shorten it',
    'leave out or shorten some',
    'give less, or 0 for',
)
@pytest.mark.parametrize(
    ('given', 'sentence', 'instead'),
    [
        ({'text': ' '}, 'the question is empty; put it in words', {'text': 'What?'}),
        ({'text': 'x' * 1001}, 'a question of 1001 characters found, at most 1000 expected', {'text': 'x' * 1000}),
        ({'text': 'What?<|eos|>'}, "'<|eos|>' found, which is a control token", {'text': 'What?'}),
        ({'seconds': float('nan')}, 'seconds is nan, from 0 to 3.2 are kept', {'seconds': 3.2000000477}),
        ({'seconds': 4.0}, 'seconds is 4, from 0 to 3.2 are kept; ask about fewer, or 0 for all', {'seconds': 0.0}),
        ({'seconds': -1.0}, 'seconds is -1, from 0', {'seconds': 0.1}),
        ({'options': ['a dog']}, 'give at least two, all different', {'options': ['a dog', 'fire']}),
        ({'options': ['a', 'b' * 201]}, 'leave out or shorten some', {'options': ['a', 'b' * 200]}),
        ({'max_tokens': 513}, 'max_tokens is 513, from 1 to 512 expected; give less, or 0 for 64', {'max_tokens': 512}),
        ({'language': 'klingon'}, "language 'klingon' found; give one of english", {'language': 'english'}),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence_and_what_that_says_helps(asking, given, sentence, instead):
    with pytest.raises(QuestionError) as refused:
        asking.ask(**{'text': 'What is it?', **given})
    assert sentence in str(refused.value)
    assert not asking.questions
    asking.ask(**{'text': 'What is it?', **instead})
    assert asking.questions.measurements()['questions_refused'] == 1
