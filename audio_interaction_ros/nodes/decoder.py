"""decoder: vectors → decisions and responses, on ai/decision, ai/response and ai/response_text."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from threading import Event

import torch
from std_msgs.msg import String
from std_srvs.srv import Trigger

from audio_interaction_ros.model.checkpoint import digest_of
from audio_interaction_ros.model.precision import open_decoder
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.msg import Decision as DecisionMessage
from audio_interaction_ros.msg import Response as ResponseMessage
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import EmbeddingError, EmbeddingSpec, chunk_of
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import decision_message, response_message, wire_text
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.streaming.fifo import ChunkQueue
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session
from audio_interaction_ros.streaming.losses import LossCounter

_POLL_S = 0.2


class DecoderNode(ManagedNode[DecoderParameters]):
    """Callbacks only queue chunks; a worker thread runs the listening loop and publishes what it says."""

    NAME = 'decoder'

    def setup(self) -> None:
        given = self.parameters
        torch.set_num_threads(given.threads)
        self._half = open_decoder(given.checkpoint, given.device, given.precision)
        self._spec = EmbeddingSpec(self._half.config.encoder_digest, self._half.language_model.config.hidden_size)
        # Of both halves, as evidence of who said something: the encoder's digest, and one of the language model.
        self._digest = f'{self._spec.encoder_digest}-{digest_of(self._half.language_model.state_dict())}'
        # A session reads at most half of its context at once; a longer queue would be dropped there, uncounted.
        readable = self._half.config.streaming.max_context_chunks // 2
        self._queue = ChunkQueue(min(given.queue_max_chunks, readable))
        self._session = make_session(
            self._half,
            given.response_threshold or None,
            given.instruction or None,
            max_response_tokens=given.max_response_tokens,
            rearm_below=given.rearm_below,
            temperature=given.temperature,
            seed=given.seed,
        )
        self._session.drain([torch.zeros(10, self._spec.dim)])  # the first pass is slow: not with the first chunk
        self._decisions = self.publish_on('ai/decision', DecisionMessage, qos.EVENTS)
        self._responses = self.publish_on('ai/response', ResponseMessage, qos.EVENTS)
        self._texts = self.publish_on('ai/response_text', String, qos.EVENTS)
        self._forgetting, self._cancelling = Event(), Event()
        self.serve('ai/cancel', Trigger, self._on_cancel)
        self._listening = Listening(self, self._forget)
        self.listen_to('ai/embeddings', AudioEmbedding, self._on_embedding, qos.EMBEDDINGS)

    def start(self) -> None:
        self._session.reset()
        given = self.parameters
        self._loop = ListeningLoop(self._queue, self._session, self._half, given.max_response_s, given.preempt)
        self._losses = LossCounter()
        self._frame_id = ''
        self._said = ('', '')
        self.work(self._listen_until)

    def stop(self) -> None:
        self._queue.flush()

    def measurements(self) -> Mapping[str, object]:
        return {
            'queue_depth': len(self._queue),
            'dropped_chunks': self._queue.dropped,
            'chunks_lost': self._losses.lost(self._queue.dropped),
            'context_chunks': self._session.context_chunks,
            'context_compactions': self._session.compactions,
        }

    def _forget(self) -> None:
        """Nothing of before a pause is answered after it."""
        self._queue.flush()
        self._forgetting.set()

    def _on_embedding(self, message: AudioEmbedding) -> None:
        if not self._listening.on:
            return
        try:
            chunk = chunk_of(message, self._spec)
        except EmbeddingError as error:
            self.diagnostics.trouble(f'refused_{error.kind}', f'embedding refused: {error}')
            return
        dropped = self._queue.dropped
        lost = self._losses.lost(dropped)
        if not self._losses.arrived(chunk, dropped):
            self.diagnostics.trouble(
                'refused_order', 'embedding refused: older than the one before it; is ai/embeddings published twice?'
            )
            return
        self._frame_id = message.header.frame_id
        self._queue.push(chunk)
        missing = self._losses.lost(self._queue.dropped) - (lost if chunk.index else 0)
        if missing > 0:
            self.diagnostics.trouble('lost_chunks', 'sound was lost; see dropped_chunks and chunk_encoder', missing)

    def _listen_until(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                event = self._cut_short() or self._loop.step()
            except Exception:
                # A model that fails once may work again; the session's cache may be half-written.
                self._session.reset()
                self.diagnostics.trouble(
                    'model_failures', f'the model failed, context dropped: {traceback.format_exc()}'
                )
                continue
            if event is None:
                self._queue.wait(_POLL_S)
            elif isinstance(event, Decision):
                self._publish_decision(event)
            else:
                self._publish_response(event)

    def _cut_short(self) -> Response | None:
        """What was asked for by the switch or by ai/cancel, done in the thread that writes the response."""
        if self._forgetting.is_set():
            self._forgetting.clear()
            return self._loop.forget()
        if self._cancelling.is_set():
            self._cancelling.clear()
            return self._loop.cancel()
        return None

    def _on_cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._session.responding
        if response.success:
            self._cancelling.set()
            response.message = 'the response ends with its next word'
        else:
            response.message = 'no response is under way'
        return response

    def _publish_decision(self, decision: Decision) -> None:
        self.diagnostics.computed(decision.compute_time_s)
        lost = self._losses.lost(self._queue.dropped)
        self._decisions.publish(decision_message(decision, self._frame_id, len(self._queue), lost, self._digest))

    def _publish_response(self, response: Response) -> None:
        said = (response.text, response.emotion)
        if said == self._said and not response.final:
            return  # half of a character: nothing new to show
        self._said = said
        now_ns = self.get_clock().now().nanoseconds
        self._responses.publish(response_message(response, self._frame_id, now_ns))
        if response.final and not response.cancelled:
            self._texts.publish(String(data=wire_text(response.text)))
        if response.final:
            self._said = ('', '')


def main(args: list[str] | None = None) -> int:
    return run(args, DecoderNode)


if __name__ == '__main__':
    sys.exit(main())
