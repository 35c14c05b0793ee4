"""The standard parameters qos_overrides.… of a node's topics: which there are, and which of those given count."""

from __future__ import annotations

import re
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from audio_interaction_ros.nodes.parameters import ParameterError

PREFIX = 'qos_overrides.'
_VALUES: dict[str, tuple[str, ...]] = {
    'reliability': ('reliable', 'best_effort'),
    'durability': ('volatile', 'transient_local'),
    'history': ('keep_last', 'keep_all'),
    'depth': (),
}
_NAME = re.compile(rf'qos_overrides\.(?P<topic>/.+)\.(publisher|subscription)\.(?P<policy>{"|".join(_VALUES)})')


def parameter_of(topic: str, publishes: bool, policy: str) -> str:
    """Return the name of the parameter that overrides a policy; `topic` is the full name."""
    return f'{PREFIX}{topic}.{"publisher" if publishes else "subscription"}.{policy}'


def own(profile: QoSProfile | int) -> QoSProfile:
    """Return a copy of a profile: rclpy writes overrides into the one it is given, which others share."""
    if isinstance(profile, int):
        return QoSProfile(depth=profile)
    return QoSProfile(
        history=profile.history, depth=profile.depth, reliability=profile.reliability, durability=profile.durability
    )


def options() -> QoSOverridingOptions:
    """Return which policies of a topic can be overridden; rclpy's default leaves durability out."""
    return QoSOverridingOptions([QoSPolicyKind[policy.upper()] for policy in _VALUES])


def require_overrides(node: Node) -> None:
    """Raise ParameterError, one sentence, for an override given to the node that no topic whatever could have."""
    for name, parameter in _given(node).items():
        if (match := _NAME.fullmatch(name)) is None:
            raise ParameterError(
                f"there is no parameter '{name}'; name it {parameter_of('/TOPIC', False, 'reliability')}, or "
                f'publisher in place of subscription, or {", ".join(list(_VALUES)[1:])} in place of reliability'
            )
        expected = _VALUES[match['policy']]
        if not (parameter.value in expected if expected else _is_depth(parameter.value)):
            words = ' or '.join(expected) or 'a whole number above 0'
            raise ParameterError(f"parameter '{name}' is {parameter.value!r}; give {words}")


def without_effect(node: Node) -> list[str]:
    """Return a sentence for each override given to the node that no topic of it has; call when all are made."""
    unused = [name for name in _given(node) if not node.has_parameter(name)]
    known = sorted({PREFIX + name.rpartition('.')[0] for name in node.get_parameters_by_prefix(PREFIX.rstrip('.'))})
    return [f"'{name}' changes nothing in this node, which has {', '.join(known)}; correct the name" for name in unused]


def _given(node: Node) -> dict[str, Any]:
    return {name: each for name, each in node._parameter_overrides.items() if name.startswith(PREFIX)}


def _is_depth(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
