"""What DDS tells of a topic: its ends ask for different qualities of service, or a message was lost on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.timer import Timer

from audio_interaction_ros.nodes.diagnostics import Diagnostics

_ASKED_EVERY_S = 0.1
_PATIENCE_S = 3.0


class QosEvents:
    """A `QosEvents` makes the event callbacks of a node's publishers and subscriptions, which report to diagnostics.

    Between ends of incompatible quality of service no message passes, and DDS says so to neither user: the report names
    both sides.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics) -> None:
        self._node, self._diagnostics = node, diagnostics
        self._waiting: set[Timer] = set()

    def of_publisher(self, topic: str, profile: QoSProfile) -> PublisherEventCallbacks:
        """Report subscribers that this publisher cannot reach."""
        return PublisherEventCallbacks(incompatible_qos=self._reporter(topic, profile, publishes=True))

    def of_subscription(self, topic: str, profile: QoSProfile) -> SubscriptionEventCallbacks:
        """Report publishers that cannot reach this subscription."""
        return SubscriptionEventCallbacks(incompatible_qos=self._reporter(topic, profile, publishes=False))

    def close(self) -> None:
        """Drop the reports that are still waiting for the other side's name."""
        while self._waiting:
            self._node.destroy_timer(self._waiting.pop())

    def _reporter(self, topic: str, profile: QoSProfile, publishes: bool) -> Callable[[Any], None]:
        def others() -> list[str]:
            find = self._node.get_subscriptions_info_by_topic if publishes else self._node.get_publishers_info_by_topic
            return [
                f'{other.node_namespace.rstrip("/")}/{other.node_name} with {_words(other.qos_profile)}'
                for other in find(self._node.resolve_topic_name(topic))
                if not _fit(profile, other.qos_profile, publishes)
            ]

        def report() -> None:
            name = self._node.resolve_topic_name(topic)
            does, do = ('publishes', 'subscribe') if publishes else ('subscribes', 'publish')
            self._diagnostics.trouble(
                'incompatible_qos',
                f"'{name}': this node {does} with {_words(profile)}, others {do} incompatibly "
                f'({"; ".join(others()) or "and have gone"}), so nothing passes; '
                f'set qos_overrides.{name}.… on one side',
            )

        # DDS finds a topic's other end before ROS knows whose it is, and what has no ROS node behind it stays nameless.
        return lambda event: self._once(report, lambda: not any('_UNKNOWN_' in other for other in others()))

    def _once(self, report: Callable[[], None], ready: Callable[[], bool]) -> None:
        """Call `report` once, when `ready` or when patience is over."""
        until_s = time.monotonic() + _PATIENCE_S

        def ask() -> None:
            if ready() or time.monotonic() >= until_s:
                self._waiting.discard(timer)
                self._node.destroy_timer(timer)
                report()

        timer = self._node.create_timer(_ASKED_EVERY_S, ask, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._waiting.add(timer)


def _fit(ours: QoSProfile, theirs: QoSProfile, publishes: bool) -> bool:
    pair = (ours, theirs) if publishes else (theirs, ours)
    return bool(qos_check_compatible(*pair)[0] != QoSCompatibility.ERROR)


def _words(profile: QoSProfile) -> str:
    return f'{profile.reliability.name.lower()} {profile.durability.name.lower()}'
