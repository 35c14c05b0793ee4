"""decoder as a process: embeddings in, decisions and responses out; what does not fit is counted and refused."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger

from audio_interaction_ros.msg import AudioEmbedding, Decision, Response
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.nodes.messages import bytes_array, stamp_of, wire_text
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision as LoopDecision
from audio_interaction_ros.streaming.loop import ListeningLoop, make_session
from tests.system.ros import DEADLINE_S, Starvation
from tests.tiny_checkpoint import DIM

pytestmark = pytest.mark.system


def chunk(index, stream_id=1, dropped_before=0):
    vectors = torch.randn(10, DIM, generator=torch.Generator().manual_seed(index))
    return EncodedChunk(stream_id, index, index * 6_400, dropped_before, time.time_ns() - 400_000_000, -30.0, vectors)


def answered(decisions, responses):
    """True when every decision to respond has its response, to the end."""
    ended = {response.trigger_chunk for response in responses if response.final}
    return ended >= {decision.chunk_index for decision in decisions if decision.decision}


class Feeder:
    def __init__(self, ros, process, half):
        self.ros, self.process, self.half = ros, process, half
        self.digest = half.config.encoder_digest
        self.decisions = ros.hear('ai/decision', Decision)
        self.responses = ros.hear('ai/response', Response)
        self.texts = ros.hear('ai/response_text', String)
        self.diagnostics = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
        self.embeddings = ros.talk('ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
        self.stream_id = 0

    def feed(self, index, dropped_before=0, **changes):
        message = embedding_message(chunk(index, self.stream_id, dropped_before), self.digest, 'mic')
        for name, value in changes.items():
            setattr(message, name, value)
        self.embeddings.publish(message)
        self.fed = index

    def begin_stream(self):
        """When nothing more will come of the one before."""
        if self.stream_id:
            self.quiet()
            self.written()
        self.stream_id += 1
        for heard in (self.decisions, self.responses, self.texts):
            heard.clear()

    def make_it_respond(self):
        """A new stream, chunk by chunk until one of them is answered."""
        self.begin_stream()
        for index in range(8):
            self.feed(index)
            self.ros.until(lambda index=index: len(self.decisions) > index, self.process)
            if self.decisions[-1].decision:
                break

    def quiet(self):
        """Until what was fed last is decided on and answered, so that nothing more will be said."""
        self.ros.until(
            lambda: (
                self.decisions
                and self.decisions[-1].chunk_index == self.fed
                and answered(self.decisions, self.responses)
            ),
            self.process,
        )

    def written(self):
        """Until every whole response has come as a text as well: two topics have no common order."""
        whole = [response for response in self.responses if response.final and not response.cancelled]
        self.ros.until(lambda: len(self.texts) >= len(whole), self.process)

    def counter(self, name):
        pairs = [pair for array in self.diagnostics for status in array.status for pair in status.values]
        return max((int(pair.value) for pair in pairs if pair.key == name), default=0)


@pytest.fixture(scope='module')
def feeder(shared_ros, tiny_checkpoint, decoder_half):
    process = shared_ros.start_active('decoder', checkpoint=tiny_checkpoint)
    yield Feeder(shared_ros, process, decoder_half)
    assert process.end() == 0
    assert 'Traceback' not in process.log


def test_it_says_what_the_loop_says(feeder, decoder_half):
    feeder.begin_stream()
    queue = ChunkQueue(8)
    loop = ListeningLoop(queue, make_session(decoder_half), decoder_half)
    decided, said = [], []
    for index in range(6):
        feeder.feed(index)
        queue.push(chunk(index))
        for event in loop.run_until_idle():
            if isinstance(event, LoopDecision):
                decided.append((event.chunk.index, event.respond, pytest.approx(event.probability, abs=1e-4)))
            elif event.final:
                said.append((event.decision.chunk.index, wire_text(event.text), event.emotion))
        feeder.quiet()
    assert [(d.chunk_index, bool(d.decision), d.probability) for d in feeder.decisions] == decided
    finals = [response for response in feeder.responses if response.final]
    assert [(r.trigger_chunk, r.text, r.emotion) for r in finals] == said
    feeder.written()
    assert [text.data for text in feeder.texts] == [text for _, text, _ in said]
    assert said, 'the tiny checkpoint should have said something'
    assert all(0.0 <= response.latency_s < DEADLINE_S for response in feeder.responses)
    assert {decision.chunks_lost for decision in feeder.decisions} == {0}


def test_what_was_lost_is_counted(feeder):
    feeder.begin_stream()
    feeder.feed(0)
    feeder.quiet()
    feeder.feed(3)  # 1 and 2 never came
    feeder.quiet()
    feeder.feed(4, dropped_before=6_401)
    feeder.quiet()
    assert [decision.chunks_lost for decision in feeder.decisions] == [0, 2, 4]


@pytest.mark.cures('end all but one node that publishes ai/embeddings')
@pytest.mark.parametrize(
    ('changes', 'counter', 'sentence'),
    [
        ({'encoder_digest': 'other'}, 'refused_digest', "encoder 'other' found"),
        ({'dtype': 'int8'}, 'refused_dtype', "dtype 'int8' found"),
        ({'tokens': 9}, 'refused_shape', '9 × 32 found'),
        ({'data': bytes_array(b'short')}, 'refused_size', '5 bytes'),
        ({'data': bytes_array(b'\xff' * 1280)}, 'refused_not_finite', 'NaN'),
        ({'chunk_index': 0}, 'refused_order', 'older than the one before'),
    ],
)
def test_an_embedding_that_does_not_fit_is_refused_and_survived(feeder, changes, counter, sentence):
    feeder.begin_stream()
    feeder.feed(0)
    feeder.ros.until(lambda: feeder.decisions, feeder.process)
    feeder.feed(1, **changes)
    feeder.ros.until(lambda: feeder.counter(counter) >= 1, f'{counter} was not counted: {feeder.process.log}')
    feeder.ros.until(lambda: sentence in feeder.process.log, feeder.process)
    feeder.feed(1)
    feeder.ros.until(lambda: feeder.decisions[-1].chunk_index == 1, feeder.process)


@pytest.mark.cures('it is decided on when it has caught up')
def test_what_waited_is_decided_on_with_the_newest(feeder):
    def captured(in_s):
        return Header(stamp=stamp_of(time.time_ns() + round(in_s * 1e9)))

    def in_time():
        """True if the late ones followed each other sooner than the decoder gives up waiting for more, after 0.4 s."""
        feeder.begin_stream()
        feeder.feed(0, header=captured(5.0))
        feeder.quiet()
        fed_s, starved = [], Starvation(feeder.process)
        for index in range(1, 4):  # five seconds later than the one before them
            feeder.feed(index, header=captured(0.0))
            fed_s.append(time.monotonic())
            feeder.ros.spin(0.1)
        feeder.feed(4, header=captured(5.0))
        fed_s.append(time.monotonic())
        feeder.quiet()
        starved_s = starved.seconds
        # To forget that clock.
        assert feeder.ros.change_state('decoder', 'deactivate')
        assert feeder.ros.change_state('decoder', 'activate')
        return max(b - a for a, b in itertools.pairwise(fed_s)) + starved_s < 0.35

    assert any(in_time() for _ in range(30)), 'this machine stands still'
    assert [decision.chunks_drained for decision in feeder.decisions] == [1, 4]
    feeder.ros.until(lambda: feeder.counter('late_chunks') >= 3, feeder.process)


def test_deactivated_it_is_silent_and_activated_it_hears_again(feeder):
    feeder.begin_stream()
    assert feeder.ros.change_state('decoder', 'deactivate')
    feeder.feed(0)
    feeder.ros.taken('decoder')
    assert feeder.ros.change_state('decoder', 'activate')
    feeder.feed(1)
    feeder.ros.until(lambda: feeder.decisions, feeder.process)
    assert feeder.decisions[0].chunk_index == 1


def test_a_response_is_cancelled_by_service_and_listening_goes_on(feeder):
    client = feeder.ros.node.create_client(Trigger, 'ai/cancel')
    feeder.ros.until(client.service_is_ready, feeder.process)

    def cancel():
        answer = client.call_async(Trigger.Request())
        feeder.ros.until(answer.done, feeder.process)
        return answer.result()

    def cancelled():
        """True if a response was under way when the service was called."""
        feeder.make_it_respond()
        answer = cancel()
        feeder.ros.until(lambda: any(response.final for response in feeder.responses), feeder.process)
        last = feeder.responses[-1]
        assert answer.success or not last.cancelled
        return last.cancelled

    assert any(cancelled() for _ in range(30)), 'every response was over before it could be cancelled'
    feeder.quiet()
    assert not feeder.texts
    count = len(feeder.decisions)
    feeder.feed(20)
    feeder.ros.until(lambda: len(feeder.decisions) > count, feeder.process)
    feeder.quiet()
    refused = cancel()
    assert (refused.success, refused.message) == (False, 'no response is under way')
    feeder.ros.node.destroy_client(client)


def test_two_sources_are_heard_apart_by_one_decoder(shared_ros, tiny_checkpoint, decoder_half):
    """Each gets the decisions it would get alone, though their chunks come in turn."""
    given = {'checkpoint': tiny_checkpoint, 'sources': ['left', 'fleet/robot_2']}
    process = shared_ros.start('decoder', '-r', '__node:=both', **given)  # not the one that is there already
    shared_ros.wait_state('both', 'active', process)
    digest = decoder_half.config.encoder_digest
    heard, said, talking, alone = {}, {}, {}, {}
    for number, source in enumerate(('left', 'fleet/robot_2')):
        heard[source] = shared_ros.hear(f'{source}/ai/decision', Decision)
        said[source] = shared_ros.hear(f'{source}/ai/response', Response)
        talking[source] = shared_ros.talk(f'{source}/ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
        queue = ChunkQueue(8)
        loop = ListeningLoop(queue, make_session(decoder_half), decoder_half)
        alone[source] = []
        for index in range(4):
            queue.push(chunk(10 * number + index, 1))
            alone[source] += [e.probability for e in loop.run_until_idle() if isinstance(e, LoopDecision)]
    for index in range(4):
        for number, source in enumerate(heard):
            talking[source].publish(embedding_message(chunk(10 * number + index, 1), digest, 'mic'))
        shared_ros.until(lambda index=index: all(len(d) > index for d in heard.values()), process)
        shared_ros.until(lambda: all(answered(heard[source], said[source]) for source in heard), process)
    for source, decisions in heard.items():
        assert [d.probability for d in decisions] == pytest.approx(alone[source], abs=1e-4)
    assert process.end() == 0


def test_switched_off_it_cuts_its_response_short_and_does_not_speak_it(feeder):
    listening = feeder.ros.talk('ai/listening', Bool, qos.LATCHED)

    def interrupted():
        """True if a response was under way when the switch was heard."""
        listening.publish(Bool(data=True))
        feeder.ros.taken('decoder')
        feeder.make_it_respond()
        listening.publish(Bool(data=False))  # some 60 tokens are still to come
        feeder.ros.until(lambda: any(response.final for response in feeder.responses), feeder.process)
        return feeder.responses[-1].cancelled

    assert any(interrupted() for _ in range(30)), 'every response was over before it could be cut short'
    feeder.ros.spin(0.3)  # for a text that must not come
    assert not feeder.texts
    feeder.decisions.clear()
    feeder.feed(90)
    feeder.ros.taken('decoder')
    listening.publish(Bool(data=True))
    feeder.ros.taken('decoder')
    feeder.stream_id += 1
    feeder.feed(0)
    feeder.ros.until(lambda: feeder.decisions, feeder.process)
    assert feeder.decisions[0].stream_id == feeder.stream_id, 'it answers while it is off'
    assert feeder.decisions[0].checkpoint_digest.startswith(f'{feeder.digest}-')
    feeder.ros.node.destroy_publisher(listening)
