"""A node of this package in the test's own process, with its callbacks in a thread, as `run` has them."""

from __future__ import annotations

import gc
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('audio_interaction_ros.msg', reason='the messages of this package are not built')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.cli.domain import RosDomain
from tests.system.ros import DEADLINE_S


class InProcess:
    """A node and one of the test's beside it, whose callbacks come while the test spins."""

    def __init__(self, node):
        self.node = node
        self.beside = rclpy.create_node('beside')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self.executor.add_node(self.beside)

    def hear(self, message_type, topic, profile):
        """A list that grows with what is published."""
        heard = []
        self.beside.create_subscription(message_type, topic, heard.append, profile)
        return heard

    def talk(self, message_type, topic, profile):
        """A publisher that has its listener."""
        publisher = self.beside.create_publisher(message_type, topic, profile)
        self.until(lambda: publisher.get_subscription_count() > 0)
        return publisher

    def until(self, condition, timeout_s=DEADLINE_S):
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f'still waiting after {timeout_s} s'
            self.executor.spin_once(timeout_sec=0.05)

    def spin(self, seconds):
        """Take what comes for so long. Nothing is sure to have happened by then: for that, there is `until`."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.05)

    @property
    def state(self):
        return self.node._state_machine.current_state[1]

    def held(self):
        """How many publishers, subscriptions, services and timers the node has."""
        kinds = (self.node.publishers, self.node.subscriptions, self.node.services, self.node.timers)
        return [len(list(kind)) for kind in kinds]


@pytest.fixture
def in_process(monkeypatch):
    """Make it from a node's class and its parameters."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    made, domain = [], RosDomain()

    def make(cls, **parameters):
        given = [argument for name, value in parameters.items() for argument in ('-p', f'{name}:={value}')]
        # What a test before left of a node of this name would, when it goes, take the new one's /rosout with it: rcl
        # knows of one publisher for each name.
        gc.collect()
        rclpy.init(
            args=['--ros-args', *given] if given else [],
            domain_id=domain.number,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        made.append(InProcess(cls()))
        return made[-1]

    yield make
    for it in made:
        it.node.trigger_shutdown()
        it.executor.shutdown()
        it.node.destroy_node()
        it.beside.destroy_node()
        rclpy.try_shutdown()
    domain.release()
