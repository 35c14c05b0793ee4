"""Topics whose ends ask for different qualities of service: no message passes, so somebody has to say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

if TYPE_CHECKING:
    from audio_interaction_ros.nodes.lifecycle import ManagedNode


def publisher_events(node: ManagedNode[Any], topic: str, profile: QoSProfile) -> PublisherEventCallbacks:
    """Reports subscribers that this publisher cannot reach, naming both sides."""
    return PublisherEventCallbacks(incompatible_qos=_report(node, topic, profile, publishes=True))


def subscription_events(node: ManagedNode[Any], topic: str, profile: QoSProfile) -> SubscriptionEventCallbacks:
    """Reports publishers that cannot reach this subscription, naming both sides."""
    return SubscriptionEventCallbacks(incompatible_qos=_report(node, topic, profile, publishes=False))


def _report(node: ManagedNode[Any], topic: str, profile: QoSProfile, publishes: bool) -> Callable[[Any], None]:
    def others() -> list[str]:
        find = node.get_subscriptions_info_by_topic if publishes else node.get_publishers_info_by_topic
        return [
            f'{other.node_namespace.rstrip("/")}/{other.node_name} with {_words(other.qos_profile)}'
            for other in find(node.resolve_topic_name(topic))
            if not _fit(profile, other.qos_profile, publishes)
        ]

    def say() -> None:
        name = node.resolve_topic_name(topic)
        does, do = ('publishes', 'subscribe') if publishes else ('subscribes', 'publish')
        node.diagnostics.trouble(
            'incompatible_qos',
            f"'{name}': this node {does} with {_words(profile)}, others {do} incompatibly "
            f'({"; ".join(others()) or "and have gone"}), so nothing passes; set qos_overrides.{name}.… on one side',
        )

    # DDS finds a topic's other end before ROS knows whose it is, and what has no ROS node behind it stays nameless.
    return lambda event: node.once(say, lambda: not any('_UNKNOWN_' in other for other in others()), patience_s=3.0)


def _fit(ours: QoSProfile, theirs: QoSProfile, publishes: bool) -> bool:
    pair = (ours, theirs) if publishes else (theirs, ours)
    return bool(qos_check_compatible(*pair)[0] != QoSCompatibility.ERROR)


def _words(profile: QoSProfile) -> str:
    return f'{profile.reliability.name.lower()} {profile.durability.name.lower()}'
