"""Counters and measurements of a node, published on /diagnostics twice a second (contract 6)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from audio_interaction_ros.nodes import qos

_LOG_EVERY_S = 10.0
_PERIOD_S = 0.5
_GROWING_S = 2.0  # a count is said to grow for so long, so that whoever looks once a second sees it


class Diagnostics:
    """Troubles are counted by kind, from any thread.

    The status is an error while the node cannot do its job, and a warning while a count is growing.
    """

    def __init__(
        self, node: Node, measurements: Callable[[], Mapping[str, object]], problem: Callable[[], str]
    ) -> None:
        """Asked at every report: `measurements` for what else to show, `problem` for what keeps the node from its job,
        in a sentence that is empty where nothing does."""
        self._node = node
        self._problem = problem
        self._measurements = measurements
        self._lock = threading.Lock()
        self._troubles: Counter[str] = Counter()
        self._grew_s: dict[str, float] = {}
        self._logged_s: dict[str, float] = {}
        self._compute_s: list[float] = []
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        # A steady clock: diagnostics go on when simulated time stands still.
        node.create_timer(_PERIOD_S, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def trouble(self, kind: str, sentence: str, count: int = 1) -> None:
        """Count it, and log the sentence the first time and then at most every ten seconds a kind."""
        now_s = time.monotonic()
        with self._lock:
            self._troubles[kind] += count
            self._grew_s[kind] = now_s
            total = self._troubles[kind]
            if now_s - self._logged_s.get(kind, -_LOG_EVERY_S) < _LOG_EVERY_S:
                return
            self._logged_s[kind] = now_s
        self._node.get_logger().error(f'{sentence} ({kind}: {total})')

    def computed(self, duration_s: float) -> None:
        """The model took this long for one piece of work."""
        with self._lock:
            self._compute_s.append(duration_s)
            del self._compute_s[:-1000]

    def _publish(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            troubles = Counter(self._troubles)
            growing = [kind for kind, grew_s in self._grew_s.items() if now_s - grew_s < _GROWING_S]
            compute_s, self._compute_s = self._compute_s, []
        problem = self._problem()
        values = {**self._measurements(), **troubles}
        if compute_s:
            values['compute_ms_mean'] = f'{1e3 * sum(compute_s) / len(compute_s):.1f}'
            values['compute_ms_max'] = f'{1e3 * max(compute_s):.1f}'
        name = self._node.get_fully_qualified_name()
        level, message = DiagnosticStatus.OK, 'ok'
        if problem:
            level, message = DiagnosticStatus.ERROR, problem
        elif growing:
            level, message = DiagnosticStatus.WARN, f'growing: {", ".join(growing)}'
        status = DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            hardware_id=name,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
