"""Which response answers which sound: the demo's score and the evaluations match them the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

# A response counts for a hazard until its end, or this long after its onset when it is shorter.
MIN_ANSWER_WINDOW_S = 4.0


class SceneEvent(BaseModel):
    """A `SceneEvent` is a sound in the scene, in seconds from its start; `text` has the words it speaks, if known."""

    model_config = ConfigDict(frozen=True, extra='ignore')

    onset_s: float
    end_s: float
    category: str
    hazard: bool
    text: str = ''


@dataclass(frozen=True)
class Matches:
    """A `Matches` says which moment answers which window, by their numbers; the other moments are repeats or false."""

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
        matching = _holding(windows, at_s)
        unanswered = [index for index in matching if index not in answers]
        if unanswered:
            answers[unanswered[0]] = moment
        else:
            (repeats if matching else false).append(moment)
    return Matches(answers, tuple(repeats), tuple(false))


def match_named(
    windows: Sequence[tuple[float, float]],
    names: Sequence[str],
    moments_s: Sequence[float],
    said: Sequence[str],
) -> Matches:
    """Match as `match` does, where each window and each moment has a name.

    The first moment in a window that says its name answers it, and further ones are repeats. A window in which nothing
    says its name is answered by the first moment that says another; every other moment with another name is false.
    """
    answers: dict[int, int] = {}
    repeats: list[int] = []
    others: list[tuple[int, list[int]]] = []
    for moment, at_s in enumerate(moments_s):
        holding = _holding(windows, at_s)
        named = [index for index in holding if names[index] == said[moment]]
        unanswered = [index for index in named if index not in answers]
        if unanswered:
            answers[unanswered[0]] = moment
        elif named:
            repeats.append(moment)
        else:
            others.append((moment, holding))
    false: list[int] = []
    for moment, holding in others:
        unanswered = [index for index in holding if index not in answers]
        if unanswered:
            answers[unanswered[0]] = moment
        else:
            false.append(moment)
    return Matches(answers, tuple(repeats), tuple(false))


def _holding(windows: Sequence[tuple[float, float]], at_s: float) -> list[int]:
    return [index for index, (after_s, until_s) in enumerate(windows) if after_s < at_s <= until_s]


def answer_window(event: SceneEvent) -> tuple[float, float]:
    """Return the seconds of the scene, (after, until], in which a response counts for an event."""
    return event.onset_s, max(event.end_s, event.onset_s + MIN_ANSWER_WINDOW_S)
