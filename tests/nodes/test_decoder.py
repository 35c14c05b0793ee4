"""A response under way gets its final message, whatever ends it."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from audio_interaction_ros.msg import AudioEmbedding, Decision, Response, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.decoder import DecoderNode
from audio_interaction_ros.nodes.embeddings import embedding_message
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
    talking.it.until(lambda: any(each.isalnum() for each in responses[-1].text))
    said, id = responses[-1].text, responses[-1].id
    for other in ('say-1', f'{id}0', id):
        assert not responses[-1].final
        speaking.publish(Speaking(id=other, said=said, broken_off=True))
    talking.it.until(lambda: responses[-1].final)
    assert responses[-1].cancelled
    session = talking.it.node._sources[''].session

    def remembered():
        return decoder_half.tokenizer.decode(session.written((1, index)))

    talking.it.until(lambda: remembered() and len(remembered()) < len(responses[-1].text) + 1)
    letters = [''.join(filter(str.isalnum, text)) for text in (remembered(), said)]
    assert letters[0] == letters[1]
