"""What was heard against what was played: the numbers at the end of the demo. Pure arithmetic, no ROS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.matching import SceneEvent, answer_window, match_named
from audio_interaction_ros.safety.policy import AlertState, HeardBy


class DemoScene(BaseModel):
    """A `DemoScene` holds the events of a scene file, from the JSON file beside it."""

    model_config = ConfigDict(frozen=True, extra='ignore')

    events: tuple[SceneEvent, ...]

    @classmethod
    def load(cls, path: Path) -> DemoScene:
        """Read the description of a scene.

        Raises CommandError when the file is not a scene description.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            raise CommandError(
                f"'{path}' does not describe a scene; correct it, or play a scene without such a file: {error}"
            ) from error

    @property
    def hazards(self) -> list[SceneEvent]:
        """Return the events that deserve an answer, by onset."""
        return sorted((event for event in self.events if event.hazard), key=lambda event: event.onset_s)

    def sound_at(self, at_s: float) -> str:
        """Return the category of the sound that can be heard at a second of the scene; empty between two sounds."""
        return next((event.category for event in self.events if event.onset_s <= at_s <= event.end_s), '')


@dataclass(frozen=True)
class HeardDecision:
    """A `HeardDecision` is a decision as it arrived.

    Its stamp is the capture time of the newest chunk's first sample.
    """

    stamp_s: float
    received_s: float
    stream_id: int
    chunk_index: int
    chunks_drained: int
    respond: bool
    chunks_lost: int

    @property
    def latency_s(self) -> float:
        """Return the time from the end of the newest chunk's sound to the arrival."""
        return self.received_s - (self.stamp_s + CHUNK_S)


@dataclass(frozen=True)
class HeardResponse:
    """A `HeardResponse` was received when its first message arrived; its text is that of its last.

    Its stamp is the capture time of its trigger chunk's first sample.
    """

    stamp_s: float
    received_s: float
    text: str = ''


@dataclass(frozen=True)
class HeardAlert:
    """A `HeardAlert` is one message about an alert.

    Its stamp is the capture time of the first sound behind it, where the model heard it of the trigger chunk's.
    """

    stamp_s: float
    received_s: float
    id: str
    hazard: str
    heard_by: HeardBy
    message: str
    response_id: str = ''
    state: AlertState = AlertState.RAISED


@dataclass(frozen=True)
class HazardOutcome:
    """A `HazardOutcome` says what heard a hazard: a response, the alarm's signature, both, or nothing."""

    hazard: SceneEvent
    response: HeardResponse | None
    alert: HeardAlert | None
    misnamed: bool = False  # the response is about another hazard

    @property
    def heard_by(self) -> list[str]:
        """Return the paths that heard it: `model`, `signature`."""
        return ['model'] * (self.response is not None) + ['signature'] * (self.alert is not None)


@dataclass(frozen=True)
class Score:
    """A `Score` says what became of every hazard, and what nothing in the scene called for."""

    scene: DemoScene
    start_s: float
    outcomes: tuple[HazardOutcome, ...]
    false_responses: tuple[HeardResponse, ...]
    false_alerts: tuple[HeardAlert, ...]
    repeats: int

    @property
    def heard(self) -> list[HazardOutcome]:
        """Return the hazards that were heard, by either path."""
        return [outcome for outcome in self.outcomes if outcome.heard_by]

    @property
    def missed(self) -> list[HazardOutcome]:
        """Return the hazards that neither path heard."""
        return [outcome for outcome in self.outcomes if not outcome.heard_by]

    @property
    def false(self) -> list[HeardResponse | HeardAlert]:
        """Return the false responses and the false alerts in the order of time, a response before its alert."""
        return sorted((*self.false_responses, *self.false_alerts), key=self.at_s)

    @property
    def misnamed(self) -> list[HazardOutcome]:
        """Return the hazards whose response is about another hazard."""
        return [outcome for outcome in self.outcomes if outcome.misnamed]

    @property
    def onset_to_response_s(self) -> list[float]:
        """Return the time from onset to response of each hazard that the model answered."""
        return [
            outcome.response.received_s - (self.start_s + outcome.hazard.onset_s)
            for outcome in self.outcomes
            if outcome.response
        ]

    def at_s(self, heard: HeardResponse | HeardAlert) -> float:
        """Return the second of the scene at which a response was triggered or an alert arrived."""
        moment_s = heard.stamp_s + CHUNK_S if isinstance(heard, HeardResponse) else heard.received_s
        return moment_s - self.start_s


