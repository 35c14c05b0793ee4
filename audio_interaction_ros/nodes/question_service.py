"""ai/ask in the decoder: questions about what a source has heard, answered on ai/answer while it listens on."""

from __future__ import annotations

import time
from collections.abc import Callable

from audio_interaction_ros.msg import Answer as AnswerMessage
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import answer_message
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.srv import Ask as AskService
from audio_interaction_ros.srv import CancelQuestion
from audio_interaction_ros.streaming.asking import Ask, Questions, RecentChunks, Reply
from audio_interaction_ros.streaming.question import QuestionError
from audio_interaction_ros.streaming.told import Told


class QuestionService:
    """A `QuestionService` accepts or refuses at once; callbacks only queue questions, the decoder's thread answers."""

    def __init__(
        self,
        node: ManagedNode[DecoderParameters],
        source: str,
        within: str,
        recent: RecentChunks,
        questions: Questions,
        arrived: Callable[[], None],
        told: Told,
    ) -> None:
        """Make the topic and the services of a source; call in `setup`.

        `within`: its namespace below the node's own, with a slash at its end. `arrived` is called when there is
        something new to do. `told`: where the digital context is, which a question is answered with.
        """
        self._node, self._source, self._arrived = node, source, arrived
        self._recent, self._questions, self._told = recent, questions, told
        self._answers = node.create_publisher(AnswerMessage, f'{within}ai/answer', qos.EVENTS)
        node.create_service(AskService, f'{within}ai/ask', self._on_ask)
        node.create_service(CancelQuestion, f'{within}ai/cancel_question', self._on_cancel)

    def publish(self, reply: Reply, frame_id: str) -> None:
        """Publish what is said to a question."""
        self._answers.publish(answer_message(reply, frame_id, time.monotonic()))

    def _on_ask(self, request: AskService.Request, response: AskService.Response) -> AskService.Response:
        ask = Ask(
            request.question, request.seconds, list(request.options), request.max_tokens, request.language,
            self._told.known,
        )  # fmt: skip
        try:
            if not self._node.active:
                raise QuestionError('the decoder is not active; activate it')
            asked = self._questions.ask(self._source, self._recent, ask)
        except QuestionError as error:
            response.accepted, response.message = False, str(error)
            return response
        self._arrived()
        response.accepted, response.id, response.heard_s = True, asked.id, asked.heard_s
        response.message = f'asked about the last {asked.heard_s:.1f} s; the answer comes on ai/answer'
        return response

    def _on_cancel(self, request: CancelQuestion.Request, response: CancelQuestion.Response) -> CancelQuestion.Response:
        cancelled = self._questions.cancel(self._source, request.id) if self._node.active else 0
        response.success = cancelled > 0
        response.message = f'{cancelled} cancelled' if cancelled else 'there is no such open question'
        if cancelled:
            self._arrived()
        return response
