"""`evaluate ask`: answers in the middle of a stream are right by their names, and the stream goes on as it was."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from training.evaluate import EvaluationError, asking
from training.evaluate.asking import ask_about_clips, figures, table
from training.evaluate.clip_sets import open_libraries, whole_sets
from training.procedural.registry import render
from training.render.one_clip import CHUNKS

KINDS = {'siren_wail': 'siren', 'co_alarm_t4': 'smoke alarm', 'knocks': 'knocking', 'rain': 'rain'}


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    """One render of each kind, and a second siren."""
    out = tmp_path_factory.mktemp('clips')
    with (out / 'manifest.csv').open('w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['path', 'category', 'respond'])
        for number, name in enumerate([*KINDS, 'siren_wail']):
            soundfile.write(out / f'{number}.wav', render(name, np.random.default_rng(number))[:16_000], 16_000)
            rows.writerow([f'{number}.wav', KINDS[name], '1'])
    return whole_sets(open_libraries([out]))[0]


def test_recordings_of_every_category_are_asked_about_and_no_stream_is_disturbed(listener, sets):
    asked = ask_about_clips(listener, sets, 4, seed=1)
    assert {one.scored.sound.category for one in asked} == set(KINDS.values())
    for one in asked:
        before, during, after = one.decisions
        assert before == CHUNKS and during > 0 and before + during + after == 2 * CHUNKS
        assert one.chosen_rightly == (one.chosen == f'I hear: {one.scored.sound.category}.')
        assert 0.25 <= one.share <= 1.0
    found = figures(asked)
    assert (found['clips'], found['streams_undisturbed'], found['decisions']) == (4, 4, 4 * 2 * CHUNKS)
    assert found['chosen_rightly'] == sum(one.chosen_rightly for one in asked)
    assert len(table(asked).splitlines()) == 2 + 4
    assert table([replace(asked[0], answer='a|b')]).splitlines()[2].count('|') == 10


def test_a_stream_that_is_disturbed_is_told(listener, sets, monkeypatch):
    hear = asking._hear

    def disturbed(listener, chunks, asks):
        replies, emitted, during = hear(listener, chunks, asks)
        return replies, emitted[: len(emitted) - bool(asks)], during

    monkeypatch.setattr(asking, '_hear', disturbed)
    assert not any(one.undisturbed for one in ask_about_clips(listener, sets, 4, seed=1))


@pytest.mark.cures('give fewer --clips, or more of them')
def test_more_recordings_than_there_are_is_one_sentence(listener, sets):
    with pytest.raises(EvaluationError, match='5 recordings found, 6 expected; give fewer --clips, or more of them'):
        ask_about_clips(listener, sets, 6, seed=1)
    with pytest.raises(EvaluationError, match='3 categories found, at least 4 expected to choose among; give more'):
        ask_about_clips(listener, sets, 3, seed=1)
    assert len(ask_about_clips(listener, sets, 5, seed=1)) == 5
