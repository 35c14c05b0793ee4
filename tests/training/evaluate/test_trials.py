"""The summary that every command prints, against a night worked out by hand."""

from __future__ import annotations

import pytest

from training.evaluate.trials import Listened, Trial, by, in_blocks, share, summary

NIGHT = [
    Trial('a', 'siren', True, True, latency_s=0.8, score=0.9, correct=True),
    Trial('b', 'siren', True, True, latency_s=1.6, score=0.7, correct=False),
    Trial('c', 'fire', True, False, score=0.2),
    Trial('d', 'rain', False, False, score=0.1),
    Trial('e', 'rain', False, True, score=0.8),
    Trial('f', 'dog', False, False, score=0.3),
]


def test_the_summary_is_the_one_worked_out_by_hand():
    figures = summary(NIGHT, [Listened('night', 2.0, 3)], seed=1)
    assert figures['recall'] == pytest.approx(2 / 3, abs=1e-4)
    assert figures['false_positive_rate'] == pytest.approx(1 / 3, abs=1e-4)
    assert figures['balanced_accuracy'] == pytest.approx(2 / 3, abs=1e-4)
    assert figures['response_correct'] == pytest.approx(1 / 3, abs=1e-4)  # a missed one is not right either
    assert figures['onset_to_response_s'] == pytest.approx(1.2)
    assert figures['false_alarms_per_hour'] == 1.5
    assert figures['auc'] == pytest.approx(6 / 9, abs=1e-4)  # 0.9 beats three, 0.7 two, 0.2 one
    assert set(figures['per_category']) == {'siren', 'fire', 'rain', 'dog'}
    assert figures['per_category']['rain']['false_positive_rate'] == 0.5
    assert figures['per_category']['rain']['recall'] is None
    low, high = figures['confidence_95']['recall']
    assert low < figures['recall'] < high


def test_an_outcome_says_what_there_was_and_whether_it_was_right():
    assert [trial.outcome for trial in NIGHT] == [
        'answered, right',
        'answered, right',
        'silence, wrong',
        'silence, right',
        'answered, wrong',
        'silence, right',
    ]
    assert [trial.well_decided for trial in NIGHT] == [trial.outcome.endswith('right') for trial in NIGHT]


def test_where_nothing_was_measured_there_is_no_figure():
    figures = summary([], [], seed=1)
    keys = ('balanced_accuracy', 'recall', 'false_positive_rate', 'false_alarms_per_hour', 'onset_to_response_s')
    assert [figures[key] for key in keys] == [None] * len(keys)
    assert figures['per_category'] == {}


def test_a_long_recording_is_resampled_by_the_minute():
    blocks = in_blocks('bag', 150.0, [5.0, 61.0, 119.9, 149.0])
    assert [block.false_responses for block in blocks] == [1, 2, 1]
    assert [block.hours * 3_600 for block in blocks] == pytest.approx([60, 60, 30])


def test_groups_come_by_name_and_those_without_one_are_left_out():
    groups = by(NIGHT, lambda trial: trial.category if trial.respond else None, seed=1)
    assert list(groups) == ['fire', 'siren']


def test_a_share_says_of_how_many():
    assert share([True, False, True, True], ['a', 'b', 'c', 'd'], seed=1) | {'confidence_95': None} == {
        'share': 0.75,
        'of': 4,
        'confidence_95': None,
    }
    assert share([], [], seed=1) == {'share': None, 'of': 0, 'confidence_95': None}
