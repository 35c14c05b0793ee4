"""The figures of the alarm path: what counts as heard, and that no recording is on both sides."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.safety.alarm_signatures import SIGNATURES
from training.__main__ import main
from training.evaluate import EvaluationError, alarms
from training.evaluate.alarm_sounds import RENDERERS, render
from training.sources.clip_library import load_library


def write_library(folder, recordings):
    with (folder / 'manifest.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['path', 'category', 'source_id', 'respond'])
        for name, (category, sound) in recordings.items():
            soundfile.write(folder / f'{name}.wav', sound, SAMPLE_RATE_HZ)
            writer.writerow([f'{name}.wav', category, name, 0])


@pytest.fixture
def library(tmp_path):
    rng = np.random.default_rng(0)
    write_library(
        tmp_path,
        {f'wind-{number}': ('wind', rng.uniform(-0.1, 0.1, 4 * SAMPLE_RATE_HZ)) for number in range(12)}
        | {'alarm': ('alarm', rng.uniform(-0.1, 0.1, 4 * SAMPLE_RATE_HZ))},
    )
    return tmp_path


def test_every_signature_is_rendered():
    assert {alarms.SIGNATURE_OF.get(name, name) for name in RENDERERS} == set(SIGNATURES)


@pytest.mark.parametrize('name', RENDERERS)
def test_the_same_seed_renders_the_same_alarm(name):
    first, again, other = (render(name, np.random.default_rng(seed), 3.0) for seed in (1, 1, 2))
    assert first.dtype == np.float32 and len(first) == 3 * SAMPLE_RATE_HZ
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.abs(first).max() == pytest.approx(0.9, abs=1e-3)


def test_no_recording_is_both_chosen_on_and_reported_on(library):
    clips = load_library(library)
    chosen = alarms.ordinary_sound(clips, choosing=True, seed=1)
    reported = alarms.ordinary_sound(clips, choosing=False, seed=1)
    assert len(chosen) + len(reported) == 12 * 4 * SAMPLE_RATE_HZ  # the alarm is in neither
    assert len(chosen) and len(reported)


def test_a_library_without_ordinary_sound_is_refused():
    with pytest.raises(EvaluationError, match='half'):
        alarms.ordinary_sound([], choosing=False, seed=1)


def test_an_alarm_among_the_recordings_counts_as_a_false_alarm():
    wind = np.random.default_rng(0).uniform(-0.1, 0.1, 20 * SAMPLE_RATE_HZ).astype(np.float32)
    assert alarms.false_alarms(wind, seed=1)['false_alarms_per_hour'] == 0.0
    figures = alarms.false_alarms(wind + render('yelp', np.random.default_rng(1), 20.0), seed=1)
    assert figures['false_alarms']['yelp'] >= 2
    assert figures['hours'] == pytest.approx(40 / 3_600, abs=1e-3)


@pytest.mark.slow
def test_the_command_ends_with_its_figures(library, capsys, monkeypatch):
    monkeypatch.setattr(alarms, 'RENDERERS', {'yelp': RENDERERS['yelp']})
    monkeypatch.setattr(alarms, 'ALL_TYPES', dict(list(alarms.ALL_TYPES.items())[:3]))
    assert main(['evaluate', 'alarms', '--clips', str(library), '--renders', '1']) == 0
    table, _, last = capsys.readouterr().out.strip().rpartition('\n')
    figures = json.loads(last)
    assert figures['recall']['yelp']['noise'] == {str(snr_db): 1.0 for snr_db in alarms.SNR_DB}
    assert figures['recordings']['false_alarms_per_hour'] == 0.0
    assert '| yelp | noise | 100 % |' in table
