"""What the decoder is told of the assistant's own voice: ai/speaking, ai/voice and ai/echo_free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from std_msgs.msg import Bool

from audio_interaction_ros.msg import Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.echo import FREE_TOPIC, VOICE_TOPIC
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import nanoseconds_of, trigger_of
from audio_interaction_ros.streaming.own_voice import OwnVoice

TOPIC = 'ai/speaking'
_LOOK_EVERY_S = 1.0


class OwnVoiceTopics:
    """`OwnVoiceTopics` are the topics by which one source knows what of the sound it may have said itself."""

    def __init__(self, node: ManagedNode[Any], within: str, broken_off: Callable[[int, int, str], None]) -> None:
        """Make the topics; call in `setup`. `within`: a namespace below the node's own, with a slash at its end.

        `broken_off` is called with stream, trigger chunk and what was said of a response that was not said to its end.
        """
        self._node, self._broken_off = node, broken_off
        self._topic = node.resolve_topic_name(within + TOPIC)
        self.heard = OwnVoice()
        # Latched, and taken in by an inactive node too: it would not come again.
        node.create_subscription(Speaking, within + TOPIC, self._on_speaking, qos.SWITCH, when_inactive=True)
        node.create_subscription(Bool, within + FREE_TOPIC, self._on_free, qos.LATCHED, when_inactive=True)
        node.create_subscription(Bool, within + VOICE_TOPIC, self._on_voice, qos.EVENTS)
        node.create_timer(_LOOK_EVERY_S, self._look_for_speaker)

    def _on_speaking(self, told: Speaking) -> None:
        self.heard.speaks(told.speaking, nanoseconds_of(told.header.stamp))
        if told.broken_off and (trigger := trigger_of(told.id)) is not None:
            self._broken_off(*trigger, told.said)

    def _on_voice(self, talks: Bool) -> None:
        self.heard.others_talk(talks.data, self._node.get_clock().now().nanoseconds)

    def _on_free(self, free: Bool) -> None:
        self.heard.echo_free = free.data

    def _look_for_speaker(self) -> None:
        """One that has died in the middle of a word speaks no more."""
        if not self._node.count_publishers(self._topic):
            self.heard.speaks(False, self._node.get_clock().now().nanoseconds)