def signature_alerts(alerts: Iterable[HeardAlert]) -> list[HeardAlert]:
    """Return the messages that were sent because a signature was heard, in the order given.

    Others of the same alert say that a response named it (another `response_id`), or bring no new sound (the same
    stamp): it was escalated, acknowledged or cleared.
    """
    latest: dict[str, HeardAlert] = {}
    found = []
    for alert in alerts:
        before = latest.get(alert.id)
        latest[alert.id] = alert
        new_sound = before is None or alert.stamp_s != before.stamp_s
        by_response = alert.response_id != (before.response_id if before else '')
        if HeardBy.SIGNATURE in alert.heard_by and new_sound and not by_response:
            found.append(alert)
    return found


def is_by_signature(heard: HeardResponse | HeardAlert) -> bool:
    """Return whether an alarm's signature, with the model or without it, is behind what was heard."""
    return isinstance(heard, HeardAlert) and HeardBy.SIGNATURE in heard.heard_by


def model_alerts(alerts: Iterable[HeardAlert]) -> list[HeardAlert]:
    """Return the messages by which a response raised an alert, or opened a cleared one again, in the order given."""
    latest: dict[str, HeardAlert] = {}
    found = []
    for alert in alerts:
        before = latest.get(alert.id)
        latest[alert.id] = alert
        opened = before is None or before.state is AlertState.CLEARED
        by_response = alert.response_id != (before.response_id if before else '')
        if opened and by_response and alert.state is not AlertState.CLEARED:
            found.append(alert)
    return found


def score(
    scene: DemoScene,
    start_s: float,
    responses: Iterable[HeardResponse],
    alerts: Iterable[HeardAlert],
    hazard_name: Callable[[str], str],
    until_s: float = math.inf,
) -> Score:
    """Match what was heard to the hazards of the scene.

    A response, in the order of arrival, counts for the hazard whose window holds its trigger chunk's end; one that
    names the hazard goes before one that names another, which is false where another has answered. An alert from
    a signature counts for the hazard of its name in whose window lies some of the sound behind it, which is what came
    between its stamp and its arrival. An alert that a response raised is false where no hazard of the alert's name has
    its trigger chunk's end in its window. `hazard_name` gives the taxonomy's name of what a category or sentence is
    about. Of a scene that was heard until `until_s` only, hazards that may still be heard are left out.
    """
    hazards = scene.hazards
    windows = [answer_window(hazard) for hazard in hazards]
    names = [hazard_name(hazard.category) for hazard in hazards]
    # One that was cut short before its first word said nothing.
    responses, alerts = [response for response in responses if response.text.strip()], list(alerts)
    matches = match_named(
        windows,
        names,
        [response.stamp_s + CHUNK_S - start_s for response in responses],
        [hazard_name(response.text) for response in responses],
    )
    by_signature: dict[int, HeardAlert] = {}
    false_alerts = []
    for alert in signature_alerts(alerts):
        behind = _behind(alert, alert.stamp_s - start_s, alert.received_s - start_s, names, windows)
        for index in behind:
            by_signature.setdefault(index, alert)
        if not behind:
            false_alerts.append(alert)
    for alert in model_alerts(alerts):
        trigger_s = alert.stamp_s + CHUNK_S - start_s
        if not _behind(alert, trigger_s, trigger_s, names, windows):
            false_alerts.append(alert)
    outcomes = []
    for index, hazard in enumerate(hazards):
        response = responses[matches.answers[index]] if index in matches.answers else None
        misnamed = response is not None and hazard_name(response.text) != names[index]
        outcome = HazardOutcome(hazard, response, by_signature.get(index), misnamed)
        if outcome.heard_by or windows[index][1] <= until_s:
            outcomes.append(outcome)
    return Score(
        scene=scene,
        start_s=start_s,
        outcomes=tuple(outcomes),
        false_responses=tuple(responses[moment] for moment in matches.false),
        false_alerts=tuple(sorted(false_alerts, key=lambda alert: alert.received_s)),
        repeats=len(matches.repeats),
    )


