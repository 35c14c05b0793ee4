"""Counters, measurements and rates of a node, published on /diagnostics twice a second (contract 6).

Names, levels and keys are diagnostic_updater's, so that its tools read them. It is not the library itself because that
is not on PyPI, where everything else of ROS that the nodes need comes from.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from audio_interaction_ros.nodes import qos

TASK_SEPARATOR = ': '  # between the node and what of it a status is about, as diagnostic_updater has it
_LOG_EVERY_S = 10.0
_PERIOD_S = 0.5  # diagnostic_updater takes 1 s; ai/health must tell within two that a node has fallen silent
_GROWING_S = 2.0  # a count is said to grow for so long, so that whoever looks once a second sees it
_LASTS_S = 3.0  # a condition that nobody tells of any more is over
_SAY_AGAIN_S = 60.0
_WINDOW_REPORTS = 5  # as FrequencyStatus


def merge_summaries(summaries: Iterable[tuple[bytes, str]]) -> tuple[bytes, str]:
    """Return the highest level and, if that is above OK, all messages above OK, as DiagnosticStatusWrapper merges."""
    all_of_them = list(summaries)
    level = max((level for level, _ in all_of_them), default=DiagnosticStatus.OK)
    if level == DiagnosticStatus.OK:
        return level, next((message for _, message in all_of_them if message), '')
    return level, '; '.join(message for own, message in all_of_them if own != DiagnosticStatus.OK)


class FrequencyStatus:
    """A `FrequencyStatus` counts events and reports how often they came, over a window of the last reports.

    It has no bounds: silence may be wanted, and whether it is, `safety_alert` knows better (`ai/health`).
    """

    def __init__(self, now_s: float) -> None:
        self._events = 0
        self._reports = deque([(now_s, 0)], maxlen=_WINDOW_REPORTS)

    def tick(self) -> None:
        """Count an event; call in one thread only."""
        self._events += 1

    def report(self, now_s: float) -> tuple[str, dict[str, object]]:
        """Return a message and diagnostic_updater's values."""
        then_s, before = self._reports[0]
        count = self._events
        self._reports.append((now_s, count))
        window_s = now_s - then_s
        return 'Desired frequency met' if count > before else 'No events recorded.', {
            'Events in window': count - before,
            'Events since startup': count,
            'Duration of window (s)': f'{window_s:.3f}',
            'Actual frequency (Hz)': f'{(count - before) / window_s if window_s else 0.0:.3f}',
        }


@dataclass(frozen=True)
class _Condition:
    """A `_Condition` is what is wrong now, when that was told of last, and when and in which words it was logged."""

    sentence: str
    level: bytes
    told_s: float
    logged_s: float
    logged: str


class Diagnostics:
    """A `Diagnostics` publishes a node's state; troubles are counted by kind, from any thread.

    The status is an error while the node cannot do its job, and a warning while a count is growing. Conditions are
    warnings or errors that last.
    """

    def __init__(
        self,
        node: Node,
        measurements: Callable[[], Mapping[str, object]],
        problem: Callable[[], str],
        hardware_id: Callable[[], str] = lambda: 'none',
    ) -> None:
        """Ask these at every report.

        `measurements`: what else to show; `problem`: what keeps the node from its job, in a sentence that is empty
        where nothing does; `hardware_id`: the device that the node depends on, or 'none'.
        """
        self._node = node
        self._problem, self._measurements, self._hardware_id = problem, measurements, hardware_id
        self._lock = threading.Lock()
        self._troubles: Counter[str] = Counter()
        self._grew_s: dict[str, float] = {}
        self._logged_s: dict[str, float] = {}
        self._conditions: dict[str, _Condition] = {}
        self._frequencies: dict[str, FrequencyStatus] = {}
        self._computed: tuple[int, float, float] = 0, 0.0, 0.0  # how often; seconds in all; the longest
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

    def condition(self, kind: str, sentence: str, level: bytes = DiagnosticStatus.WARN) -> None:
        """Report what is wrong now: call again while it lasts, at least once in two seconds; '' says that it is over.

        It is logged when it begins, every ten seconds at most when it changes, once a minute while it lasts, and when
        it ends.
        """
        now_s = time.monotonic()
        with self._lock:
            before = self._conditions.pop(kind, None)
            if sentence:
                known = before is not None and before.level == level
                changed = before is None or before.logged != sentence
                silent_s = now_s - before.logged_s if before and known else _SAY_AGAIN_S
                say = silent_s >= (_LOG_EVERY_S if changed else _SAY_AGAIN_S)
                logged = (now_s, sentence) if say or before is None else (before.logged_s, before.logged)
                self._conditions[kind] = _Condition(sentence, level, now_s, *logged)
        logger = self._node.get_logger()
        if before and not sentence:
            logger.info(f'over: {before.sentence}')
        elif sentence and say:
            words = sentence if changed else f'still: {sentence}'
            if level == DiagnosticStatus.ERROR:
                logger.error(words)
            else:  # rclpy allows one severity at each place
                logger.warning(words)

    @property
    def conditions(self) -> list[str]:
        """Return what is wrong now, a sentence each."""
        with self._lock:
            return [each.sentence for each in self._conditions.values()]

    def computed(self, duration_s: float) -> None:
        """Note that the model took so long for one piece of work."""
        with self._lock:
            times, total_s, longest_s = self._computed
            self._computed = times + 1, total_s + duration_s, max(longest_s, duration_s)

    def frequency_of(self, topic: str) -> FrequencyStatus:
        """Report how often a topic is published, until `forget_frequencies`; call `tick` with every message."""
        return self._frequencies.setdefault(topic, FrequencyStatus(time.monotonic()))

    def forget_frequencies(self) -> None:
        """Report no topic any more, because they are gone."""
        self._frequencies.clear()

    def _publish(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            troubles = Counter(self._troubles)
            growing = [kind for kind, grew_s in self._grew_s.items() if now_s - grew_s < _GROWING_S]
            lasting = {kind: each for kind, each in self._conditions.items() if now_s - each.told_s < _LASTS_S}
            self._conditions = lasting
            conditions = [(each.level, each.sentence) for each in lasting.values()]
            (times, total_s, longest_s), self._computed = self._computed, (0, 0.0, 0.0)
        summaries = [(DiagnosticStatus.OK, 'ok')]
        if problem := self._problem():
            summaries.append((DiagnosticStatus.ERROR, problem))
        summaries += conditions
        if growing:
            summaries.append((DiagnosticStatus.WARN, f'growing: {", ".join(growing)}'))
        values = {**self._measurements(), **troubles}
        if times:
            values['compute_ms_mean'] = f'{1e3 * total_s / times:.1f}'
            values['compute_ms_max'] = f'{1e3 * longest_s:.1f}'
        array = DiagnosticArray(status=[self._status('status', *merge_summaries(summaries), values)])
        for topic, frequency in self._frequencies.items():
            array.status.append(self._status(f'{topic} topic status', DiagnosticStatus.OK, *frequency.report(now_s)))
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _status(self, task: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=level,
            # With the namespace, as diagnostic_updater's `use_fqn`: two robots may share a domain.
            name=f'{self._node.get_fully_qualified_name()}{TASK_SEPARATOR}{task}',
            message=message,
            hardware_id=self._hardware_id(),
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
