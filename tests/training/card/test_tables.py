"""Every figure of a card stands in a row, with its interval, beside that of the older checkpoint."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.training.stages import micro
from training.card import CardError, facts, tables
from training.card.measurements import Asked, Measured, measurements
from training.card.tables import Version


def rates(accuracy: float, **more: object) -> dict[str, object]:
    interval = [accuracy - 0.05, accuracy + 0.05]
    return {
        'trials': 80,
        'balanced_accuracy': accuracy,
        'auc': 0.9684,
        'confidence_95': {'balanced_accuracy': interval},
    } | more


def version(name: str, checkpoint: Path, accuracy: float, against: bool = False) -> Version:
    """What the commands print, for a held-out library, an unseen one and a corpus."""
    yamnet = Path('yamnet.tflite') if against else None
    asked = Asked((Path('clips'),), (Path('gpl'),), yamnet, Path('corpus'), without=frozenset({'demo', 'sessions'}))
    sets = {
        'clips: fold 4': rates(accuracy, false_alarms_per_hour=7.0),
        'clips: other recordings': rates(0.5, false_positive_rate=0.41),
        'gpl': rates(0.65),
        'new procedural hazards': {'recall': 0.9, 'confidence_95': {}},
    }
    beside = {'hazard_classes': {'sets': {'gpl': rates(0.55)}, 'by_snr': {'20': rates(0.7)}}, 'linear_probe': None}
    figures = {
        'speed': {'real_time_factor': 61.3, 'passes': {'text_token': {'p50_ms': 1.204, 'p99_ms': 2.0}}},
        'clips': rates(
            accuracy,
            false_alarms_per_hour=21.0,
            threshold=0.693,
            by_snr={'20': rates(0.91), '5': rates(0.83)},
            sets=sets,
            ordinary_sound={'clips': {'false_alarms_per_hour': 21.0}, 'gpl': {'false_alarms_per_hour': 544.0}},
            against=beside if against else None,
        ),
        'corpus': rates(0.89) | {
            'trigger_accuracy_teacher_forced': 0.9652,
            'hazards_in_category': {'share': 0.54, 'of': 980, 'confidence_95': [0.5, 0.58]},
            'instructions': {
                'spoken': {'share': 0.69, 'of': 70, 'confidence_95': None}, 'written': {'share': None, 'of': 0},
            },
            'asr': {'wer': 0.19, 'words': 900, 'confidence_95': [0.17, 0.21]},
            'translation': {'chinese': {'bleu': 96.4, 'segments': 30, 'confidence_95': None}},
        },
    }  # fmt: skip
    return Version(
        name, checkpoint, [Measured(each, figures[each.kept_as]) for each in measurements(checkpoint, asked)]
    )


def rows(text: str) -> dict[str, list[str]]:
    """First cell → the others; of cells that come again in a later group, the first."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith('| '):
            first, *others = (cell.strip() for cell in line.strip('|').split('|'))
            found.setdefault(first, others)
    return found


def test_a_row_has_the_figure_of_every_checkpoint_with_its_interval(tmp_path):
    text = tables.recordings([version('old', tmp_path / 'a', 0.93), version('new', tmp_path / 'b', 0.97)])
    found = rows(text)
    assert found['recordings that no stage was trained on'] == ['old', 'new']
    assert found['**clips: fold 4** (80 streams)'] == ['', '']
    assert found['balanced accuracy'] == ['0.93 [0.88, 0.98]', '0.97 [0.92, 1.02]']
    assert found['area under the ROC curve'] == ['0.968', '0.968']
    assert found['balanced accuracy at 20, 5 dB SNR'] == ['0.91, 0.83'] * 2
    assert found['false responses in an hour of its ordinary sound'] == ['21.0', '21.0']
    assert found['false responses in an hour of ordinary sound of gpl'] == ['544.0', '544.0']
    assert found['answers to what deserves none'] == ['0.41', '0.41']
    assert {'**clips: other recordings** (80 streams)', '**new procedural hazards**', '**gpl** (80 streams)'} <= set(
        found
    )


