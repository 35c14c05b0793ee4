"""What DDS tells of a topic: its ends ask for different qualities of service, and for how long they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.timer import Timer
from rclpy.topic_endpoint_info import TopicEndpointInfo

from audio_interaction_ros.nodes.diagnostics import Diagnostics
from audio_interaction_ros.nodes.qos_overrides import parameter_of

_ASKED_EVERY_S = 0.5
_PATIENCE_S = 3.0
_POLICIES = ('reliability', 'durability')


class QosEvents:
    """A `QosEvents` makes the event callbacks of a node's publishers and subscriptions, which report to diagnostics.

    Between ends of incompatible quality of service no message passes, and DDS says so once, to neither user: it is a
    condition that names both sides for as long as both are there.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        self._node, self._diagnostics = node, diagnostics
        self._suspects: dict[tuple[str, bool], _Suspect] = {}
        self._timer: Timer | None = None

    def of_publisher(self, topic: str, profile: QoSProfile) -> PublisherEventCallbacks:
        """Report subscribers that this publisher cannot reach."""
        return PublisherEventCallbacks(incompatible_qos=self._reporter(topic, profile, publishes=True))

    def of_subscription(self, topic: str, profile: QoSProfile) -> SubscriptionEventCallbacks:
        """Report publishers that cannot reach this subscription."""
        return SubscriptionEventCallbacks(incompatible_qos=self._reporter(topic, profile, publishes=False))

    def close(self) -> None:
        """Report nothing any more: the topics are gone."""
        self._suspects.clear()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _reporter(self, topic: str, profile: QoSProfile, publishes: bool) -> Callable[[Any], None]:
        name = self._node.resolve_topic_name(topic)

        def suspect(event: Any) -> None:
            self._suspects[name, publishes] = _Suspect(name, profile, publishes, time.monotonic() + _PATIENCE_S)
            if self._timer is None:
                steady = Clock(clock_type=ClockType.STEADY_TIME)
                self._timer = self._node.create_timer(_ASKED_EVERY_S, self._look, clock=steady)

        return suspect

    def _look(self) -> None:
        """Say what still does not fit. DDS finds a topic's other end before ROS knows whose it is."""
        now_s = time.monotonic()
        for key, suspect in list(self._suspects.items()):
            others = suspect.others(self._node)
            if now_s < suspect.certain_s and (not others or any('_UNKNOWN_' in other.node_name for other in others)):
                continue
            self._diagnostics.condition(
                f'incompatible_qos {"to" if suspect.publishes else "from"} {suspect.topic}',
                suspect.sentence(others) if others else '',
            )
            if not others:
                del self._suspects[key]
        if not self._suspects:
            self.close()


@dataclass(frozen=True)
class _Suspect:
    """A `_Suspect` is a topic of which DDS has said that another end asks for something else."""

    topic: str
    profile: QoSProfile
    publishes: bool
    certain_s: float  # from when on the graph is believed, on the steady clock

    def others(self, node: Node) -> list[TopicEndpointInfo]:
        """Return the other ends that no message passes to or from."""
        find = node.get_subscriptions_info_by_topic if self.publishes else node.get_publishers_info_by_topic
        return [other for other in find(self.topic) if not _fit(self.profile, other.qos_profile, self.publishes)]

    def sentence(self, others: list[TopicEndpointInfo]) -> str:
        """Return both sides and what to set where."""
        does, do = ('publishes', 'subscribe') if self.publishes else ('subscribes', 'publish')
        named = '; '.join(
            f'{other.node_namespace.rstrip("/")}/{other.node_name} with {_words(other.qos_profile)}' for other in others
        )
        cures = [
            f'{parameter_of(self.topic, self.publishes, policy)}:={getattr(other.qos_profile, policy).name.lower()}'
            for policy in _POLICIES
            for other in others
            if not _fit(*self._only(policy, other.qos_profile), self.publishes)
        ]
        start = ' '.join(f'-p {cure}' for cure in dict.fromkeys(cures))
        cure = (
            f'start this node with `{start}`, or let the others {do} as it {does}'
            if start
            else 'let the others ask for no deadline and no liveliness'
        )
        return (
            f"'{self.topic}': this node {does} with {_words(self.profile)}, others {do} incompatibly ({named}), "
            f'so nothing passes; {cure}'
        )

    def _only(self, policy: str, theirs: QoSProfile) -> tuple[QoSProfile, QoSProfile]:
        """Return both profiles with nothing but one policy in them."""
        ours, other = (QoSProfile(depth=1, **{policy: getattr(each, policy)}) for each in (self.profile, theirs))
        return ours, other


def _fit(ours: QoSProfile, theirs: QoSProfile, publishes: bool) -> bool:
    pair = (ours, theirs) if publishes else (theirs, ours)
    return bool(qos_check_compatible(*pair)[0] != QoSCompatibility.ERROR)


def _words(profile: QoSProfile) -> str:
    return f'{profile.reliability.name.lower()} {profile.durability.name.lower()}'
