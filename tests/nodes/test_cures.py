"""What a node says is wrong is well once it is mended as the sentence says."""

from __future__ import annotations

import re

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.audio.timeline import NS_PER_S, CaptureClock
from audio_interaction_ros.events.log import EntryKind, EventLogError
from audio_interaction_ros.nodes import standby
from audio_interaction_ros.nodes.chunk_encoder import _of_drift
from audio_interaction_ros.nodes.event_log import EventLogNode
from audio_interaction_ros.nodes.parameters import ParameterError
from audio_interaction_ros.nodes.qos_overrides import require_overrides
from audio_interaction_ros.nodes.signals import EndRequest
from audio_interaction_ros.srv import DeleteEvents, FlagEvent, ListEvents
from audio_interaction_ros.streaming.lateness import DRIFTS, Drift

pytestmark = pytest.mark.system
BLOCK = 640


@pytest.mark.cures('let the driver follow the clock of the computer, as audio_capture does')
@pytest.mark.parametrize('ppm', [-1_000, 1_000])
def test_stamps_that_follow_the_clock_of_the_computer_do_not_drift(ppm):
    """Of a sound card whose clock is wrong by so much, for three minutes."""
    counted, followed, clock = Drift(), Drift(), CaptureClock(16_000)
    for n in range(4_500):
        captured_ns = 10**18 + round(n * 0.04 * (1 - ppm * 1e-6) * NS_PER_S)
        arrived_s = captured_ns / NS_PER_S + 0.05
        counted.told(10**18 + n * 40_000_000, arrived_s)
        followed.told(clock.stamp_ns(captured_ns, BLOCK), arrived_s)
    assert abs(counted.slow_s) > DRIFTS
    assert f' ppm {"fast" if ppm > 0 else "slow"}; nothing is lost' in _of_drift(counted.slow_s)
    assert abs(followed.slow_s) < DRIFTS


@pytest.mark.cures('set path of event_log', 'give NONE (0), FALSE_ALARM (1)', 'give ids, or all alone')
def test_the_event_log_does_what_it_refused_when_it_is_asked_as_was_said(in_process, tmp_path):
    node = in_process(EventLogNode, path=tmp_path / 'events.db').node
    with pytest.raises(EventLogError, match='set path of event_log, or start with event_log:=FILE'):
        node._on_list(ListEvents.Request(), ListEvents.Response())  # as without a path, for it is not open yet
    assert node.autostart()
    node._log.log(EntryKind.RESPONSE, '1-1', 1, 'mic', 'Fire!')
    node._on_list(ListEvents.Request(), listed := ListEvents.Response())
    assert [event.text for event in listed.events] == ['Fire!']
    with pytest.raises(EventLogError, match=re.escape('verdict 7 found; give NONE (0), FALSE_ALARM (1)')):
        node._on_flag(FlagEvent.Request(verdict=7), FlagEvent.Response())
    node._on_flag(FlagEvent.Request(verdict=1), FlagEvent.Response())
    for wrong in ({}, {'ids': [1], 'all': True}):
        with pytest.raises(EventLogError, match='give ids, or all alone'):
            node._on_delete(DeleteEvents.Request(**wrong), DeleteEvents.Response())
    node._on_delete(DeleteEvents.Request(ids=[1]), deleted := DeleteEvents.Response())
    assert deleted.deleted == 1
    node._on_delete(DeleteEvents.Request(all=True), DeleteEvents.Response())


@pytest.fixture
def initialised(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    yield
    rclpy.try_shutdown()


@pytest.mark.cures('or publisher in place of subscription')
def test_an_override_that_is_named_as_was_said_is_one(initialised):
    def node(name):
        return rclpy.create_node('test', parameter_overrides=[Parameter(name, value='volatile')])

    with pytest.raises(ParameterError, match=re.escape('; name it ')) as refused:
        require_overrides(node('qos_overrides./one.subscription.durabilty'))
    named = re.search(r'name it (\S+),', str(refused.value))[1]
    for right in (named, named.replace('subscription', 'publisher')):
        require_overrides(node(right.replace('/TOPIC', '/one').replace('reliability', 'durability')))


@pytest.mark.cures('unset it or correct it')
def test_a_lock_is_corrected_or_unset(initialised, tmp_path, monkeypatch):
    monkeypatch.setattr(standby, 'on_signals', lambda _: None)  # which are the test's own
    monkeypatch.setenv(standby.LOCK, str(tmp_path / 'none' / 'lock'))
    with (
        pytest.raises(SystemExit, match=r'names no file that can be locked .*; unset it or correct it'),
        standby.turn('decoder', EndRequest()),
    ):
        pass
    monkeypatch.setenv(standby.LOCK, str(tmp_path / 'lock'))
    with standby.turn('decoder', EndRequest()):
        assert (tmp_path / 'lock').read_text().strip().isdigit()
    monkeypatch.delenv(standby.LOCK)
    with standby.turn('decoder', EndRequest()):
        assert rclpy.ok()