def test_what_was_heard_beside_the_checkpoint_has_columns_of_its_own(tmp_path):
    found = rows(tables.recordings([version('old', tmp_path / 'a', 0.93), version('new', tmp_path / 'b', 0.97, True)]))
    assert found['recordings that no stage was trained on'] == ['old', 'new', 'YAMNet, hazard classes']
    assert found['balanced accuracy at 20, 5 dB SNR'] == ['0.91, 0.83', '0.91, 0.83', '0.70, –']
    assert found['balanced accuracy'] == ['0.93 [0.88, 0.98]', '0.97 [0.92, 1.02]', '–']


def test_each_table_names_the_commands_and_seeds_behind_it(tmp_path):
    text = tables.recordings([version('new', tmp_path / 'new', 0.97)])
    clips = 'clips clips --held-out --unseen gpl --ordinary-s 3600 --seed 1'
    assert f'\npython -m training evaluate {clips} --checkpoint {tmp_path}/new\n' in text
    assert 'corpus' not in text


def test_a_corpus_has_its_own_table_and_what_was_not_measured_no_row(tmp_path):
    found = rows(tables.streams([version('new', tmp_path, 0.97)]))
    assert found['trigger accuracy, the true history given'] == ['0.965']
    assert found['hazards warned of in the right category'] == ['0.54 [0.50, 0.58] of 980']
    assert found['replies that a spoken instruction calls for, right'] == ['0.69 of 70']
    assert found['word error rate of recognition'] == ['0.19 [0.17, 0.21]']
    assert found['BLEU into chinese'] == ['96']
    assert (
        'replies that a written instruction calls for, right' not in found
        and 'history questions answered right' not in found
    )


def test_speed_and_size_stand_together(tmp_path):
    checkpoint = write_tiny_checkpoint(tmp_path / 'tiny')
    found = rows(tables.running([version('tiny', checkpoint, 0.97)]))
    megabytes = (checkpoint / 'model.safetensors').stat().st_size / 1e6
    assert found['weights, MB'] == [f'{megabytes:.1f} (float32)']
    assert found['one core: times real time'] == ['61']
    assert found['one core: text token, median and 99th percentile, ms'] == ['1.20, 2.00']


def test_hazards_that_only_procedural_sounds_cover_are_named(tmp_path):
    corpus = micro.write_corpus(tmp_path / 'corpus')
    assert facts.hazard_recordings(corpus) == {'high tone': 3, 'low tone': 3}
    index = corpus / 'library' / 'clips' / 'clips-000000.jsonl'
    clips = [json.loads(line) for line in index.read_text().splitlines()]
    for clip in clips:
        clip['source'] = 'procedural' if clip['category'] == 'low tone' else 'test'
    index.write_text(''.join(json.dumps(clip) + '\n' for clip in clips))
    found = rows(tables.procedural(corpus))
    assert found['procedural sounds alone (1)'] == ['low tone']
    assert found['recordings, and how many (1)'] == ['high tone 3']
    shutil.rmtree(corpus / 'library')
    with pytest.raises(CardError, match='does not say which sounds it was made of'):
        tables.procedural(corpus)


def test_licences_are_counted_and_those_that_ask_for_themselves_are_marked(tmp_path):
    assert tables.licences(tmp_path) == ''
    with (tmp_path / 'ATTRIBUTIONS.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['source', 'source_id', 'licence', 'attribution'])
        writer.writerows(['a', number, 'CC-BY-SA-4.0', ''] for number in range(3))
        writer.writerows(
            [['b', 'x', 'MIT', ''], ['c', 'y', 'MIT', ''], ['d', 'z', 'ODbL-1.0 AND LicenseRef-DbCL-1.0', '']]
        )
    found = rows(tables.licences(tmp_path))
    assert found['CC-BY-SA-4.0'] == ['3', 'yes', 'a']
    assert found['MIT'] == ['2', '', 'b, c']
    assert found['ODbL-1.0 AND LicenseRef-DbCL-1.0'] == ['1', 'yes', 'd']
    (tmp_path / 'ATTRIBUTIONS.csv').write_text('nothing\nof,it\n')
    with pytest.raises(CardError, match='restore it from where the checkpoint comes from'):
        tables.licences(tmp_path)
