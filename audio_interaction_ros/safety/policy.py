"""When to raise, update and clear an alert. Time is a number given by the caller."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from audio_interaction_ros.safety.hazards import Hazard, Severity


class AlertState(IntEnum):
    """As in msg/SafetyAlert.msg."""

    RAISED = 0
    UPDATED = 1
    CLEARED = 2


@dataclass(frozen=True)
class Alert:
    id: str
    hazard: str
    severity: Severity
    state: AlertState
    message: str
    confidence: float
    response_id: str


class AlertPolicy:
    """One alert a hazard: raised once, updated when heard again, cleared after quiet.

    A hazard that comes back after its alert was cleared, but within `cooldown_s` of being heard last, reopens
    that alert (UPDATED, same id): news for those who follow it, no new alarm.
    """

    def __init__(self, cooldown_s: float, clear_after_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._clear_after_s = clear_after_s
        self._latest: dict[str, Alert] = {}
        self._heard_s: dict[str, float] = {}

    def heard(self, hazard: Hazard, message: str, confidence: float, response_id: str, now_s: float) -> Alert:
        """A hazard was heard: the alert to publish."""
        known = self._latest.get(hazard.name)
        if known is None or now_s - self._heard_s[hazard.name] > self._cooldown_s:
            id_, state = f'{hazard.name}-{response_id}', AlertState.RAISED
        else:
            id_, state = known.id, AlertState.UPDATED
        alert = Alert(id_, hazard.name, hazard.severity, state, message, confidence, response_id)
        self._latest[hazard.name] = alert
        self._heard_s[hazard.name] = now_s
        return alert

    def clear_quiet(self, now_s: float) -> list[Alert]:
        """The alerts whose hazard was not heard for `clear_after_s`, now cleared."""
        for name, heard_s in self._heard_s.items():  # a bag played again sets simulated time back
            self._heard_s[name] = min(heard_s, now_s)
        return [self._clear(name) for name in self._open() if now_s - self._heard_s[name] >= self._clear_after_s]

    def clear_all(self) -> list[Alert]:
        """Take every open alert back, because nobody will listen any more."""
        return [self._clear(name) for name in self._open()]

    @property
    def open_alerts(self) -> int:
        return len(self._open())

    def _open(self) -> list[str]:
        return [name for name, alert in self._latest.items() if alert.state is not AlertState.CLEARED]

    def _clear(self, name: str) -> Alert:
        self._latest[name] = replace(self._latest[name], state=AlertState.CLEARED)
        return self._latest[name]
