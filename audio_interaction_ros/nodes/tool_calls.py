"""Tools in the decoder: the model's calls on ai/tool_call, and what became of them, from ai/tool_result, back to it."""

from __future__ import annotations

from std_msgs.msg import Header

from audio_interaction_ros.msg import ToolCall, ToolResult
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import stamp_of
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.nodes.told_topics import ToldTopics
from audio_interaction_ros.streaming.context import ToldError
from audio_interaction_ros.streaming.loop import Response
from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.errors import CallError

_WORDS = {ToolResult.ASKED: 'asks', ToolResult.DONE: 'done', ToolResult.FAILED: 'failed', ToolResult.REFUSED: 'refused'}


class ToolCalls:
    """`ToolCalls` are the topics by which one source's model calls tools and learns what became of that."""

    def __init__(self, node: ManagedNode[DecoderParameters], within: str, tools: Tools, told: ToldTopics) -> None:
        """Make the topics; call in `setup`. `within`: a namespace below the node's own, with a slash at its end."""
        self._node, self._within, self._tools, self._told = node, within, tools, told
        self.count = 0  # calls that were published
        self._calls = node.create_publisher(ToolCall, f'{within}ai/tool_call', qos.EVENTS)
        node.create_subscription(ToolResult, f'{within}ai/tool_result', self._on_result, qos.EVENTS)

    def publish(self, response: Response, frame_id: str) -> None:
        """Publish the call that a response is; one that was cut short is none, and counted."""
        chunk = response.decision.chunk
        response_id = f'{chunk.stream_id}-{chunk.index}'
        try:
            call = self._tools.call_of(response.call)
        except CallError as error:
            self._node.diagnostics.trouble(
                'tool_calls_cut_short',
                f'a call of {len(response.call)} characters was not written to its end, so it is none: {error}; raise '
                'max_response_tokens, or declare shorter arguments',
            )
            return
        self.count += 1
        self._calls.publish(
            ToolCall(
                header=Header(stamp=stamp_of(chunk.stamp_ns), frame_id=frame_id),
                id=f'call-{response_id}',
                tool=call.tool.name,
                arguments=call.arguments_text,
                response_id=response_id,
                needs_confirmation=call.tool.needs_confirmation(call.arguments),
            )
        )

    def _on_result(self, result: ToolResult) -> None:
        outcome = _WORDS.get(result.state)
        if outcome is None or not result.id or result.tool not in self._tools.schemas:
            self._node.diagnostics.trouble(
                'refused_tool_result',
                f'{self._within}ai/tool_result names no declared tool, no id or no known state; end what publishes it',
            )
            return
        try:
            self._told.told.give_result(result.id, result.tool, outcome, result.text)
        except ToldError as error:
            self._node.diagnostics.trouble('refused_tool_result', f'{self._within}ai/tool_result is refused: {error}')
        else:
            self._told.arrived()
