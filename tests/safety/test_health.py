"""Which nodes are well, by what they report."""

from __future__ import annotations

from audio_interaction_ros.safety.health import NodeHealth


def test_a_node_is_missed_only_once_it_has_reported():
    nodes = NodeHealth({'decoder', 'event_log'})
    assert nodes.reasons(100.0) == []
    nodes.reported('decoder', '', 100.0)
    assert nodes.reasons(101.0) == []
    assert nodes.reasons(102.0) == ['decoder does not report any more.']
    nodes.reported('decoder', 'no memory', 103.0)
    nodes.reported('event_log', '', 103.0)
    assert nodes.reasons(103.5) == ['decoder: no memory']


def test_others_are_none_of_its_business():
    nodes = NodeHealth({'decoder'})
    nodes.reported('navigation', 'lost', 0.0)
    assert nodes.reasons(0.0) == [] == nodes.reasons(10.0)
