"""When to raise, update and clear an alert. Time is a number given by the caller."""

from __future__ import annotations

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


class AlertPolicy:
    """One alert a hazard, whoever hears it: raised once, updated when heard again, cleared after quiet.

    A hazard that comes back after its alert was cleared, but within `cooldown_s` of being heard last, reopens
    that alert (UPDATED, same id): news for those who follow it, no new alarm. A signature knows what it hears better
    than a model that knows but one kind of alarm: where the model's word for it is among the hazard's `also_called`,
    the two share one alert under the signature's name.
    """

    def __init__(self, cooldown_s: float, clear_after_s: float) -> None:
        self._cooldown_s = cooldown_s
        self._clear_after_s = clear_after_s
        self._latest: dict[str, Alert] = {}
        self._heard_s: dict[str, float] = {}
        self._also_called: dict[str, frozenset[str]] = {}

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
        self._also_called[hazard.name] = hazard.also_called
        if heard_by is HeardBy.MODEL and (name := self._heard_as(hazard)) is not None:
            return self._update(name, now_s, response_id=response_id, heard_by=self._latest[name].heard_by | heard_by)
        if heard_by is HeardBy.SIGNATURE:
            self._rename(hazard)
        known = self._latest.get(hazard.name)
        if known is None or now_s - self._heard_s[hazard.name] > self._cooldown_s:
            id_, state = f'{hazard.name}-{response_id or round(1e3 * now_s)}', AlertState.RAISED
        else:
            id_, state = known.id, AlertState.UPDATED
            heard_by |= known.heard_by
            response_id = response_id or known.response_id
        alert = Alert(id_, hazard.name, hazard.severity, state, message, confidence, response_id, heard_by)
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

    def _heard_as(self, hazard: Hazard) -> str | None:
        """The open alert of a signature that the model calls `hazard`."""
        for name in self._open():
            if HeardBy.SIGNATURE in self._latest[name].heard_by and hazard.name in self._also_called[name]:
                return name
        return None

    def _rename(self, hazard: Hazard) -> None:
        """Give an open alert that only the model heard the name that the signature knows."""
        for name in self._open():
            if name in hazard.also_called and self._latest[name].heard_by is HeardBy.MODEL:
                if hazard.name not in self._open():
                    self._latest[hazard.name] = self._latest[name]
                    self._heard_s[hazard.name] = self._heard_s[name]
                    del self._latest[name], self._heard_s[name]
                return

    def _update(self, name: str, now_s: float, **changes: object) -> Alert:
        self._latest[name] = replace(self._latest[name], state=AlertState.UPDATED, **changes)  # type: ignore[arg-type]
        self._heard_s[name] = now_s
        return self._latest[name]
