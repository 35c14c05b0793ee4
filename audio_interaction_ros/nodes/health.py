"""ai/health: one message that says whether the assistant can be relied on, and if not, why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import Header

from audio_interaction_ros.msg import Health as HealthMessage
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.diagnostics import TASK_SEPARATOR, merge_summaries
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import wire_text
from audio_interaction_ros.nodes.parameters import NODES
from audio_interaction_ros.safety.health import NodeHealth


class Health:
    """A `Health` gathers what the nodes of this namespace say of themselves on /diagnostics, and publishes the sum."""

    def __init__(self, node: ManagedNode[Any], now_s: Callable[[], float]) -> None:
        """Make the topics; call in `setup`. `now_s` gives steady time in seconds."""
        self._node, self._now_s = node, now_s
        self._namespace = node.get_namespace().rstrip('/') + '/'
        self._nodes = NodeHealth(NODES.keys() - {node.get_name()})
        self._publisher = node.create_publisher(HealthMessage, 'ai/health', qos.LATCHED)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS)

    def publish(self, on: bool, begun: bool, deaf: str | None) -> None:
        """Publish the state now, from the off switch, whether decisions have come, and why nothing is heard, if so."""
        reasons = [*([deaf] if deaf else []), *self._nodes.reasons(self._now_s())]
        # What another node says of the same topic too is said once.
        own = [words for words in self._node.diagnostics.conditions if not any(words in reason for reason in reasons)]
        reasons += [f'{self._node.get_name()}: {words}' for words in own]
        if not on:
            state = HealthMessage.SWITCHED_OFF
        elif deaf:
            state = HealthMessage.DEAF
        elif not begun:
            state = HealthMessage.STARTING
        else:
            state = HealthMessage.DEGRADED if reasons else HealthMessage.HEARING
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(
            HealthMessage(header=header, state=state, reasons=[wire_text(reason) for reason in reasons])
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Merge what one report says of each node: an array has a status for every task of its node."""
        said: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
        for status in message.status:
            if status.name.startswith(self._namespace):
                name = status.name.removeprefix(self._namespace).partition(TASK_SEPARATOR)[0]
                said[name].append((status.level, status.message))
        for name, summaries in said.items():
            level, problem = merge_summaries(summaries)
            self._nodes.reported(name, '' if level == DiagnosticStatus.OK else problem, self._now_s())
