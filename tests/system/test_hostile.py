"""Thousands of messages and requests that make no sense, to everything that the nodes listen to."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import soundfile
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool

from audio_interaction_ros.msg import Decision
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from tests.system.hostile import hostile
from tests.system.ros import COMPOSED, Starvation, resident_bytes

pytestmark = [pytest.mark.system, pytest.mark.slow]

MESSAGES = 5_000  # to each
HEARD = {'/ai/embeddings', '/audio_stamped', '/audio_info', '/ai/response', '/ai/listening', '/ai/safety_alert'}
ANSWERED = {'/ai/cancel', '/ai/events/list', '/ai/acknowledge_alert', '/decoder/get_state', '/audio_capture/get_state'}
NOT_OURS = ('/parameter_events', '/clock', '/rosout')
# They stop the assistant on purpose, and rightly.
ALLOWED = ('/change_state', '/set_listening', '/set_parameters', '/set_parameters_atomically')


def interface(name: str) -> type:
    package, folder, kind = name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), kind)


class Assistant:
    """One process with all nodes, and what it says of itself."""

    def __init__(self, ros, process):
        self.ros, self.process = ros, process
        self.reported_s: list[float] = []
        self.counts: dict[str, int] = {}
        ros.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == '/decoder: status':
                self.reported_s.append(nanoseconds_of(message.header.stamp) * 1e-9)
            values = {value.key: value.value for value in status.values if value.key.startswith('refused')}
            self.counts.update({f'{status.name} {key}': int(value) for key, value in values.items()})

    def bear(self, sends) -> None:
        """Many messages, each by one of these functions; stalls are seen by the diagnostics, which the same executor
        sends twice a second and stamps."""
        alive, rng, settled = self.process, np.random.default_rng(1), 0
        self.ros.until(lambda: len(self.reported_s) > 3, alive)
        self.reported_s.clear()
        starved = Starvation(alive)
        for number in range(MESSAGES):
            sends[int(rng.integers(len(sends)))](rng)
            self.ros.spin(0.002)
            if number == MESSAGES // 2:
                settled = resident_bytes(alive.popen.pid)
            assert alive.alive, alive.log[-3000:]
        self.ros.spin(3.0)
        assert alive.alive, alive.log[-3000:]
        assert 'Traceback' not in alive.log, alive.log[alive.log.index('Traceback') :][:3000]
        assert resident_bytes(alive.popen.pid) - settled < 100e6
        longest_s = np.diff(self.reported_s).max()
        assert longest_s < 0.5 + 0.4 + 0.5 + starved.seconds, f'{longest_s:.2f} s, {starved.seconds:.2f} s starved'

    def hears(self) -> None:
        """The messages said that the microphone is closed, that the file is over, that sound has another format. With
        true ones, listening goes on."""
        for on in (False, True):
            assert self.ros.call(SetBool, 'ai/set_listening', SetBool.Request(data=on)).success
        decisions = self.ros.hear('ai/decision', Decision, qos.EVENTS)
        self.ros.until(lambda: len(decisions) > 3, self.process, 200.0)


@pytest.fixture(scope='module')
def assistant(shared_ros, tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp('assistant')
    sound = folder / 'sound.wav'
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 300), 16_000)
    process = shared_ros.start('assistant', checkpoint=tiny_checkpoint, file=sound, path=folder / 'events.db')
    for name in COMPOSED:
        shared_ros.wait_state(name, 'active', process)
    yield Assistant(shared_ros, process)
    assert process.end() == 0


def test_no_message_crashes_stalls_or_swells_the_assistant(assistant):
    ros = assistant.ros

    def heard():
        """What is listened to; it becomes known bit by bit."""
        return {
            topic: interface(types[0])
            for topic, types in ros.node.get_topic_names_and_types()
            if topic not in NOT_OURS and ros.node.count_subscribers(topic)
        }

    ros.until(lambda: heard().keys() >= HEARD, assistant.process)
    topics = heard()
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publishers = {topic: ros.node.create_publisher(kind, topic, latched) for topic, kind in topics.items()}
    ros.meet()
    assistant.bear(
        [
            lambda rng, kind=topics[topic], publisher=publisher: publisher.publish(hostile(kind, rng))
            for topic, publisher in publishers.items()
        ]
    )
    ros.until(lambda: sum(assistant.counts.values()) > 100, f'few were refused: {assistant.counts}')
    for publisher in publishers.values():
        ros.node.destroy_publisher(publisher)
    ros.meet()
    assistant.hears()


def test_no_request_crashes_stalls_or_swells_the_assistant(assistant):
    ros = assistant.ros

    def answered():
        """Which requests are answered; it becomes known bit by bit."""
        return {
            service: interface(types[0])
            for service, types in ros.node.get_service_names_and_types()
            if not service.endswith(ALLOWED) and not service.startswith('/test/')
        }

    ros.until(lambda: answered().keys() >= ANSWERED, assistant.process)
    services = answered()
    clients = {service: ros.node.create_client(kind, service) for service, kind in services.items()}
    ros.until(lambda: all(client.service_is_ready() for client in clients.values()), assistant.process)
    ros.meet()
    assistant.bear(
        [
            lambda rng, kind=services[service], client=client: client.call_async(hostile(kind.Request, rng))
            for service, client in clients.items()
        ]
    )
    assistant.hears()
