"""Figures of merit, from labels and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SILENCE_WEIGHT = 2.0  # a false alarm costs twice a missed event when a threshold is chosen


def area_under_roc(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """Probability that a positive scores above a negative, ties counting half."""
    flags, values = np.asarray(labels, bool), np.asarray(scores, float)
    positive, negative = values[flags], values[~flags]
    wins = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    return float(wins)


def balanced_accuracy(labels: Sequence[bool], answered: Sequence[bool]) -> float:
    """Mean of recall and specificity."""
    flags, given = np.asarray(labels, bool), np.asarray(answered, bool)
    return float((given[flags].mean() + (~given[~flags]).mean()) / 2)


def best_threshold(labels: Sequence[bool], scores: Sequence[float], silence_weight: float = 1.0) -> float:
    """The threshold with the best recall + silence_weight × specificity; the middle of the widest best gap."""
    flags, values = np.asarray(labels, bool), np.asarray(scores, float)
    edges = np.unique(np.concatenate([[0.02], values, [0.98]]))
    candidates = (edges[1:] + edges[:-1]) / 2
    merit = [(values[flags] >= c).mean() + silence_weight * (values[~flags] < c).mean() for c in candidates]
    best = np.flatnonzero(np.isclose(merit, np.max(merit)))
    widest = best[np.argmax((edges[1:] - edges[:-1])[best])]
    return float(candidates[widest])
