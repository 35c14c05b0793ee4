"""ai/ask beside a stream: what is decided stays as it is, and every accepted question ends with a message."""

from __future__ import annotations

import time

import pytest
import torch
from std_msgs.msg import Bool, String

from audio_interaction_ros.msg import Answer, AudioEmbedding, Decision
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.decoder import DecoderNode
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.srv import Ask, CancelQuestion
from audio_interaction_ros.streaming.context import DigitalContext
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision as LoopDecision
from audio_interaction_ros.streaming.loop import ListeningLoop, make_session
from audio_interaction_ros.streaming.question import Question
from tests.tiny_checkpoint import DIM

pytestmark = pytest.mark.system

LONG = ['a' * 200, 'b' * 200]  # options of 200 tokens each: more than a thousand passes


def vectors(index):
    return torch.randn(10, DIM, generator=torch.Generator().manual_seed(index))


class Asked:
    """A decoder, fed chunk by chunk, and whoever asks it."""

    def __init__(self, in_process, checkpoint, half, **parameters):
        self.it = in_process(DecoderNode, checkpoint=checkpoint, **parameters)
        assert self.it.node.autostart()
        self.digest = half.config.encoder_digest
        self.decisions = self.it.hear(Decision, 'ai/decision', qos.EVENTS)
        self.answers = self.it.hear(Answer, 'ai/answer', qos.EVENTS)
        self.embeddings = self.it.talk(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self.asking = self.it.beside.create_client(Ask, 'ai/ask')
        self.cancelling = self.it.beside.create_client(CancelQuestion, 'ai/cancel_question')
        self.it.until(lambda: self.asking.service_is_ready() and self.cancelling.service_is_ready())
        self.fed = 0

    def feed(self):
        """One more chunk, decided on."""
        chunk = EncodedChunk(1, self.fed, self.fed * 6_400, 0, time.time_ns() - 400_000_000, -30.0, vectors(self.fed))
        self.embeddings.publish(embedding_message(chunk, self.digest, 'mic'))
        self.fed += 1
        self.it.until(lambda: len(self.decisions) == self.fed)

    def call(self, client, request):
        future = client.call_async(request)
        self.it.until(future.done)
        return future.result()

    def ask(self, question='What is it?', **more):
        return self.call(self.asking, Ask.Request(question=question, **more))

    def last(self, id_):
        """The last message of an answer."""
        over = []
        self.it.until(lambda: over.extend(a for a in self.answers if a.id == id_ and a.state) or over)
        return over[0]


def slowed(asked, monkeypatch, seconds):
    """Every pass for a question takes so long."""
    engine = asked.it.node._questions._engine
    forward = engine.forward

    def slow(caches, embedded):
        time.sleep(seconds)
        return forward(caches, embedded)

    monkeypatch.setattr(engine, 'forward', slow)


def alone(half, chunks):
    """P(response) of every decision of the same stream that nobody asks anything."""
    queue = ChunkQueue(8)
    loop = ListeningLoop(queue, make_session(half), half)
    found = []
    for index in range(chunks):
        queue.push(EncodedChunk.unbroken(index, vectors(index), stream_id=1))
        found += [event for event in loop.run_until_idle() if isinstance(event, LoopDecision)]
    return [(event.respond, pytest.approx(event.probability, abs=1e-7)) for event in found]


def test_it_answers_from_what_was_heard_and_decides_as_if_nobody_had_asked(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    asked = Asked(in_process, tiny_checkpoint, decoder_half, max_questions=1)
    for _ in range(4):
        asked.feed()
    with monkeypatch.context() as slowly:
        slowed(asked, slowly, 0.03)
        long = asked.ask(options=LONG)
        for _ in range(3):
            asked.feed()
        refused = asked.ask()
        assert asked.call(asked.cancelling, CancelQuestion.Request()).success
        assert asked.last(long.id).state == Answer.CANCELLED
    accepted = asked.ask(max_tokens=40, seconds=1.2)
    final = asked.last(accepted.id)
    asked.feed()
    assert accepted.accepted and accepted.heard_s == pytest.approx(1.2)
    assert accepted.message == 'asked about the last 1.2 s; the answer comes on ai/answer'
    assert not refused.accepted and '1 questions are open, at most 1 are allowed' in refused.message
    question = Question(decoder_half, [vectors(index) for index in (4, 5, 6)], 'What is it?')
    expected = question.answer(40)
    assert (final.state, final.text, final.emotion) == (Answer.FINAL, expected.text.replace('\0', ''), expected.emotion)
    assert (final.question, final.complete, final.header.frame_id) == ('What is it?', expected.complete, 'mic')
    growing = [answer.text for answer in asked.answers if answer.state == Answer.WRITING]
    assert growing and all(final.text.startswith(text) for text in growing)
    assert [(bool(d.decision), d.probability) for d in asked.decisions] == alone(decoder_half, 8)
    chosen = asked.last(asked.ask('Which?', options=['a dog', 'fire']).id)
    assert chosen.text == chosen.options[0] and sum(chosen.probabilities) == pytest.approx(1)
    measured = asked.it.node.measurements()
    assert (measured['questions_final'], measured['questions_refused'], measured['questions_open']) == (2, 1, 0)
    asked.it.talk(String, 'ai/context', qos.SWITCH).publish(String(data='{"place": "kitchen"}'))
    known = DigitalContext({'place': 'kitchen'})
    asked.it.until(lambda: asked.it.node._sources[''].told_topics.told.known == known)
    knowing = asked.last(asked.ask('Which?', options=['a dog', 'fire'], seconds=1.2).id)
    question = Question(decoder_half, [vectors(index) for index in (5, 6, 7)], 'Which?', context=known)
    expected = [option.log_likelihood for option in question.choose(['a dog', 'fire'])]
    assert list(knowing.log_likelihoods) == pytest.approx(expected, abs=1e-3)


@pytest.mark.cures('ask again when it is on', 'ask again when it is active', 'the decoder is not active; activate it')
def test_a_question_ends_when_it_is_cancelled_when_the_microphone_is_off_and_when_the_node_stops(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    asked = Asked(in_process, tiny_checkpoint, decoder_half)
    switch = asked.it.talk(Bool, 'ai/listening', qos.SWITCH)
    asked.feed()
    slowed(asked, monkeypatch, 0.03)
    first, second = asked.ask(options=LONG).id, asked.ask(options=LONG).id
    assert asked.call(asked.cancelling, CancelQuestion.Request(id=first)).success
    cancelled = asked.last(first)
    assert (cancelled.state, cancelled.reason) == (Answer.CANCELLED, 'it was cancelled by request')
    again = asked.call(asked.cancelling, CancelQuestion.Request(id=first))
    assert (again.success, again.message) == (False, 'there is no such open question')

    switch.publish(Bool(data=False))
    failed = asked.last(second)
    assert (failed.state, failed.complete) == (Answer.FAILED, False)
    assert failed.reason == 'the microphone was switched off; ask again when it is on'
    assert asked.ask().message == 'nothing was heard yet; ask when ai/decision comes'
    switch.publish(Bool(data=True))
    asked.it.until(lambda: asked.it.node._sources['']._listening.on)
    asked.feed()

    third = asked.ask(options=LONG).id
    asked.it.node.trigger_deactivate()
    assert asked.last(third).reason == 'the decoder was deactivated; ask again when it is active'
    refused = asked.ask()
    assert (refused.accepted, refused.message) == (False, 'the decoder is not active; activate it')
    asked.it.node.trigger_activate()
    asked.feed()
    fourth = asked.ask(max_tokens=2)
    assert asked.last(fourth.id).state == Answer.FINAL
