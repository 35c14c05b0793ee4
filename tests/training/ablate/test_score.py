"""Counts are those of the decisions and words, stream by stream; differences are on the same streams."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.ablate.score import FIGURES, VariantScore, _rows
from training.ablate.table import results, write_tables
from training.ablate.variants import BASELINE

PLACES = range(12)


def rows(collator, change=lambda wanted, scores, right: None):
    """Counts by stream of predictions that are all right, but for a change."""
    batch = collator.collate(PLACES)
    wanted = (batch.stream_targets == collator.protocol.response).numpy()
    scores, right = np.where(wanted, 0.9, 0.1), np.ones(len(batch.lm_targets), bool)
    change(wanted, scores, right)
    thresholds = {'hits': 0.5, 'fair_hits': 0.05}
    return batch, dict(_rows(batch, scores, right, collator, thresholds))


def test_all_right_is_counted_as_all_right(collator):
    batch, found = rows(collator)
    streams = [collator.dataset.record(place) for place in PLACES]
    assert list(found) == [stream.id for stream in streams]
    for row, stream in enumerate(streams):
        counts, said = found[stream.id], sum(drain.reply is not None for drain in stream.drains)
        assert counts['responses'] == counts['hits'] == counts['exact'] == said
        assert counts['silences'] == len(stream.drains) - said
        assert counts['tokens'] == counts['tokens_right'] == int((batch.lm_of == row).sum())
        assert counts['false'] == 0 and counts['fair_false'] == counts['silences']
        assert counts['hours'] == pytest.approx(stream.chunks * 0.4 / 3_600)
        waited_s = [
            (d.last + 1) * 0.4 - stream.replies[d.reply].due / 16_000 for d in stream.drains if d.reply is not None
        ]
        assert counts['waited_ms'] == pytest.approx(1_000 * sum(waited_s))


def test_a_wrong_token_spoils_its_own_reply_alone(collator):
    batch, before = rows(collator)
    ends = np.flatnonzero((batch.lm_targets == collator.protocol.eos).numpy())
    for token in (0, ends[0], ends[0] + 1, ends[3], len(batch.lm_targets) - 1):

        def wrong(_, __, right, token=token):
            right[token] = False

        _, after = rows(collator, wrong)
        spoilt = collator.dataset.record(int(batch.places[batch.lm_of[token]])).id
        for id_, counts in after.items():
            lost = float(id_ == spoilt)
            assert counts['exact'] == before[id_]['exact'] - lost
            assert counts['tokens_right'] == before[id_]['tokens_right'] - lost


def test_a_false_trigger_and_a_missed_one_are_counted_where_they_are(collator):
    batch, before = rows(collator)

    def swap(wanted, scores, _):
        scores[np.flatnonzero(wanted)[0]], scores[np.flatnonzero(~wanted)[-1]] = 0.3, 0.7

    _, after = rows(collator, swap)
    wanted = (batch.stream_targets == collator.protocol.response).numpy()
    missed, false = (int(batch.stream_of[np.flatnonzero(at)[end]]) for at, end in ((wanted, 0), (~wanted, -1)))
    for row, id_ in enumerate(after):
        assert after[id_]['hits'] == before[id_]['hits'] - (row == missed)
        assert after[id_]['false'] == float(row == false)
        assert after[id_]['fair_hits'] == before[id_]['fair_hits']


def score(seed: int, share: float, better: float = 0.0) -> VariantScore:
    """Sixty streams of 40 silences and 5 replies, of which about a share is given."""
    rng = np.random.default_rng(seed)
    hits = np.minimum(5, rng.binomial(5, share, 60) + (rng.random(60) < better))
    counts = {'responses': [5.0] * 60, 'silences': [40.0] * 60, 'hours': [0.005] * 60, 'waited_ms': [1_000.0] * 60} | {
        'tokens': [50.0] * 60, 'tokens_right': (8.0 * hits).tolist(), 'exact': (hits // 2).tolist(),
        'hits': hits.tolist(), 'false': [1.0] * 60, 'fair_hits': hits.tolist(), 'fair_false': [4.0] * 60,
    }  # fmt: skip
    ids = tuple(f'stream-{number:08d}' for number in range(60))
    return VariantScore(streams=ids, counts=counts, thresholds={'hits': 0.5, 'fair_hits': 0.1}, train_s=61.0)


def test_figures_are_what_they_are_called():
    found = results({BASELINE: score(1, 1.0)}, 1)[BASELINE]
    assert {name: found[name] for name in FIGURES} == {
        'trigger_accuracy': pytest.approx(44 / 45, abs=1e-4), 'always_silent': pytest.approx(40 / 45, abs=1e-4),
        'balanced_accuracy': 0.95, 'response_recall': 1.0, 'false_triggers_per_hour': 200.0,
        'text_token_accuracy': 0.8, 'exact_replies': 0.4, 'due_to_decision_ms': 200.0,
    }  # fmt: skip


def test_a_difference_on_the_same_streams_is_surer_than_either_figure(tmp_path: Path):
    scores = {BASELINE: score(2, 0.6), 'lambda-2': score(2, 0.6, better=0.5), 'no-tfjp': score(2, 0.6)}
    found = results(scores, 1)
    same, more = (found[name]['less_baseline']['response_recall'] for name in ('no-tfjp', 'lambda-2'))
    assert same == {'difference': 0.0, 'confidence_95': [0.0, 0.0]}
    low, high = more['confidence_95']
    assert 0 < low < more['difference'] < high
    wide = found['lambda-2']['confidence_95']['response_recall']
    assert high - low < wide[1] - wide[0]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    markdown, page = write_tables(found, 'A few facts.', tmp_path)
    (row,) = [line for line in markdown.read_text().splitlines() if line.startswith('| λ = 2 | 57.3 | 96.9 |')]
    assert f'{100 * found["lambda-2"]["balanced_accuracy"]:.1f} (' in row
    assert 'A few facts.' in page.read_text() and page.read_text().count('<svg') == 5
    assert 'chunks of 0.2 s' not in markdown.read_text()  # was not trained
