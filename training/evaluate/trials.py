"""What every evaluation comes down to: things heard that deserved an answer or silence, and what they got."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.metrics import Interval, area_under_roc, interval_of_sums, interval_of_values, ratio, rounded

BLOCK_S = 60.0  # of one long recording: what is resampled where there is but one


@dataclass(frozen=True)
class Trial:
    """A `Trial` is a sound or a sentence that deserved an answer (`respond`) or silence, and what it got.

    `unit`: the recording or stream it comes from, which a bootstrap draws whole. `latency_s`: from its onset to the end
    of the chunk that triggered the answer. `score`: highest P(response) while an answer would have been in place.
    `correct`: whether the right thing was said, None where nothing was or nobody knows what is right.
    """

    unit: str
    category: str
    respond: bool
    answered: bool
    latency_s: float | None = None
    score: float | None = None
    correct: bool | None = None
    snr_db: float | None = None
    said: str = ''
    task: str = ''

    @property
    def well_decided(self) -> bool:
        """Return whether there was an answer if one was deserved, and silence if not."""
        return self.answered == self.respond

    @property
    def outcome(self) -> str:
        """Return what there was, and whether that was right, in words: 'answered, right' and the like."""
        return f'{"answered" if self.answered else "silence"}, {"right" if self.well_decided else "wrong"}'


@dataclass(frozen=True)
class Listened:
    """A `Listened` is a stretch of sound, and how many responses in it nothing called for."""

    unit: str
    hours: float
    false_responses: int


def in_blocks(name: str, duration_s: float, false_responses_s: Iterable[float]) -> list[Listened]:
    """Return one long recording as stretches of a minute, so that its rate has an interval."""
    blocks = max(1, math.ceil(duration_s / BLOCK_S))
    counts = [0] * blocks
    for moment_s in false_responses_s:
        counts[min(int(moment_s / BLOCK_S), blocks - 1)] += 1
    lengths_s = [min(BLOCK_S, duration_s - number * BLOCK_S) for number in range(blocks)]
    return [
        Listened(f'{name}:{number}', length_s / 3_600, count)
        for number, (length_s, count) in enumerate(zip(lengths_s, counts, strict=True))
    ]


def summary(trials: Sequence[Trial], listened: Sequence[Listened], seed: int) -> dict[str, Any]:
    """Return the figures every command reports, their 95 % intervals under `confidence_95`, and the same by category.

    A figure without anything to measure is None. `onset_to_response_s` is the median over answered trials.
    """
    figures = with_false_alarms(rates(trials, seed), listened, seed)
    return figures | {'per_category': by(trials, lambda trial: trial.category, seed)}


def with_false_alarms(figures: Mapping[str, Any], listened: Sequence[Listened], seed: int) -> dict[str, Any]:
    """Return figures with the rate of responses that nothing called for, its 95 % interval, and the hours listened to.

    The rate is None where nothing was listened to.
    """
    hours = sum(stretch.hours for stretch in listened)
    false = [stretch.false_responses for stretch in listened]
    interval = interval_of_sums(
        [stretch.unit for stretch in listened], [false, [stretch.hours for stretch in listened]], ratio, seed
    )
    return {
        **figures,
        'false_alarms_per_hour': _rounded(sum(false) / hours if hours else None, 1),
        'hours_listened': _rounded(hours),
        'confidence_95': figures['confidence_95'] | ({'false_alarms_per_hour': rounded(interval)} if interval else {}),
    }


def by(trials: Sequence[Trial], key: Callable[[Trial], str | None], seed: int) -> dict[str, dict[str, Any]]:
    """Return the rates of each group of trials, in the order of the groups' names.

    `key` gives a trial's group; a trial whose key is None is left out.
    """
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if (name := key(trial)) is not None:
            groups[name].append(trial)
    return {name: rates(groups[name], seed) for name in sorted(groups)}


def rates(trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """Return the figures of some trials, with those 95 % intervals that there are under `confidence_95`.

    A figure without anything to measure is None.
    """
    figures, intervals = _rates(trials, seed)
    return figures | {'confidence_95': {name: rounded(value) for name, value in intervals.items() if value}}


def share(values: Sequence[float], units: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the mean of `values`, each from 0 to 1: {share, of, confidence_95}. A bootstrap draws whole `units`."""
    interval = interval_of_sums(units, [list(values), [1] * len(values)], ratio, seed)
    return {
        'share': _rounded(float(np.mean(values)) if values else None),
        'of': len(values),
        'confidence_95': rounded(interval),
    }


def _rates(trials: Sequence[Trial], seed: int) -> tuple[dict[str, Any], dict[str, Interval | None]]:
    units = [trial.unit for trial in trials]
    hits = [trial.respond and trial.answered for trial in trials]
    alarms = [not trial.respond and trial.answered for trial in trials]
    positives = [trial.respond for trial in trials]
    negatives = [not trial.respond for trial in trials]
    right = [trial.well_decided for trial in trials]
    # Of everything that deserved an answer: one that was not given is not correct either.
    judged = [trial.respond and (trial.correct is not None or not trial.answered) for trial in trials]
    known = any(trial.correct is not None for trial in trials)
    correct = [bool(trial.correct) and trial.respond for trial in trials]
    answered = [index for index, trial in enumerate(trials) if trial.latency_s is not None]
    latencies_s = np.array([trials[index].latency_s for index in answered], float)
    scored = [index for index, trial in enumerate(trials) if trial.score is not None]
    labels = np.array([trials[index].respond for index in scored], bool)
    scores = np.array([trials[index].score for index in scored], float)
    sums = [hits, positives, alarms, negatives]

    def balanced(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] / rows[:, 1] + 1 - rows[:, 2] / rows[:, 3]) / 2

    shares: dict[str, tuple[Sequence[Sequence[float]], Callable[[np.ndarray], np.ndarray]]] = {
        'balanced_accuracy': (sums, balanced),
        'accuracy': ([right, [1] * len(trials)], ratio),
        'recall': ([hits, positives], ratio),
        'false_positive_rate': ([alarms, negatives], ratio),
    }
    figures: dict[str, Any] = {'trials': len(trials)}
    intervals: dict[str, Interval | None] = {}
    if known:
        shares['response_correct'] = ([correct, judged], ratio)
    else:
        figures['response_correct'] = None
    for name, (columns, figure) in shares.items():
        with np.errstate(divide='ignore', invalid='ignore'):
            figures[name] = _rounded(float(figure(np.asarray(columns, float).sum(axis=1)[None])[0]))
        intervals[name] = interval_of_sums(units, columns, figure, seed)
    figures['onset_to_response_s'] = _rounded(float(np.median(latencies_s)) if answered else None)
    figures['onset_to_response_p90_s'] = _rounded(float(np.percentile(latencies_s, 90)) if answered else None)
    intervals['onset_to_response_s'] = interval_of_values(
        [units[index] for index in answered], lambda drawn: float(np.median(latencies_s[drawn])), seed
    )
    figures['auc'] = _rounded(area_under_roc(labels, scores))
    if figures['auc'] is not None:
        intervals['auc'] = interval_of_values(
            [units[index] for index in scored], lambda drawn: area_under_roc(labels[drawn], scores[drawn]), seed
        )
    return figures, intervals


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
