"""The off switch as the other nodes see it: what ai/listening says, and what to do when it says off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from std_msgs.msg import Bool

from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode

TOPIC = 'ai/listening'


class Listening:
    """A `Listening` knows whether the microphone is closed on purpose: what then still arrives was heard before."""

    def __init__(self, node: ManagedNode[Any], forget: Callable[[], None], within: str = '') -> None:
        """Listen to the switch; call in `setup`. `forget` is called whenever it is switched off, active or not.

        `within`: a namespace below the node's own, with a slash at its end.
        """
        self._node = node
        self._topic = node.resolve_topic_name(within + TOPIC)
        self._said = True
        self._forget = forget
        node.create_subscription(Bool, within + TOPIC, self._on_message, qos.SWITCH, when_inactive=True)

    @property
    def on(self) -> bool:
        """Return False while it is switched off.

        True also where nobody has such a switch: when audio_capture has ended, another driver may take its place.
        """
        if not self._said and not self._node.count_publishers(self._topic):
            self._said = True
        return self._said

    def _on_message(self, message: Bool) -> None:
        self._said = message.data
        if not message.data:
            self._forget()
