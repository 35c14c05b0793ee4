"""A response under way gets its final message, whatever ends it."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header

from audio_interaction_ros.msg import AudioEmbedding, Decision, Response, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.decoder import DecoderNode
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.nodes.messages import stamp_of
from audio_interaction_ros.streaming.fifo import EncodedChunk
from tests.tiny_checkpoint import DIM

pytestmark = pytest.mark.system


class Talking:
    """A decoder in the middle of a response, in which its model stands still until it is `going`, or deactivated."""

    def __init__(self, in_process, checkpoint, half, monkeypatch, sources=('',)):
        self.it = in_process(DecoderNode, checkpoint=checkpoint, sources=list(sources))
        assert self.it.node.autostart()
        self.digest = half.config.encoder_digest
        self.heard = {
            source: (
                self.it.hear(Decision, f'{source}/ai/decision'.lstrip('/'), qos.EVENTS),
                self.it.hear(Response, f'{source}/ai/response'.lstrip('/'), qos.EVENTS),
                self.it.talk(AudioEmbedding, f'{source}/ai/embeddings'.lstrip('/'), qos.EMBEDDINGS),
            )
            for source in sources
        }
        self.fails, self.going = False, threading.Event()
        self.going.set()
        node, engine, forward = self.it.node, self.it.node._engine, self.it.node._engine.forward

        def faulty(caches, embedded):
            while any(source._said != ('', '') for source in node._sources.values()):  # a response has begun
                if self.going.wait(0.02) or not node.active:
                    time.sleep(0.02)  # a response takes a second, and not less than a message on its way
                    break
            if self.fails:
                self.fails = False
                raise RuntimeError('CUDA error: an illegal memory access was encountered')
            return forward(caches, embedded)

        monkeypatch.setattr(engine, 'forward', faulty)

    def feed(self, index, stream_id=1, source=''):
        vectors = torch.randn(10, DIM, generator=torch.Generator().manual_seed(index))
        chunk = EncodedChunk(stream_id, index, index * 6_400, 0, time.time_ns() - 400_000_000, -30.0, vectors)
        self.heard[source][2].publish(embedding_message(chunk, self.digest, 'mic'))

    def make_it_respond(self, source=''):
        decisions, responses, _ = self.heard[source]
        self.going.clear()
        for index in range(20):
            self.feed(index, source=source)
            self.it.until(lambda index=index: len(decisions) > index)
            if decisions[-1].decision == Decision.RESPONSE:
                self.it.until(lambda: responses)
                if not responses[-1].final:
                    return index
                responses.clear()
        pytest.fail('the tiny checkpoint should have said something')


def test_a_model_that_fails_in_a_response_ends_it_with_a_final_message_and_listening_goes_on(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    talking = Talking(in_process, tiny_checkpoint, decoder_half, monkeypatch)
    decisions, responses, _ = talking.heard['']
    index = talking.make_it_respond()
    said = responses[-1].text
    talking.fails = True
    talking.going.set()
    talking.it.until(lambda: responses[-1].final)
    assert responses[-1].cancelled
    assert responses[-1].text.startswith(said)
    count = len(decisions)
    talking.feed(index + 1)
    talking.it.until(lambda: len(decisions) > count)


def test_deactivated_in_a_response_it_ends_it_with_a_final_message(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    talking = Talking(in_process, tiny_checkpoint, decoder_half, monkeypatch)
    responses = talking.heard[''][1]
    talking.make_it_respond()
    talking.it.node.trigger_deactivate()
    talking.it.until(lambda: responses[-1].final)
    assert responses[-1].cancelled
    talking.it.node.trigger_cleanup()
    assert not hasattr(talking.it.node, '_engine'), 'the model would stay in memory beside the next one'


def test_a_response_that_the_speaker_breaks_off_ends_and_only_what_was_spoken_is_remembered(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    talking = Talking(in_process, tiny_checkpoint, decoder_half, monkeypatch)
    _, responses, _ = talking.heard['']
    speaking = talking.it.talk(Speaking, 'ai/speaking', qos.SWITCH)
    index = talking.make_it_respond()
    talking.going.set()
    talking.it.until(lambda: any(each.isalnum() for each in responses[-1].text))
    talking.going.clear()
    said, id = responses[-1].text, responses[-1].id
    for other in ('say-1', f'{id}0', id):
        assert not responses[-1].final
        speaking.publish(Speaking(id=other, said=said, broken_off=True))
    talking.it.spin(0.3)
    talking.going.set()
    talking.it.until(lambda: responses[-1].final)
    assert responses[-1].cancelled
    session = talking.it.node._sources[''].session

    def remembered():
        return decoder_half.tokenizer.decode(session.written((1, index)))

    talking.it.until(lambda: remembered() and len(remembered()) < len(responses[-1].text) + 1)
    letters = [''.join(filter(str.isalnum, text)) for text in (remembered(), said)]
    assert letters[0] == letters[1]


def test_while_it_speaks_only_what_is_urgent_is_answered_until_somebody_talks_or_the_speaker_dies(
    in_process, tiny_checkpoint, decoder_half, monkeypatch
):
    talking = Talking(in_process, tiny_checkpoint, decoder_half, monkeypatch)
    it, (decisions, responses, _) = talking.it, talking.heard['']
    for name, value in (('response_threshold', 0.001), ('max_response_tokens', 6)):
        it.node.set_parameters([Parameter(name, value=value)])
    speaking = it.talk(Speaking, 'ai/speaking', qos.SWITCH)
    free, voice = it.talk(Bool, 'ai/echo_free', qos.LATCHED), it.talk(Bool, 'ai/voice', qos.EVENTS)
    own_voice = it.node._sources['']._own_voice.heard

    def answered(index):
        before = len(decisions)
        talking.feed(index)
        it.until(lambda: len(decisions) > before)
        if decisions[-1].decision == Decision.SILENT:
            return ''
        it.until(lambda: responses and responses[-1].trigger_chunk == index and responses[-1].final)
        return responses[-1].emotion

    indices = iter(range(100))

    def remarked():
        """Whether one of the next chunks is answered, and not by a warning."""
        return any(answered(next(indices)) not in ('', 'urgent') for _ in range(6))

    assert remarked()
    speaking.publish(Speaking(speaking=True, id='1-0', header=Header(stamp=stamp_of(time.time_ns() - 10**9))))
    it.until(lambda: own_voice._own._spans)
    assert not remarked()
    assert it.node.measurements()['responses_held_back'] > 0
    free.publish(Bool(data=True))
    it.until(lambda: own_voice.echo_free)
    assert not remarked()
    voice.publish(Bool(data=True))
    it.until(lambda: own_voice._others._spans)
    it.spin(0.5)
    assert remarked()
    free.publish(Bool(data=False))
    it.until(lambda: not own_voice.echo_free)
    it.beside.destroy_publisher(speaking)
    it.until(lambda: own_voice._own._spans[-1][1] < float('inf'))
    it.spin(1.0)
    assert remarked()
