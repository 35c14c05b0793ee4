"""What the decoder is told at any time: ai/instruction and ai/context, and on ai/told what of it is in force."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from std_msgs.msg import String

from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import wire_text
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.streaming.context import ToldError
from audio_interaction_ros.streaming.session import Session
from audio_interaction_ros.streaming.told import Telling, Told


class ToldTopics:
    """`ToldTopics` are the topics by which one source's model is told something, and hears nothing less for it."""

    def __init__(
        self,
        node: ManagedNode[DecoderParameters],
        within: str,
        half: DecoderHalf,
        session: Session,
        arrived: Callable[[], None],
        tools: str = '',
    ) -> None:
        """Make the topics; call in `setup`. `arrived` is called when there is something to tell.

        `within`: a namespace below the node's own, with a slash at its end. `tools`: the text of those that the model
        may call. Raises ToldError where the parameter `instruction`, or the tools, are too long for the session.
        """
        self._node, self._within, self.arrived = node, within, arrived
        self.told = Told(
            half,
            session.longest_prefix,
            node.parameters.instruction,
            lambda: node.get_clock().now().nanoseconds * 1e-9,
            self._took_effect,
            tools,
        )
        self.refused = 0
        self._state = node.create_publisher(String, f'{within}ai/told', qos.LATCHED)
        self._publish(self.told.in_force)
        # Latched, and taken in by an inactive node too: it would not come again.
        for name, take in (('instruction', self.told.instruct), ('context', self.told.give_context)):
            node.create_subscription(
                String, f'{within}ai/{name}', self._taking(name, take), qos.SWITCH, when_inactive=True
            )

    def apply(self) -> None:
        """Take the parameter `instruction`."""
        self._attempt('parameter instruction', self.told.instruct_by_parameter, self._node.parameters.instruction)

    def _taking(self, name: str, take: Callable[[str], None]) -> Callable[[String], None]:
        return lambda message: self._attempt(f'{self._within}ai/{name}', take, message.data)

    def _attempt(self, what: str, take: Callable[[str], None], text: str) -> None:
        try:
            take(text)
        except ToldError as error:
            self.refused += 1
            self._node.diagnostics.condition(f'refused {what}', f'{what} is refused: {error}')
        else:
            self.arrived()

    def _took_effect(self, telling: Telling) -> None:
        # Not a word of what it says: logs are kept, and read by others.
        self._node.get_logger().info(
            f'{self._within}decoder is told: {telling.wording.outline}; {len(telling.prefix)} tokens, and what was '
            f'heard read again in {1e3 * telling.took_s:.0f} ms'
        )
        self._publish(telling)

    def _publish(self, telling: Telling) -> None:
        self._state.publish(String(data=wire_text(json.dumps(telling.as_json(), ensure_ascii=False))))


def measurements_of(told: list[ToldTopics]) -> Mapping[str, object]:
    """Return what diagnostics show of what was told, over all sources."""
    return {
        'told_tokens': max(len(each.told.in_force.prefix) for each in told),
        'told_changes': sum(each.told.changes for each in told),
        'told_coalesced': sum(each.told.coalesced for each in told),
        'told_refused': sum(each.refused for each in told),
        'told_ms': f'{1e3 * max(each.told.in_force.took_s for each in told):.1f}',
        'told_ms_max': f'{1e3 * max(each.told.longest_s for each in told):.1f}',
    }
