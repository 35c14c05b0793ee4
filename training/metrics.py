"""Figures of merit from labels and scores, and how sure they are: bootstrap intervals over whole recordings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from scipy.stats import rankdata

from training.random_streams import Purpose, random_stream

SILENCE_WEIGHT = 2.0  # a false alarm costs twice a missed event when a threshold is chosen
RESAMPLES = 1_000
_LEVEL = (2.5, 97.5)  # percentiles of a 95 % interval

Interval = tuple[float, float]
Flags = Sequence[bool] | np.ndarray
Values = Sequence[float] | np.ndarray


def area_under_roc(labels: Flags, scores: Values) -> float:
    """Return the probability that a positive scores above a negative, ties counting half; nan without both."""
    flags, values = np.asarray(labels, bool), np.asarray(scores, float)
    positive = int(flags.sum())
    negative = len(flags) - positive
    if not positive or not negative:
        return float('nan')
    wins = rankdata(values)[flags].sum() - positive * (positive + 1) / 2
    return float(wins / (positive * negative))


def balanced_accuracy(labels: Flags, answered: Flags) -> float:
    """Return the mean of recall and specificity; nan without both."""
    flags, given = np.asarray(labels, bool), np.asarray(answered, bool)
    if flags.all() or not flags.any():
        return float('nan')
    return float((given[flags].mean() + (~given[~flags]).mean()) / 2)


def best_threshold(labels: Flags, scores: Values, silence_weight: float = 1.0) -> float:
    """Return the threshold with the best recall + silence_weight × specificity: the middle of the widest best gap."""
    flags, values = np.asarray(labels, bool), np.asarray(scores, float)
    edges = np.unique(np.concatenate([[0.02], values, [0.98]]))
    candidates = (edges[1:] + edges[:-1]) / 2
    merit = [(values[flags] >= c).mean() + silence_weight * (values[~flags] < c).mean() for c in candidates]
    best = np.flatnonzero(np.isclose(merit, np.max(merit)))
    widest = best[np.argmax((edges[1:] - edges[:-1])[best])]
    return float(candidates[widest])


def det_points(labels: Flags, scores: Values) -> tuple[np.ndarray, np.ndarray]:
    """Return (false-positive rate, miss rate) at every threshold that changes one of them, by falling threshold.

    They are the axes of the detection error trade-off; both float64 [thresholds].
    """
    flags, values = np.asarray(labels, bool), np.asarray(scores, float)
    order = np.argsort(-values, kind='stable')
    hits, alarms = np.cumsum(flags[order]), np.cumsum(~flags[order])
    last = np.flatnonzero(np.diff(values[order], append=-np.inf))  # equal scores pass a threshold together
    hits, alarms = np.r_[0, hits[last]], np.r_[0, alarms[last]]
    return alarms / max((~flags).sum(), 1), 1 - hits / max(flags.sum(), 1)


def interval_of_sums(
    units: Sequence[Hashable],
    columns: Sequence[Sequence[float]],
    figure: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> Interval | None:
    """Return the 95 % bootstrap interval of a figure that depends on sums alone, such as a share.

    `columns`: numbers to sum, one list a column, each as long as `units`; whole units (recordings, streams) are drawn
    with replacement. `figure`: float64 [resamples, columns] → [resamples], nan where it is not defined. None where
    nothing can be said: one unit, or a figure that is never defined.
    """
    names = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    if len(names) < 2:
        return None
    sums = np.zeros((len(names), len(columns)))
    np.add.at(sums, [names[unit] for unit in units], np.asarray(columns, float).T)
    rng = random_stream(Purpose.BOOTSTRAP_OF_SUMS, seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    with np.errstate(divide='ignore', invalid='ignore'):
        return _percentiles(figure(drawn @ sums))


def interval_of_values(
    units: Sequence[Hashable], figure: Callable[[np.ndarray], float], seed: int, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the 95 % bootstrap interval of any figure, with whole units drawn with replacement.

    `figure` gets the indices, int64 [n], of what was drawn, and returns nan where it is not defined. `units` as in
    `interval_of_sums`.
    """
    members: dict[Hashable, list[int]] = {}
    for index, unit in enumerate(units):
        members.setdefault(unit, []).append(index)
    if len(members) < 2:
        return None
    groups = [np.array(group) for group in members.values()]
    rng = random_stream(Purpose.BOOTSTRAP_OF_VALUES, seed)
    drawn = (np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]) for _ in range(resamples))
    return _percentiles(np.array([figure(indices) for indices in drawn]))


def ratio(sums: np.ndarray) -> np.ndarray:
    """Return the first of two columns over the second: a figure for `interval_of_sums`."""
    return sums[:, 0] / sums[:, 1]


def rounded(interval: Interval | None, digits: int = 4) -> list[float] | None:
    """Return an interval as JSON has it, rounded; None stays None."""
    return None if interval is None else [round(value, digits) for value in interval]


def _percentiles(values: np.ndarray) -> Interval | None:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, _LEVEL)
    return float(low), float(high)
