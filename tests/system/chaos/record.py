"""What is seen of a chaos run, and what it amounts to."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from audio_interaction_ros.msg import Decision, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from tests.system.chaos.faults import STEP_S
from tests.system.ros import Ros

STALE_S = 3.0
DEAF_S = 2.5  # 2 s for the alert, and what it takes to be heard here


@dataclass
class Record:
    """What was seen; times are of the steady clock."""

    decided_s: list[float] = field(default_factory=list)
    reported_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    deaf_alerts_s: list[float] = field(default_factory=list)
    responses: int = 0
    stale_responses: int = 0
    undeclared: int = 0
    _stream: int | None = None
    _newest: int = -1
    _declared: int = 0
    _begun: set[str] = field(default_factory=set)

    def decision(self, decision: Decision, now_s: float) -> None:
        """Within a stream, every chunk is drained or declared lost; a decoder that starts anew starts to count anew."""
        self.decided_s.append(now_s)
        if decision.stream_id == self._stream and decision.chunks_lost >= self._declared:
            missing = decision.chunk_index - self._newest - decision.chunks_drained
            self.undeclared += max(0, missing - (decision.chunks_lost - self._declared))
        self._stream, self._newest, self._declared = decision.stream_id, decision.chunk_index, decision.chunks_lost

    def decoder_began(self) -> None:
        """A new decoder hears from now on; of what came before it knows nothing, and neither does it say so."""
        self._stream = None

    def response(self, response: Response, age_s: float) -> None:
        if response.id not in self._begun:
            self._begun.add(response.id)
            self.responses += 1
            self.stale_responses += age_s > STALE_S

    def alert(self, alert: SafetyAlert, now_s: float) -> None:
        if alert.hazard == 'listening_lost' and alert.state != SafetyAlert.CLEARED:
            self.deaf_alerts_s.append(now_s)

    def well_s(self, mended_s: float, name: str = '', began_s: float = 0.0) -> float | None:
        """When sound of after `mended_s` was decided on and the node `name`, if one is named, had reported after
        `began_s`; None while that is to come."""
        decided_s = next((at for at in self.decided_s if at > mended_s + 0.4), None)
        reported_s = next((at for at in self.reported_s[name] if at > began_s), None) if name else decided_s
        return None if decided_s is None or reported_s is None else max(decided_s, reported_s)

    def alerts_missed(self, excused: list[tuple[float, float]]) -> int:
        """Gaps between decisions in which nobody said so; while safety_alert itself was out, nobody could."""
        missed = 0
        for before, after in zip(self.decided_s, self.decided_s[1:], strict=False):
            silent = after - before > DEAF_S
            told = any(before < at <= after for at in self.deaf_alerts_s)
            missed += silent and not told and not any(begin < after and before < end for begin, end in excused)
        return missed


def watch(ros: Ros, record: Record) -> None:
    """Fill the record while the test node spins."""

    def age_s(stamp: Any) -> float:
        """Whether or not the clock was ahead then."""
        seen_s = (time.time_ns() - nanoseconds_of(stamp)) * 1e-9
        return (seen_s + STEP_S / 2) % STEP_S - STEP_S / 2

    node = ros.node
    node.create_subscription(
        Decision, 'ai/decision', lambda decision: record.decision(decision, time.monotonic()), qos.EVENTS
    )
    node.create_subscription(
        Response, 'ai/response', lambda response: record.response(response, age_s(response.header.stamp)), qos.EVENTS
    )
    node.create_subscription(
        DiagnosticArray,
        '/diagnostics',
        lambda array: record.reported_s[array.status[0].name.lstrip('/')].append(time.monotonic()),
        qos.DIAGNOSTICS,
    )
    node.create_subscription(
        SafetyAlert, 'ai/safety_alert', lambda alert: record.alert(alert, time.monotonic()), qos.ALERTS
    )
