"""YAMNet beside a checkpoint: on the same streams, at the same moments, with a probe that sees no scored recording."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from training.clips.sounds import SoundClip
from training.evaluate import EvaluationError
from training.evaluate.clip_sets import ClipSet, Scored
from training.evaluate.clips import evaluate_clips
from training.evaluate.hearing import Listener
from training.evaluate.ordinary import ordinary_audio
from training.evaluate.report import write_report
from training.evaluate.yamnet import CLASSES, Yamnet, class_names
from training.evaluate.yardstick import Yardstick, YardstickHour, hazard_classes, pooled
from training.procedural.registry import render

FILE = Path(__file__).parents[3].parent / 'shared' / 'parts' / 'yamnet.tflite'
needs_the_network = pytest.mark.skipif(not FILE.is_file(), reason=f'no {FILE}')
KINDS = {'siren_wail': ('siren', True), 'rain': ('rain', False), 'knocks': ('knocking', False)}


def sounds(first: int, count: int) -> tuple[Scored, ...]:
    found = []
    for name, (category, respond) in KINDS.items():
        for take in range(first, first + count):
            samples = render(name, np.random.default_rng([9, take]))[:48_000]
            id = f'{name}-{take}'
            found.append(Scored(SoundClip.of(category, respond, id, samples), id, id, category))
    return tuple(found)


def test_the_hazard_classes_are_those_whose_names_deserve_an_answer():
    names = ['speech', 'siren', 'music', 'smoke detector, smoke alarm', 'rain']
    assert hazard_classes(names) == {1: 'siren', 3: 'smoke alarm'}


def test_the_probe_looks_back_on_two_seconds_and_not_ahead():
    scores = np.zeros((9, CLASSES), np.float32)
    scores[2, 7] = 0.25
    seen = pooled(scores)
    assert seen[:, 7].tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0]  # the maximum, of square roots
    assert seen[:, CLASSES + 7] == pytest.approx([0, 0, 0.5 / 3, 0.125, 0.1, 0.1, 0.1, 0, 0])


def test_a_run_above_the_threshold_is_one_false_response_at_its_first_moment():
    audio = ordinary_audio([ClipSet('a', 'a', sounds(0, 1))], 8.0, seed=1)
    hazard = np.array([0.1, 0.6, 0.9, 0.7, 0.1, 0.2, 0.6] + [0.0] * 13)
    hour = YardstickHour(((audio, hazard, None),))
    assert sum(stretch.false_responses for _, stretch in hour.listened(0.5, probe=False)) == 2
    first = audio.sounding(0.8)
    assert hour.listened(0.5, probe=False)[first][1].false_responses > 0


def test_names_come_from_the_file_itself_or_from_the_table_beside_it(tmp_path: Path):
    file = tmp_path / 'yamnet.tflite'
    file.write_bytes(b'weights')
    with pytest.raises(EvaluationError, match=r'has 0 class names of 521; put the yamnet_class_map\.csv'):
        class_names(file)
    with file.with_name('yamnet_class_map.csv').open('w', newline='') as table:
        rows = ([n, '/m/x', f'Sound, {n}'] for n in range(521))
        csv.writer(table).writerows([['index', 'mid', 'display_name'], *rows])
    assert class_names(file)[5] == 'sound, 5'
    packed = io.BytesIO(b'weights')
    packed.seek(0, io.SEEK_END)
    with zipfile.ZipFile(packed, 'a') as archive:
        archive.writestr('labels.txt', '\n'.join(f'Label {n}' for n in range(521)))
    file.write_bytes(packed.getvalue())
    assert class_names(file)[5] == 'label 5'


def test_what_is_not_yamnet_is_one_sentence(tmp_path: Path):
    with pytest.raises(EvaluationError, match="no file 'absent"):
        Yamnet(Path('absent.tflite'))
    pytest.importorskip('ai_edge_litert')
    (tmp_path / 'text.tflite').write_text('not a network')
    with pytest.raises(EvaluationError, match=r'is no \.tflite file'):
        Yamnet(tmp_path / 'text.tflite')


@needs_the_network
def test_without_its_package_the_cure_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__('sys').modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(EvaluationError, match='pip install ai-edge-litert'):
        Yamnet(FILE)


@needs_the_network
def test_the_scores_of_a_moment_are_of_the_second_before_it():
    pytest.importorskip('ai_edge_litert')
    yamnet = Yamnet(FILE)
    siren = render('siren_wail', np.random.default_rng(1))[:64_000]
    scores = yamnet.scores(siren, range(10))
    quiet_after = yamnet.scores(np.concatenate([siren[: 5 * 6_400], np.zeros(32_000, np.float32)]), range(10))
    assert np.array_equal(scores[:5], quiet_after[:5]) and not np.allclose(scores[5:8], quiet_after[5:8])
    assert {'siren', 'civil defense siren'} & {yamnet.names[n] for n in np.argsort(scores.max(axis=0))[-4:]}


@needs_the_network
def test_the_report_shows_both_ways_beside_ours_on_the_same_streams(listener: Listener, tmp_path: Path):
    pytest.importorskip('ai_edge_litert')
    shutil.copy(FILE, tmp_path / 'yamnet.tflite')
    shutil.copy(FILE.with_name('yamnet_class_map.csv'), tmp_path)
    yardstick = Yardstick(Yamnet(tmp_path / 'yamnet.tflite'), sounds(10, 4), seed=1)
    found = evaluate_clips(listener, [ClipSet('renders', 'a', sounds(0, 2))], [], [5.0], 16.0, 1, yardstick)
    hazards, probe = (found.figures['against'][name] for name in ('hazard_classes', 'linear_probe'))
    for figures in (hazards, probe):
        assert figures['sets']['renders']['trials'] == figures['by_snr']['5']['trials'] == 6
        assert figures['ordinary_sound']['a']['hours_listened'] == pytest.approx(16 / 3_600, abs=1e-4)
    assert hazards['sets']['renders']['auc'] == 1.0  # it knows a siren
    assert hazards['sets']['renders']['response_correct'] == 1.0
    assert probe['sets']['renders']['auc'] > 0.8
    write_report(tmp_path / 'page.html', 'test', found)
    page = (tmp_path / 'page.html').read_text()
    assert page.count('YAMNet, hazard classes') == page.count('YAMNet, linear probe') == 3  # set, noise, ordinary sound
