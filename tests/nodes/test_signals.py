"""A signal that asks for the end finds it, whatever it comes in the middle of."""

from __future__ import annotations

import argparse
import signal
import sys

import pytest
import rclpy
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.cli import levels
from audio_interaction_ros.nodes import joining, lifecycle, standby
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.signals import EndRequest

pytestmark = pytest.mark.system


class Idle(ManagedNode):
    NAME = 'safety_alert'

    def setup(self):
        """Has nothing to do."""


@pytest.fixture(autouse=True)
def own_signals():
    """Those of the tests come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(60)  # with a lock in it, it waits for itself
def test_a_second_signal_in_the_middle_of_the_handler_of_the_first_holds_nothing_up():
    end, further = EndRequest(), []

    def trace(frame, event, argument):
        """Another signal at every line of what the handler does."""
        if len(further) < 20:
            further.append(event)
            signal.raise_signal(signal.SIGINT)
        return trace

    signal.signal(signal.SIGINT, end.set)
    sys.settrace(trace)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        sys.settrace(None)
    assert len(further) > 2
    end.wait()
    assert end.is_set()


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C comes in the middle of joining ROS."""
    join = joining.join
    for module in (joining, lifecycle):
        monkeypatch.setattr(module, 'join', lambda args: signal.raise_signal(signal.SIGINT) or join(args))


def test_asked_to_end_while_it_joins_ros_a_node_ends_well_and_is_not_activated(monkeypatch, interrupted):
    states = []
    monkeypatch.setattr(Idle, 'on_configure', lambda *_: states.append('configured'))
    assert lifecycle.run([], Idle) == 0
    assert not states


def test_asked_to_end_while_it_joins_ros_levels_ends_without_an_exception(interrupted):
    assert levels.run(argparse.Namespace(namespace=None, duration=None)) == 1  # of no sound


def test_asked_to_end_before_it_waits_for_its_turn_a_standby_ends_well(monkeypatch, tmp_path):
    monkeypatch.setenv(standby.LOCK, str(tmp_path / 'lock'))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    end = EndRequest()
    end.set()
    try:
        with pytest.raises(SystemExit) as ended, standby.turn('safety_alert', end):
            pytest.fail('it had its turn')
    finally:
        rclpy.shutdown()
    assert ended.value.code == 0
    assert not (tmp_path / 'lock').read_text()
