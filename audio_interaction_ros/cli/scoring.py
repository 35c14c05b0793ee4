"""What was heard against what was played: the numbers at the end of the demo. Pure arithmetic, no ROS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.cli.errors import CommandError

# A response counts for a hazard until its end, or this long after its onset when it is shorter.
MIN_ANSWER_WINDOW_S = 4.0


class SceneEvent(BaseModel):
    """A sound in the scene, in seconds from the scene's start."""

    model_config = ConfigDict(frozen=True, extra='ignore')

    onset_s: float
    end_s: float
    category: str
    hazard: bool


class Scene(BaseModel):
    """The events of a scene file, from the JSON file beside it."""

    model_config = ConfigDict(frozen=True, extra='ignore')

    events: tuple[SceneEvent, ...]

    @classmethod
    def load(cls, path: Path) -> Scene:
        """Raises CommandError when the file is not a scene description."""
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            raise CommandError(f"'{path}' does not describe a scene: {error}") from error

    @property
    def hazards(self) -> list[SceneEvent]:
        """The events that deserve an answer, by onset."""
        return sorted((event for event in self.events if event.hazard), key=lambda event: event.onset_s)


@dataclass(frozen=True)
class HeardDecision:
    """A decision as it arrived; the stamp is the capture time of the newest chunk's first sample."""

    stamp_s: float
    received_s: float
    stream_id: int
    chunk_index: int
    chunks_drained: int
    respond: bool
    chunks_lost: int

    @property
    def latency_s(self) -> float:
        """From the end of the newest chunk's sound to the arrival."""
        return self.received_s - (self.stamp_s + CHUNK_S)


@dataclass(frozen=True)
class HeardResponse:
    """A response as its first message arrived; the stamp is that of its trigger chunk."""

    stamp_s: float
    received_s: float


@dataclass
class Score:
    """`onset_to_response_s` has one entry for each answered hazard; `missed` names the others."""

    hazards: int = 0
    missed: list[str] = field(default_factory=list)
    false_responses: int = 0
    repeats: int = 0
    onset_to_response_s: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.hazards - len(self.missed)


@dataclass(frozen=True)
class Matches:
    """Which moment answers which window, by their numbers; the other moments are repeats or false."""

    answers: dict[int, int]
    repeats: tuple[int, ...]
    false: tuple[int, ...]


def match(windows: Sequence[tuple[float, float]], moments_s: Sequence[float]) -> Matches:
    """Match each moment, in the order given, to a window, (after, until], that holds it.

    Where windows overlap, the first that is not answered yet counts. A further moment in windows that are all answered
    is a repeat; one outside every window is false.
    """
    answers: dict[int, int] = {}
    repeats: list[int] = []
    false: list[int] = []
    for moment, at_s in enumerate(moments_s):
        matching = [index for index, (after_s, until_s) in enumerate(windows) if after_s < at_s <= until_s]
        unanswered = [index for index in matching if index not in answers]
        if unanswered:
            answers[unanswered[0]] = moment
        else:
            (repeats if matching else false).append(moment)
    return Matches(answers, tuple(repeats), tuple(false))


def answer_window(event: SceneEvent) -> tuple[float, float]:
    """The seconds of the scene in which a response counts for an event."""
    return event.onset_s, max(event.end_s, event.onset_s + MIN_ANSWER_WINDOW_S)


def score(scene: Scene, scene_start_s: float, responses: Iterable[HeardResponse]) -> Score:
    """Match each response, in the order of arrival, to the hazard whose window holds its trigger chunk's end."""
    hazards = scene.hazards
    responses = list(responses)
    matches = match(
        [answer_window(hazard) for hazard in hazards],
        [response.stamp_s + CHUNK_S - scene_start_s for response in responses],
    )
    return Score(
        hazards=len(hazards),
        missed=[hazard.category for index, hazard in enumerate(hazards) if index not in matches.answers],
        false_responses=len(matches.false),
        repeats=len(matches.repeats),
        onset_to_response_s=[
            responses[moment].received_s - (scene_start_s + hazards[index].onset_s)
            for index, moment in matches.answers.items()
        ],
    )


def count_chunks(decisions: Sequence[HeardDecision]) -> tuple[int, int]:
    """(chunks decided on, chunks lost): the loss the decoder reports, or what its chunk numbers lack if that
    is more. Each stream counts afresh."""
    heard, lost = 0, 0
    for stream in dict.fromkeys(decision.stream_id for decision in decisions):
        own = [decision for decision in decisions if decision.stream_id == stream]
        drained = sum(decision.chunks_drained for decision in own)
        heard += drained
        lost += max(own[-1].chunk_index + 1 - drained, own[-1].chunks_lost)
    return heard, lost


def spread(values: Sequence[float], scale: float = 1.0) -> dict[str, float | None]:
    """p50, p99 (nearest rank) and max of `values` × `scale`; None where there is nothing to measure."""
    if not values:
        return {'p50': None, 'p99': None, 'max': None}
    ordered = sorted(values)

    def percentile(percent: int) -> float:
        rank = -(-len(ordered) * percent // 100)
        return round(ordered[rank - 1] * scale, 3)

    return {'p50': percentile(50), 'p99': percentile(99), 'max': round(ordered[-1] * scale, 3)}


def summary(
    scene: Scene | None, decisions: Sequence[HeardDecision], responses: Sequence[HeardResponse], machine: str
) -> dict[str, Any]:
    """The demo's JSON line; without a scene only what needs none."""
    chunks, lost = count_chunks(decisions)
    report: dict[str, Any] = {}
    if scene:
        first = decisions[0] if decisions else None
        start_s = first.stamp_s - first.chunk_index * CHUNK_S if first else 0.0
        result = score(scene, start_s, responses)
        report = {
            'hazards': result.hazards,
            'answered': result.answered,
            'missed': result.missed,
            'false_responses': result.false_responses,
            'repeats': result.repeats,
        }
    report |= {'responses': len(responses), 'chunks': chunks, 'chunks_lost': lost}
    if scene:
        report['onset_to_response_s'] = spread(result.onset_to_response_s)
    report['decision_latency_ms'] = spread([decision.latency_s for decision in decisions], 1000.0)
    report['machine'] = machine
    return report


def verdict(report: dict[str, Any]) -> str | None:
    """None when the demo went as it should, else what went wrong, in one sentence."""
    wrong = []
    if report.get('missed'):
        wrong.append(f'{len(report["missed"])} hazards were not answered ({", ".join(report["missed"])})')
    if report.get('false_responses'):
        wrong.append(f'{report["false_responses"]} responses were to no hazard')
    if report['chunks_lost']:
        wrong.append(f'{report["chunks_lost"]} chunks were lost')
    if not report['chunks']:
        wrong.append('no chunk of sound arrived')
    return '; '.join(wrong) + '.' if wrong else None