def _behind(
    alert: HeardAlert, first_s: float, last_s: float, names: list[str], windows: list[tuple[float, float]]
) -> list[int]:
    """The hazards of the alert's name whose windows hold some of the time from `first_s` to `last_s`."""
    return [
        index
        for index, (name, (after_s, until_s)) in enumerate(zip(names, windows, strict=True))
        if name == alert.hazard and last_s > after_s and first_s <= until_s
    ]


def scene_start_s(decisions: Sequence[HeardDecision]) -> float:
    """Return when the scene's first sample was played: the first decision says which chunk it was made after."""
    return decisions[0].stamp_s - decisions[0].chunk_index * CHUNK_S


def count_chunks(decisions: Sequence[HeardDecision]) -> tuple[int, int]:
    """Return (chunks decided on, chunks lost).

    The loss is what the decoder reports, or what its chunk numbers lack if that is more. Each stream counts afresh.
    """
    heard, lost = 0, 0
    for stream in dict.fromkeys(decision.stream_id for decision in decisions):
        own = [decision for decision in decisions if decision.stream_id == stream]
        drained = sum(decision.chunks_drained for decision in own)
        heard += drained
        lost += max(own[-1].chunk_index + 1 - drained, own[-1].chunks_lost)
    return heard, lost


def spread(values: Sequence[float], scale: float = 1.0) -> dict[str, float | None]:
    """Return p50, p99 (nearest rank) and max of `values` × `scale`; None where there is nothing to measure."""
    if not values:
        return {'p50': None, 'p99': None, 'max': None}
    ordered = sorted(values)

    def percentile(percent: int) -> float:
        rank = -(-len(ordered) * percent // 100)
        return round(ordered[rank - 1] * scale, 3)

    return {'p50': percentile(50), 'p99': percentile(99), 'max': round(ordered[-1] * scale, 3)}


def summary(
    score: Score | None,
    decisions: Sequence[HeardDecision],
    responses: int,
    machine: str,
    chunks_played: int | None = None,
) -> dict[str, Any]:
    """Return the demo's JSON line; without a score only what needs none.

    `responses` is how many there were. `chunks_played` is how many chunks the file holds: what never reached the
    encoder is in none of its numbers.
    """
    chunks, lost = count_chunks(decisions)
    if chunks_played is not None:
        lost = max(lost, chunks_played - chunks)
    report: dict[str, Any] = {'passed': not lost}
    if score:
        report = {
            'passed': not (score.missed or score.misnamed or score.false or lost),
            'hazards': len(score.outcomes),
            'heard': len(score.heard),
            'heard_by_model': sum(outcome.response is not None for outcome in score.outcomes),
            'heard_by_signature': sum(outcome.alert is not None for outcome in score.outcomes),
            'misnamed': len(score.misnamed),
            'missed': [outcome.hazard.category for outcome in score.missed],
            'false_responses': len(score.false_responses),
            'false_alerts': len(score.false_alerts),
            'repeats': score.repeats,
        }
    report |= {'responses': responses, 'chunks': chunks, 'chunks_lost': lost}
    if score:
        report['onset_to_response_s'] = spread(score.onset_to_response_s)
    report['decision_latency_ms'] = spread([decision.latency_s for decision in decisions], 1000.0)
    if score:
        report['each_hazard'] = [
            {
                'onset_s': outcome.hazard.onset_s,
                'category': outcome.hazard.category,
                'heard_by': outcome.heard_by,
                'response': outcome.response.text if outcome.response else None,
                'misnamed': outcome.misnamed,
                'alert': outcome.alert.hazard if outcome.alert else None,
            }
            for outcome in score.outcomes
        ]
        report['each_false'] = [
            {
                'at_s': round(score.at_s(heard), 3),
                'during': score.scene.sound_at(score.at_s(heard)),
                'kind': 'response' if isinstance(heard, HeardResponse) else 'alert',
                'heard_by': 'signature' if is_by_signature(heard) else 'model',
                'said': heard.text if isinstance(heard, HeardResponse) else heard.message,
            }
            for heard in score.false
        ]
    report['machine'] = machine
    return report
