"""Thousands of messages and requests that make no sense, to everything that the nodes listen to."""

from __future__ import annotations

import importlib
import time

import numpy as np
import pytest
import soundfile
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool

from audio_interaction_ros.msg import Decision
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.parameters import NODES
from tests.system.hostile import hostile
from tests.system.ros import resident_bytes

pytestmark = [pytest.mark.system, pytest.mark.slow]

MESSAGES = 10_000
NOT_OURS = ('/parameter_events', '/clock', '/rosout')
# They stop the assistant on purpose, and rightly.
ALLOWED = ('/change_state', '/set_listening', '/set_parameters', '/set_parameters_atomically')


def interface(name: str) -> type:
    package, folder, kind = name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), kind)


@pytest.mark.timeout(400)
def test_nothing_that_comes_in_crashes_stalls_or_swells_the_assistant(ros, tiny_checkpoint, tmp_path):
    """Stalls are seen by the diagnostics, which the same executor sends twice a second."""
    sound = tmp_path / 'sound.wav'
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 300), 16_000)
    process = ros.start('assistant', checkpoint=tiny_checkpoint, file=sound, path=tmp_path / 'events.db')
    for name in NODES:
        ros.wait_state(name, 'active', process)
    reported_s: list[float] = []
    counts: dict[str, int] = {}

    def on_diagnostics(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == '/decoder: status':
                reported_s.append(time.monotonic())
            counts.update({value.key: int(value.value) for value in status.values if value.key.startswith('refused')})

    ros.node.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 50)
    topics = {
        topic: interface(types[0])
        for topic, types in ros.node.get_topic_names_and_types()
        if topic not in NOT_OURS and ros.node.count_subscribers(topic)
    }
    assert {'/ai/embeddings', '/audio_stamped', '/audio_info', '/ai/response', '/ai/listening'} <= topics.keys()
    services = {
        service: interface(types[0])
        for service, types in ros.node.get_service_names_and_types()
        if not service.endswith(ALLOWED) and not service.startswith('/test/')
    }
    assert {'/ai/cancel', '/ai/events/list', '/ai/acknowledge_alert', '/decoder/get_state'} <= services.keys()
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publishers = {topic: ros.node.create_publisher(kind, topic, latched) for topic, kind in topics.items()}
    clients = {service: ros.node.create_client(kind, service) for service, kind in services.items()}
    ros.until(lambda: all(client.service_is_ready() for client in clients.values()), process)
    ros.until(lambda: len(reported_s) > 3, process)

    rng = np.random.default_rng(1)
    settled = 0
    ends = [*publishers.items(), *clients.items()]
    for number in range(MESSAGES):
        name, end = ends[int(rng.integers(len(ends)))]
        if name in topics:
            end.publish(hostile(topics[name], rng))
        else:
            end.call_async(hostile(services[name].Request, rng))
        ros.spin(0.002)
        if number == MESSAGES // 2:
            settled = resident_bytes(process.popen.pid)
        assert process.alive, process.log[-3000:]
    ros.spin(3.0)
    assert process.alive, process.log[-3000:]
    assert 'Traceback' not in process.log, process.log[process.log.index('Traceback') :][:3000]
    assert resident_bytes(process.popen.pid) - settled < 100e6
    gaps_s = np.diff(reported_s)
    assert gaps_s.max() < 0.5 + 0.4 + 0.5, f'{gaps_s.max():.2f} s'  # and what a loaded machine adds
    assert sum(counts.values()) > 100, counts

    # The messages said that the microphone is closed, that the file is over, that sound has another format. With true
    # ones, listening goes on.
    for publisher in publishers.values():
        ros.node.destroy_publisher(publisher)
    for on in (False, True):
        assert ros.call(SetBool, 'ai/set_listening', SetBool.Request(data=on), 20.0).success
    decisions = ros.hear('ai/decision', Decision, qos.EVENTS)
    ros.until(lambda: len(decisions) > 3, process, 60.0)
    assert process.end() == 0
