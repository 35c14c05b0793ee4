"""Whatever fails on the way, a node that goes back leaves nothing behind."""

from __future__ import annotations

import threading
import time

import pytest
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from audio_interaction_ros.nodes import lifecycle, worker
from audio_interaction_ros.nodes.lifecycle import ManagedNode

pytestmark = pytest.mark.system


class Ticking(ManagedNode):
    """Has one of everything that a node can hold, and fails where it is told to."""

    NAME = 'safety_alert'
    fails: tuple[str, ...] = ()

    def setup(self):
        self.ticks, self.calls, self.working = 0, [], threading.Event()
        self.create_publisher(String, 'said', QoSProfile(depth=1))
        self.create_subscription(String, 'heard', lambda message: None, QoSProfile(depth=1))
        self.create_service(Trigger, 'asked', lambda request, response: response)
        self.create_timer(0.01, self.tick)
        self.step('setup')

    def tick(self):
        self.ticks += 1

    def work_until(self, stop):
        self.working.set()
        stop.wait()
        self.working.clear()

    def start(self):
        self.work(self.work_until)
        self.working.wait(5.0)
        self.step('start')

    def stop(self):
        self.step('stop')

    def teardown(self):
        self.step('teardown')

    def step(self, name):
        self.calls.append(name)
        if name in self.fails:
            raise ValueError(f'{name} fails')


def until_it_ticks(it):
    before = it.node.ticks
    it.until(lambda: it.node.ticks > before)


def ticks_in(it, seconds):
    before = it.node.ticks
    it.spin(seconds)
    return it.node.ticks - before


def test_entities_made_in_setup_work_while_it_is_active_and_go_at_clean_up(in_process):
    it = in_process(Ticking)
    bare = it.held()
    assert it.node.trigger_configure() == lifecycle._Result.SUCCESS
    assert [new - old for new, old in zip(it.held(), bare, strict=True)] == [1, 1, 1, 1]
    assert ticks_in(it, 0.2) == 0
    it.node.trigger_activate()
    until_it_ticks(it)
    it.node.trigger_deactivate()
    assert ticks_in(it, 0.2) == 0
    it.node.trigger_cleanup()
    assert it.held() == bare


@pytest.mark.parametrize('fails', [('stop',), ('teardown',), ('stop', 'teardown'), ('start', 'stop')])
def test_where_undoing_fails_all_else_is_undone_and_the_node_is_unconfigured(in_process, fails):
    it = in_process(Ticking)
    bare = it.held()
    it.node.fails = fails
    it.node.trigger_configure()
    it.node.trigger_activate()
    if it.state == 'active':
        it.node.trigger_deactivate()
    if it.state == 'inactive':
        it.node.trigger_cleanup()
    assert it.state == 'unconfigured'
    assert it.held() == bare
    assert not it.node.active and not it.node.working.is_set()
    assert ticks_in(it, 0.1) == 0
    it.node.fails = ()
    assert it.node.trigger_configure() == it.node.trigger_activate() == lifecycle._Result.SUCCESS
    until_it_ticks(it)


def test_an_error_from_the_active_state_stops_timers_and_worker(in_process):
    it = in_process(Ticking)
    bare = it.held()
    it.node.trigger_configure()
    it.node.trigger_activate()
    it.node.on_error(None)
    assert it.held() == bare
    assert not it.node.working.is_set()
    assert it.node.calls[-2:] == ['stop', 'teardown']


def test_a_worker_that_does_not_end_holds_nobody_up(in_process, monkeypatch):
    monkeypatch.setattr(worker.Worker.stop, '__defaults__', (0.2,))
    release = threading.Event()
    it = in_process(Ticking)
    it.node.work_until = lambda stop: release.wait(20.0)
    it.node.trigger_configure()
    it.node.working.set()
    it.node.trigger_activate()
    began_s = time.monotonic()
    assert it.node.trigger_deactivate() == lifecycle._Result.ERROR
    assert time.monotonic() - began_s < 10.0
    assert it.state == 'unconfigured'
    release.set()
