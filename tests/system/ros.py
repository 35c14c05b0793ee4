"""Real nodes as real processes on a DDS domain of their own, and a node of the test's to talk to them.

No time here is one that a test needs luck for: what is waited for is a state or a message, and a deadline is there only
to end a test that has failed. Where a requirement is in seconds, `Starvation` says how many of them the machine, and
not the node, has taken.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile

from audio_interaction_ros.cli.domain import RosDomain
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.parameters import NODES
from audio_interaction_ros.nodes.standby import LOCK

BESIDE = ('speaker', 'tool_bridge', 'monitor')
COMPOSED = tuple(name for name in NODES if name not in BESIDE)  # the nodes in the process `assistant`
START_TIMEOUT_S = 120.0  # importing PyTorch takes its time on a busy machine
DEADLINE_S = 60.0
_ASK_AGAIN_S = 3.0
ROSOUT = QoSProfile(depth=1_000, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # as rclpy publishes it, none missed


def free_port() -> int:
    """Of 127.0.0.1, for TCP. Nobody holds it, so it is none of those that the system gives to who asks for any."""
    lowest = int(Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, lowest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', port))
            return port


def resident_bytes(pid: int) -> int:
    """Of a process that is alive."""
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class Process:
    """A node's process and its log."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open('wb') as file:
            self.popen = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text(errors='replace')

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        return self.popen.wait(timeout_s)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        if self.alive:
            self.popen.send_signal(number)
        return self.wait(DEADLINE_S)


class Starvation:
    """A `Starvation` measures for how long the machine has kept processes, and this one, from running.

    Since it was made. The kernel counts how long every thread was ready to run and had no core (its sched-stats.rst);
    where it does not, this is 0 and a requirement in seconds is held to the letter.
    """

    def __init__(self, *processes: Process, pids: Sequence[int] = ()) -> None:
        self._pids = [os.getpid(), *(process.popen.pid for process in processes), *pids]
        self._before = [_waited_ns(pid) for pid in self._pids]

    @property
    def seconds(self) -> float:
        """Return, added over the processes, what the thread that had to wait most has waited."""
        waited_ns = 0
        for pid, before in zip(self._pids, self._before, strict=True):
            waited_ns += max((ns - before.get(thread, 0) for thread, ns in _waited_ns(pid).items()), default=0)
        return waited_ns * 1e-9


def _waited_ns(pid: int) -> dict[str, int]:
    waited = {}
    for path in Path(f'/proc/{pid}/task').glob('*/schedstat'):
        with contextlib.suppress(OSError):  # a thread that has just ended
            waited[path.parent.name] = int(path.read_text().split()[1])
    return waited


