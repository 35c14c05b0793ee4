"""One source of embeddings in the decoder: its topics, queue, session, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event

from std_msgs.msg import String
from std_srvs.srv import Trigger

from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.msg import Decision as DecisionMessage
from audio_interaction_ros.msg import Response as ResponseMessage
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import EmbeddingError, EmbeddingSpec, chunk_of
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import decision_message, response_message, wire_text
from audio_interaction_ros.nodes.own_voice import OwnVoiceTopics
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.nodes.question_service import QuestionService
from audio_interaction_ros.nodes.told_topics import ToldTopics
from audio_interaction_ros.nodes.tool_calls import ToolCalls
from audio_interaction_ros.streaming.asking import Questions, RecentChunks, Reply
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.gap_counter import GapCounter
from audio_interaction_ros.streaming.lateness import LATE_S, Lateness
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response
from audio_interaction_ros.streaming.session import Session
from audio_interaction_ros.tool_use.declared import Tools


class EmbeddingSource:
    """An `EmbeddingSource` is one microphone's vectors in the decoder: their queue, their session, and the answers.

    `source` is a namespace, '' for the node's own: left/ai/embeddings is answered on left/ai/response.
    """

    def __init__(
        self,
        node: ManagedNode[DecoderParameters],
        source: str,
        half: DecoderHalf,
        session: Session,
        spec: EmbeddingSpec,
        digest: str,
        questions: Questions,
        arrived: Callable[[], None],
        tools: Tools | None = None,
    ) -> None:
        """Make the topics and the services; call in `setup`. `arrived` is called when there is something new to do.

        `tools`: what the model may call; the session must have been made for them.
        """
        self._node, self._source, self._half, self._session = node, source, half, session
        self._spec, self._digest, self._arrived = spec, digest, arrived
        within = f'{source}/' if source else ''
        # More than a session reads at once would only be dropped when it does.
        self.queue = ChunkQueue(min(node.parameters.queue_max_chunks, session.longest_drain))
        self._loop: ListeningLoop | None = None
        self.cut_short_count = 0  # responses that ended before they were complete
        self._frequency = node.diagnostics.frequency_of(f'{within}ai/decision')
        self._decisions = node.create_publisher(DecisionMessage, f'{within}ai/decision', qos.EVENTS)
        self._responses = node.create_publisher(ResponseMessage, f'{within}ai/response', qos.EVENTS)
        self._texts = node.create_publisher(String, f'{within}ai/response_text', qos.EVENTS)
        self._forgetting, self._cancelling = Event(), Event()
        node.create_service(Trigger, f'{within}ai/cancel', self._on_cancel)
        self._questions, self._recent = questions, RecentChunks(session.settings.max_context_chunks)
        listed = tools.behind if tools and node.parameters.tell_tools else ''
        self.told_topics = ToldTopics(node, within, half, session, arrived, listed)
        self.tool_calls = ToolCalls(node, within, tools, self.told_topics) if tools else None
        self._question_service = QuestionService(
            node, source, within, self._recent, questions, arrived, self.told_topics.told
        )
        self._listening = Listening(node, self._forget, within)
        self._own_voice = OwnVoiceTopics(node, within, self._on_broken_off)
        node.create_subscription(AudioEmbedding, f'{within}ai/embeddings', self._on_embedding, qos.EMBEDDINGS)
        self.gaps, self._lateness, self._real_lateness = GapCounter(), Lateness(), Lateness()

    def start(self) -> ListeningLoop:
        """Return a fresh loop, whatever was heard before."""
        self._session.reset()
        self._recent.forget()
        self._loop = loop = ListeningLoop(
            self.queue, self._session, self._half, told=self.told_topics.told, own_voice=self._own_voice.heard
        )
        self.gaps, self._lateness, self._real_lateness = GapCounter(), Lateness(), Lateness()
        self.apply()
        self._frame_id = ''
        self._said = ('', '')
        return loop

    def stop(self) -> None:
        """Forget everything and publish the end of the response that this cuts short, if one was under way."""
        self.queue.flush()
        self._recent.forget()
        if self._loop is not None and (cut_short := self._loop.forget()):
            self.publish(cut_short)
        self._loop = None

    def apply(self) -> None:
        """Take the live parameters, from the next decision on."""
        given = self._node.parameters
        self._session.change(
            response_threshold=given.response_threshold or None,
            rearm_below=given.rearm_below,
            temperature=given.temperature,
            seed=given.seed,
            max_response_tokens=given.max_response_tokens,
        )
        self.queue.resize(min(given.queue_max_chunks, self._session.longest_drain))
        self.told_topics.apply()
        if self._loop is not None:
            self._loop.max_response_s, self._loop.preempt = given.max_response_s, given.preempt

    @property
    def chunks_lost(self) -> int:
        """Return how many chunks of the stream were lost before a decision."""
        return self.gaps.lost(self.queue.dropped)

    @property
    def held_back(self) -> int:
        """Return how many responses were held back because they may have been to its own voice."""
        return 0 if self._loop is None else self._loop.held_back

    @property
    def session(self) -> Session:
        """Return the session that hears this source."""
        return self._session

    def cut_short(self) -> Response | None:
        """Do what the switch or ai/cancel asked for and return the last message of the response that it ends, if any.

        To be called in the thread that writes the response.
        """
        if self._loop is None:
            return None
        if self._forgetting.is_set():
            self._forgetting.clear()
            return self._loop.forget()
        if self._cancelling.is_set():
            self._cancelling.clear()
            return self._loop.cancel()
        return None

    def publish(self, event: Decision | Response) -> None:
        """Publish a decision or a response on this source's topics."""
        if isinstance(event, Decision):
            self._publish_decision(event)
        else:
            self._publish_response(event)

    def reply(self, reply: Reply) -> None:
        """Publish what is said to a question about this source."""
        self._question_service.publish(reply, self._frame_id)

    def _forget(self) -> None:
        """Nothing of before a pause is answered after it."""
        self.queue.flush()
        self._recent.forget()
        self._questions.fail('the microphone was switched off; ask again when it is on', self._source)
        self._forgetting.set()
        self._arrived()

    def _on_cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._session.responding
        if response.success:
            self._cancelling.set()
            response.message = 'the response ends with its next word'
        else:
            response.message = 'no response is under way'
        return response

    def _on_broken_off(self, stream_id: int, trigger_chunk: int, said: str) -> None:
        """Of what was broken off only what was spoken is remembered."""
        if self._loop is not None:
            self._loop.broken_off(stream_id, trigger_chunk, said)
            self._arrived()

    def _on_embedding(self, message: AudioEmbedding) -> None:
        if not self._listening.on:
            return
        trouble = self._node.diagnostics.trouble
        try:
            chunk = chunk_of(message, self._spec)
        except EmbeddingError as error:
            trouble(f'refused_{error.kind}', f'embedding refused: {error}')
            return
        dropped = self.queue.dropped
        lost = self.gaps.lost(dropped)
        if not self.gaps.arrived(chunk, dropped):
            trouble(
                'refused_order',
                'embedding refused: older than the one before it; end all but one node that publishes ai/embeddings',
            )
            return
        self._frame_id = message.header.frame_id
        late_s = self._late_s(chunk)
        self._recent.push(chunk)
        self.queue.push(chunk, late=late_s > LATE_S)
        if late_s > LATE_S:
            trouble('late_chunks', self._why_late(late_s))
        self._arrived()
        missing = self.chunks_lost - (lost if chunk.index else 0)
        if missing > 0:
            trouble(
                'lost_chunks',
                'sound was lost; use a faster machine where dropped_chunks counts it, else do what chunk_encoder says',
                missing,
            )

    def _late_s(self, chunk: EncodedChunk) -> float:
        """By whichever clock it is less: a real microphone beside simulated time is not late when that runs fast."""
        late_s = self._lateness.late_s(chunk, self._node.steady_s())
        return min(late_s, self._real_lateness.late_s(chunk, time.monotonic()))

    def _why_late(self, late_s: float) -> str:
        growth = min(self._lateness.growth, self._real_lateness.growth)
        if growth > 0:
            return (
                f'sound comes ever later, {late_s:.1f} s by now and {growth:.2f} s more every second: it is encoded or '
                'sent more slowly than it is captured; do what chunk_encoder says, or let the driver send in real time'
            )
        return (
            f'sound comes {late_s:.1f} s late, because something before the decoder stood still; it is decided on when '
            'it has caught up'
        )

    def _publish_decision(self, decision: Decision) -> None:
        self._node.diagnostics.computed(decision.compute_time_s)
        self._frequency.tick()
        self._decisions.publish(
            decision_message(decision, self._frame_id, len(self.queue), self.chunks_lost, self._digest)
        )

    def _publish_response(self, response: Response) -> None:
        said = (response.text, response.emotion)
        if said == self._said and not response.final:
            return  # half of a character: nothing new to show
        self._said = said
        now_ns = self._node.get_clock().now().nanoseconds
        if response.call and response.final:
            response = replace(response, emotion='normal')  # a call says nothing, and so no hazard, whatever its tag
        self._responses.publish(response_message(response, self._frame_id, now_ns))
        if response.call:
            if response.final and not response.cancelled and self.tool_calls is not None:
                self.tool_calls.publish(response, self._frame_id)
        elif response.final and not response.cancelled:
            self._texts.publish(String(data=wire_text(response.text)))
        if response.final:
            self._said = ('', '')
            self.cut_short_count += response.cancelled
