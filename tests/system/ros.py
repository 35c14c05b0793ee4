"""Real nodes as real processes on a DDS domain of their own, and a node of the test's to talk to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor

from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.standby import LOCK

START_TIMEOUT_S = 100.0  # importing PyTorch takes its time on a busy machine
_used_domains = 0


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
        """Send a signal; the exit status."""
        if self.alive:
            self.popen.send_signal(number)
        return self.wait(20.0)


class Ros:
    """Processes and a test node on a fresh domain. Use as a context manager."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        global _used_domains
        _used_domains += 1
        self._domain = 1 + (os.getpid() + _used_domains) % 100
        self._folder = folder
        self.environment = {
            **os.environ,
            'AMENT_PREFIX_PATH': os.environ.get('AMENT_PREFIX_PATH', sys.prefix),
            **(environment or {}),
            'ROS_DOMAIN_ID': str(self._domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONUNBUFFERED': '1',
            'PYTHONFAULTHANDLER': '1',
        }
        self._processes: list[Process] = []

    def __enter__(self) -> Ros:
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, domain_id=self._domain)
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

    def state(self, name: str) -> str | None:
        """A lifecycle node's state; None while it does not answer."""
        answer = self.call(GetState, f'{name}/get_state', GetState.Request(), timeout_s=1.0)
        return answer.current_state.label if answer else None

    def change_state(self, name: str, label: str) -> bool:
        """A transition by its name: configure, activate, deactivate, cleanup."""
        request = ChangeState.Request(transition=Transition(label=label))
        request.transition.id = getattr(Transition, f'TRANSITION_{label.upper()}')
        return bool(self.call(ChangeState, f'{name}/change_state', request, timeout_s=START_TIMEOUT_S).success)

    def call(self, service_type: Any, service: str, request: Any, timeout_s: float) -> Any:
        client = self.node.create_client(service_type, service)
        try:
            deadline = time.monotonic() + timeout_s
            while not client.service_is_ready():
                if time.monotonic() > deadline:
                    return None
                self.spin(0.05)
            future = client.call_async(request)
            self._executor.spin_until_future_complete(future, timeout_sec=max(0.1, deadline - time.monotonic()))
            return future.result() if future.done() else None
        finally:
            self.node.destroy_client(client)

    def hear(self, topic: str, message_type: Any, profile: Any = qos.EVENTS) -> list[Any]:
        """A list that grows with what is published, while the test spins."""
        messages: list[Any] = []
        self.node.create_subscription(message_type, topic, messages.append, profile)
        return messages

    def talk(self, topic: str, message_type: Any, profile: Any) -> Any:
        """A publisher that has its listener."""
        publisher = self.node.create_publisher(message_type, topic, profile)
        self.until(lambda: publisher.get_subscription_count() > 0, f'nobody listens to {topic}')
        return publisher

    def spin(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], otherwise: str | Process, timeout_s: float = 20.0) -> None:
        """Spin until the condition holds; else fail with the sentence, or with the process's log."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, otherwise.log if isinstance(otherwise, Process) else otherwise
            self._executor.spin_once(timeout_sec=0.1)
