"""When to raise, update and clear an alert. Time is a number given by the caller."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from audio_interaction_ros.safety.alarm_signatures import TOLD_AGAIN_WITHIN_S
from audio_interaction_ros.safety.hazards import Hazard, Severity


class AlertState(IntEnum):
    """An `AlertState` is what became of an alert, numbered as in msg/SafetyAlert.msg."""

    RAISED = 0
    UPDATED = 1
    CLEARED = 2


class HeardBy(IntFlag):
    """A `HeardBy` names who heard a hazard, numbered as in msg/SafetyAlert.msg."""

    MODEL = 1
    SIGNATURE = 2
    BOTH = 3
    SUPERVISION = 4


@dataclass(frozen=True)
class Alert:
    """An `Alert` is one version of what msg/SafetyAlert.msg says of a hazard, from raised to cleared."""

    id: str
    hazard: str
    severity: Severity
    state: AlertState
    message: str
    confidence: float
    response_id: str
    heard_by: HeardBy = HeardBy.MODEL
    acknowledged: bool = False
    escalations: int = 0


class AlertPolicy:
    """An `AlertPolicy` keeps one alert a hazard: raised once, updated when heard again, cleared after quiet.

    An open alert that nobody acknowledges grows more severe, and is published again, as often as its hazard says.

    A hazard that comes back after its alert was cleared, but within `cooldown_s` of being heard last, reopens
    that alert (UPDATED, same id): news for those who follow it, no new alarm. A signature knows what it hears better
    than a model that knows but one kind of alarm: where the model's word for it is among the hazard's `also_called`,
    the two share one alert under the signature's name.
    """

    def __init__(self, cooldown_s: float, clear_after_s: float) -> None:
        """Begin without alerts; both times are in seconds and may be changed at any time."""
        self.cooldown_s = cooldown_s
        self.clear_after_s = clear_after_s
        self._latest: dict[str, Alert] = {}
        self._heard_s: dict[str, float] = {}
        self._escalated_s: dict[str, float] = {}
        self._hazards: dict[str, Hazard] = {}

    def heard(
        self,
        hazard: Hazard,
        message: str,
        confidence: float,
        response_id: str,
        now_s: float,
        heard_by: HeardBy = HeardBy.MODEL,
    ) -> Alert:
        """Raise or update the alert of a hazard that was heard, and return it; a signature's `response_id` is empty."""
        self._hazards[hazard.name] = hazard
        if heard_by is HeardBy.MODEL and (name := self._heard_as(hazard)) is not None:
            return self._update(name, now_s, response_id=response_id, heard_by=self._latest[name].heard_by | heard_by)
        if heard_by is HeardBy.SIGNATURE:
            self._rename(hazard)
        known = self._latest.get(hazard.name)
        cooldown_s = self.cooldown_s if hazard.cooldown_s is None else hazard.cooldown_s
        over = known is not None and known.state is AlertState.CLEARED
        if known is None or (over and now_s - self._heard_s[hazard.name] > cooldown_s):
            id_ = f'{hazard.name}-{response_id or secrets.token_hex(4)}'
            alert = Alert(
                id_, hazard.name, hazard.severity, AlertState.RAISED, message, confidence, response_id, heard_by
            )
            self._escalated_s[hazard.name] = now_s
        else:
            if over:  # back again: whoever noticed it before has not noticed this
                known = replace(known, severity=hazard.severity, acknowledged=False, escalations=0)
                self._escalated_s[hazard.name] = now_s
            alert = replace(
                known,
                hazard=hazard.name,
                severity=max(known.severity, hazard.severity),
                state=AlertState.UPDATED,
                message=message,
                confidence=confidence,
                response_id=response_id or known.response_id,
                heard_by=heard_by | known.heard_by,
            )
        self._latest[hazard.name] = alert
        self._heard_s[hazard.name] = now_s
        return alert

    def clear_quiet(self, now_s: float) -> list[Alert]:
        """Clear and return the alerts whose hazard was not heard for `clear_after_s`.

        Quiet says nothing where nobody is heard from in between: an alert of the supervision lasts until `clear`, and
        one of a signature for at least as long as an alarm that goes on may leave until it is told again.
        """
        for name, heard_s in self._heard_s.items():  # a bag played again sets simulated time back
            self._heard_s[name] = min(heard_s, now_s)
        return [self._clear(name) for name in self._open() if now_s - self._heard_s[name] >= self._quiet_s(name)]

    def escalate(self, now_s: float) -> list[Alert]:
        """Make alerts that were left unacknowledged for too long one severity higher, and return them."""
        escalated = []
        for name in self._open():
            alert, after_s = self._latest[name], self._hazards[name].escalate_after_s
            self._escalated_s[name] = min(self._escalated_s[name], now_s)
            if alert.acknowledged or not after_s or now_s - self._escalated_s[name] < after_s:
                continue
            self._escalated_s[name] = now_s
            severity = Severity(min(alert.severity + 1, Severity.DANGER))
            self._latest[name] = replace(
                alert, state=AlertState.UPDATED, severity=severity, escalations=alert.escalations + 1
            )
            escalated.append(self._latest[name])
        return escalated

    def acknowledge(self, id_: str) -> list[Alert]:
        """Acknowledge and return the open alert of this id, or all of them where it is empty."""
        found = [name for name in self._open() if id_ in ('', self._latest[name].id)]
        for name in found:
            self._latest[name] = replace(self._latest[name], state=AlertState.UPDATED, acknowledged=True)
        return [self._latest[name] for name in found]

    def clear(self, name: str) -> Alert:
        """Clear a hazard that is known to be over, and return its alert."""
        return self._clear(name)

    def clear_all(self) -> list[Alert]:
        """Clear and return every open alert, because nobody will listen any more."""
        return [self._clear(name) for name in self._open()]

    @property
    def open_alerts(self) -> int:
        """Return how many alerts are raised and not cleared."""
        return len(self._open())

    def _open(self) -> list[str]:
        return [name for name, alert in self._latest.items() if alert.state is not AlertState.CLEARED]

    def _clear(self, name: str) -> Alert:
        self._latest[name] = replace(self._latest[name], state=AlertState.CLEARED)
        return self._latest[name]

    def _quiet_s(self, name: str) -> float:
        heard_by = self._latest[name].heard_by
        if HeardBy.SUPERVISION in heard_by:
            return math.inf
        return max(self.clear_after_s, TOLD_AGAIN_WITHIN_S if HeardBy.SIGNATURE in heard_by else 0.0)

    def _heard_as(self, hazard: Hazard) -> str | None:
        """The open alert of a signature that the model calls `hazard`."""
        for name in self._open():
            if HeardBy.SIGNATURE in self._latest[name].heard_by and hazard.name in self._hazards[name].also_called:
                return name
        return None

    def _rename(self, hazard: Hazard) -> None:
        """Give an open alert that only the model heard the name that the signature knows."""
        for name in self._open():
            if name in hazard.also_called and self._latest[name].heard_by is HeardBy.MODEL:
                if hazard.name not in self._open():
                    self._latest[hazard.name] = self._latest[name]
                    self._heard_s[hazard.name] = self._heard_s[name]
                    self._escalated_s[hazard.name] = self._escalated_s[name]
                    del self._latest[name], self._heard_s[name], self._escalated_s[name]
                return

    def _update(self, name: str, now_s: float, **changes: object) -> Alert:
        self._latest[name] = replace(self._latest[name], state=AlertState.UPDATED, **changes)  # type: ignore[arg-type]
        self._heard_s[name] = now_s
        return self._latest[name]
