"""An override of a topic's quality of service counts for that topic alone, and one that cannot count is said."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from audio_interaction_ros.nodes import lifecycle
from audio_interaction_ros.nodes.lifecycle import ManagedNode

pytestmark = pytest.mark.system
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Listening(ManagedNode):
    NAME = 'safety_alert'

    def setup(self):
        self.subscribed = {
            topic: self.create_subscription(String, topic, lambda message: None, LATCHED) for topic in ('one', 'other')
        }


def configured(in_process, **overrides):
    it = in_process(Listening, **{f'qos_overrides.{name}': value for name, value in overrides.items()})
    return it, it.node.trigger_configure() == lifecycle._Result.SUCCESS


def test_every_policy_that_decides_whether_messages_pass_can_be_overridden_for_one_topic_alone(in_process):
    it, done = configured(
        in_process, **{'/one.subscription.durability': 'volatile', '/one.subscription.reliability': 'best_effort'}
    )
    assert done
    one, other = (it.node.subscribed[topic].qos_profile for topic in ('one', 'other'))
    assert (one.durability, one.reliability) == (DurabilityPolicy.VOLATILE, ReliabilityPolicy.BEST_EFFORT)
    assert (other.durability, other.reliability) == (DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE)
    assert LATCHED.durability == DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ('name', 'value', 'sentence'),
    [
        ('/one.subscription.durabilty', 'volatile', "there is no parameter 'qos_overrides./one.sub"),
        ('/one.subscription.durability', 'latched', 'give volatile or transient_local'),
        ('/one.subscription.depth', 0, 'give a whole number above 0'),
    ],
)
def test_an_override_that_no_topic_could_have_keeps_the_node_from_starting_and_says_what_is_expected(
    in_process, capfd, name, value, sentence
):
    _, done = configured(in_process, **{name: value})
    assert not done
    assert sentence in capfd.readouterr().err


@pytest.mark.cures('changes nothing in this node')
def test_an_override_of_a_topic_that_the_node_does_not_have_is_said_with_those_it_has(in_process, capfd):
    _, done = configured(in_process, **{'/robot/one.subscription.depth': 3})
    assert done
    said = capfd.readouterr().err
    assert "'qos_overrides./robot/one.subscription.depth' changes nothing in this node" in said
    assert 'qos_overrides./one.subscription, qos_overrides./other.subscription' in said
