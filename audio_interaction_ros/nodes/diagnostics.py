"""Counters and measurements of a node, published on /diagnostics once a second (contract 6)."""

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


class Diagnostics:
    """Troubles are counted by kind, from any thread; the status is a warning while a count is growing."""

    def __init__(self, node: Node, measurements: Callable[[], Mapping[str, object]]) -> None:
        """`measurements`: called once a second for what else to show."""
        self._node = node
        self._measurements = measurements
        self._lock = threading.Lock()
        self._troubles: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._logged_s: dict[str, float] = {}
        self._compute_s: list[float] = []
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        # A steady clock: diagnostics go on when simulated time stands still.
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def trouble(self, kind: str, sentence: str, count: int = 1) -> None:
        """Count it, and log the sentence the first time and then at most every ten seconds a kind."""
        now_s = time.monotonic()
        with self._lock:
            self._troubles[kind] += count
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
        with self._lock:
            troubles = Counter(self._troubles)
            compute_s, self._compute_s = self._compute_s, []
        growing = [kind for kind in troubles if troubles[kind] > self._published[kind]]
        self._published = troubles
        values = {**self._measurements(), **troubles}
        if compute_s:
            values['compute_ms_mean'] = f'{1e3 * sum(compute_s) / len(compute_s):.1f}'
            values['compute_ms_max'] = f'{1e3 * max(compute_s):.1f}'
        name = self._node.get_fully_qualified_name()
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if growing else DiagnosticStatus.OK,
            name=name,
            message=f'growing: {", ".join(growing)}' if growing else 'ok',
            hardware_id=name,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
