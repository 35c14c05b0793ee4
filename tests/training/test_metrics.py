"""Figures against examples worked out by hand, and intervals that draw whole recordings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.metrics import (
    area_under_roc,
    balanced_accuracy,
    det_points,
    interval_of_sums,
    interval_of_values,
)

LABELS = [True, True, True, False, False]
SCORES = [0.9, 0.6, 0.3, 0.6, 0.1]


def test_area_under_roc_counts_won_pairs_and_half_of_the_ties():
    """Of six pairs 0.9 wins two, 0.6 wins one and ties one, 0.3 wins one."""
    assert area_under_roc(LABELS, SCORES) == pytest.approx(4.5 / 6)
    assert math.isnan(area_under_roc([True], [0.4]))


def test_balanced_accuracy_is_the_mean_of_recall_and_specificity():
    assert balanced_accuracy(LABELS, [True, True, False, True, False]) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert math.isnan(balanced_accuracy([True], [True]))


def test_det_points_move_at_every_score_and_ties_move_together():
    alarms, misses = det_points(LABELS, SCORES)
    assert alarms.tolist() == [0, 0, 0.5, 0.5, 1]
    assert misses == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])


def ratio(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0] / rows[:, 1]


def test_a_share_of_independent_trials_has_the_binomial_interval():
    right = [n < 70 for n in range(100)]
    low, high = interval_of_sums(list(range(100)), [right, [1] * 100], ratio, seed=1)
    width = 1.96 * math.sqrt(0.7 * 0.3 / 100)
    assert (low, high) == pytest.approx((0.7 - width, 0.7 + width), abs=0.02)


def test_trials_of_one_recording_are_drawn_together_and_so_say_less():
    right = [n < 70 for n in range(100)]
    alone = interval_of_sums(list(range(100)), [right, [1] * 100], ratio, seed=1)
    together = interval_of_sums([n // 10 for n in range(100)], [right, [1] * 100], ratio, seed=1)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_both_intervals_agree_and_the_seed_repeats_them():
    units = [n // 3 for n in range(60)]
    values = np.random.default_rng(4).random(60)
    of_sums = interval_of_sums(units, [values, np.ones(60)], ratio, seed=2)
    of_values = interval_of_values(units, lambda drawn: float(values[drawn].mean()), seed=2)
    assert of_sums == pytest.approx(of_values, abs=0.02)
    assert of_sums == interval_of_sums(units, [values, np.ones(60)], ratio, seed=2)


def test_one_recording_has_no_interval_and_neither_has_what_is_never_defined():
    assert interval_of_sums(['a', 'a'], [[1, 0], [1, 1]], ratio, seed=1) is None
    assert interval_of_sums(['a', 'b'], [[0, 0], [0, 0]], ratio, seed=1) is None
    assert interval_of_values(['a'], lambda drawn: 1.0, seed=1) is None