class Ros:
    """Processes and a test node on a domain that nobody else is in. Use as a context manager."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self._domain = RosDomain()
        self._folder = folder
        self.environment = {
            **os.environ,
            'AMENT_PREFIX_PATH': os.environ.get('AMENT_PREFIX_PATH', sys.prefix),
            **(environment or {}),
            'ROS_DOMAIN_ID': str(self._domain.number),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONUNBUFFERED': '1',
            'PYTHONFAULTHANDLER': '1',
        }
        self._processes: list[Process] = []
        self._met: dict[str, Process] = {}
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Ros:
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, domain_id=self._domain.number)
        self.node = rclpy.create_node('test', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.alive:
                process.popen.kill()
                process.wait()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
        self._domain.release()

    def start(self, name: str, *ros_args: str, lock: Path | None = None, **parameters: object) -> Process:
        """`python -m audio_interaction_ros.nodes.<name>` with these parameters; those with one lock are one node."""
        command = [sys.executable, '-m', f'audio_interaction_ros.nodes.{name}', '--ros-args', *ros_args]
        for key, value in parameters.items():
            command += ['-p', f'{key}:={value}']
        environment = self.environment | ({LOCK: str(lock)} if lock else {})
        process = Process(command, environment, self._folder / f'{name}-{len(self._processes)}.log')
        self._processes.append(process)
        return process

    def start_active(self, name: str, **parameters: object) -> Process:
        process = self.start(name, **parameters)
        self.wait_state(name, 'active', process)
        return process

    def wait_state(self, name: str, label: str, process: Process) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while (state := self.state(name)) != label:
            assert process.alive, process.log
            assert time.monotonic() < deadline, f'{name} is {state}: {process.log}'
        self._met[name] = process
        self.meet()

    def state(self, name: str) -> str | None:
        """A lifecycle node's state; None while it does not answer."""
        answer = self.call(GetState, f'{name}/get_state', GetState.Request(), timeout_s=1.0)
        return answer.current_state.label if answer else None

    def change_state(self, name: str, label: str) -> bool:
        """A transition by its name: configure, activate, deactivate, cleanup."""
        request = ChangeState.Request(transition=Transition(label=label))
        request.transition.id = getattr(Transition, f'TRANSITION_{label.upper()}')
        return bool(self.call(ChangeState, f'{name}/change_state', request, timeout_s=START_TIMEOUT_S).success)

    def call(self, service_type: Any, service: str, request: Any, timeout_s: float = DEADLINE_S) -> Any:
        """The response; None where there was none in time. The request is sent once."""
        deadline = time.monotonic() + timeout_s
        client = self._clients.get(service)
        if client is None:
            # Kept: a new one has to be found by the node each time, which takes longest when the machine is busy.
            client = self._clients[service] = self.node.create_client(service_type, service)
            self.meet()
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                return None
            self.spin(0.02)
        future = client.call_async(request)
        self._executor.spin_until_future_complete(future, timeout_sec=max(0.1, deadline - time.monotonic()))
        if not future.done():
            client.remove_pending_request(future)
            return None
        return future.result()

    def reach(self, service_type: Any, service: str, request: Any, process: Process) -> None:
        """Return when this service answers; for one whose process was killed and started anew.

        The killed one is taken to be there for a while, and what is sent then may go to it alone.
        """
        answered = lambda: self.call(service_type, service, request, timeout_s=_ASK_AGAIN_S)  # noqa: E731
        self.until(lambda: answered() is not None, process)

    def hear(self, topic: str, message_type: Any, profile: Any = qos.EVENTS) -> list[Any]:
        """A list that grows with what is published, while the test spins; of all nodes that are there already."""
        messages: list[Any] = []
        self.node.create_subscription(message_type, topic, messages.append, profile)
        self.meet()
        return messages

    def talk(self, topic: str, message_type: Any, profile: Any) -> Any:
        """A publisher that has its listener, and whose listener has it."""
        publisher = self.node.create_publisher(message_type, topic, profile)
        self.until(lambda: publisher.get_subscription_count() > 0, f'nobody listens to {topic}')
        self.meet()
        return publisher

    def taken(self, name: str, messages: int = 1) -> None:
        """Return when the node's callbacks have had so many messages of a topic that this test published before.

        A node takes what waits for it in turns, one of each topic and then the requests: a request that is sent after a
        message, and comes on the same way, is answered after the message has been taken.
        """
        for _ in range(messages + 1):
            self.until(lambda: self.state(name) is not None, f'{name} does not answer')

    def spin(self, seconds: float) -> None:
        """Take what comes for so long. Nothing is sure to have happened by then: for that, there are the others."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], otherwise: str | Process, timeout_s: float = DEADLINE_S) -> None:
        """Spin until the condition holds; else fail with the sentence, or with the process's log."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, otherwise.log if isinstance(otherwise, Process) else otherwise
            self._executor.spin_once(timeout_sec=0.1)

    def meet(self) -> None:
        """Return when every node that this test has seen knows of all its publishers, subscriptions and clients.

        That this node has found theirs does not say so, and what is sent before it is lost. But a participant tells of
        what it has in order: whoever answers a client knows what was made before it.
        """
        for name in [name for name, process in self._met.items() if process.alive]:
            client = self.node.create_client(GetState, f'{name}/get_state')
            try:
                self.until(client.service_is_ready, f'{name} is not found')
                future = client.call_async(GetState.Request())
                deadline = time.monotonic() + DEADLINE_S
                while not future.done():
                    assert time.monotonic() < deadline, f'{name} does not answer: {self._met[name].log}'
                    # An answer to a client that the node has not quite found is dropped: ask again.
                    self._executor.spin_until_future_complete(future, timeout_sec=_ASK_AGAIN_S)
                    if not future.done():
                        client.remove_pending_request(future)
                        future = client.call_async(GetState.Request())
            finally:
                self.node.destroy_client(client)
