"""One sound heard in one stream: its set, what was decided, and what the yardstick made of the same stream."""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluate.clip_sets import ClipSet, Scored
from training.evaluate.trials import Trial


@dataclass(frozen=True)
class YardstickHeard:
    """A `YardstickHeard` is what the yardstick made of a stream while an answer was in place.

    `hazard`: the highest score of its hazard classes, and `category` our name for the class that had it; `probe`: the
    highest probability of the linear probe, None without one.
    """

    hazard: float
    category: str
    probe: float | None


@dataclass(frozen=True)
class Judged:
    """A `Judged` is one sound heard in one stream at the shipped threshold; `number` makes the stream again.

    `answer_s`: when it was answered, in seconds from its onset. `drawn`: the noise lies where it was drawn.
    """

    set: ClipSet
    number: int
    scored: Scored
    trial: Trial
    answer_s: float | None
    drawn: bool
    yardstick: YardstickHeard | None = None
