"""When to raise, update and clear an alert. Time is a number given by the caller."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from audio_interaction_ros.safety.hazards import Hazard, Severity


class AlertState(IntEnum):
    """As in msg/SafetyAlert.msg."""

    RAISED = 0
    UPDATED = 1
    CLEARED = 2


class HeardBy(IntFlag):
    """As in msg/SafetyAlert.msg."""

    MODEL = 1
    SIGNATURE = 2
    BOTH = 3
    SUPERVISION = 4


@dataclass(frozen=True)
class Alert:
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
    """One alert a hazard, whoever hears it: raised once, updated when heard again, cleared after quiet.

    An open alert that nobody acknowledges grows more severe, and is published again, as often as its hazard says.

    A hazard that comes back after its alert was cleared, but within `cooldown_s` of being heard last, reopens
    that alert (UPDATED, same id): news for those who follow it, no new alarm. A signature knows what it hears better
    than a model that knows but one kind of alarm: where the model's word for it is among the hazard's `also_called`,
    the two share one alert under the signature's name.
    """

    def __init__(self, cooldown_s: float, clear_after_s: float) -> None:
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
        """A hazard was heard: the alert to publish. `response_id` is empty for a signature."""
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
        """The alerts whose hazard was not heard for `clear_after_s`, now cleared."""
        for name, heard_s in self._heard_s.items():  # a bag played again sets simulated time back
            self._heard_s[name] = min(heard_s, now_s)
        return [self._clear(name) for name in self._open() if now_s - self._heard_s[name] >= self.clear_after_s]

    def escalate(self, now_s: float) -> list[Alert]:
        """The open alerts that were left unacknowledged for too long, one severity higher."""
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
        """The open alert of this id, or all of them where it is empty, now acknowledged."""
        found = [name for name in self._open() if id_ in ('', self._latest[name].id)]
        for name in found:
            self._latest[name] = replace(self._latest[name], state=AlertState.UPDATED, acknowledged=True)
        return [self._latest[name] for name in found]

    def goes_on(self, name: str, now_s: float) -> None:
        """An open alert's hazard is still there: not news, but no quiet either."""
        self._heard_s[name] = now_s

    def clear(self, name: str) -> Alert:
        """A hazard is known to be over."""
        return self._clear(name)

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
