"""`evaluate bag`: a recording scored by the demo's rules, its clock that of the stamps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.labels import read_labels
from audio_interaction_ros.matching import SceneEvent
from tests.bag_of_sound import START_NS, s16_messages, write_bag
from tests.training.evaluate.streams import heard
from training.__main__ import main
from training.evaluate.bag import excerpts, score

PCM = PcmFormat(16_000, 1, 'S16LE')
SOUND = np.random.default_rng(3).normal(0, 0.1, 30 * 6_400).astype(np.float32)


def label(onset_s: float, end_s: float, category: str, hazard: bool) -> SceneEvent:
    return SceneEvent(onset_s=onset_s, end_s=end_s, category=category, hazard=hazard)


EVENTS = [label(1.0, 2.0, 'siren', True), label(6.0, 6.5, 'glass breaking', True), label(7.0, 9.0, 'rain', False)]


def test_a_bag_is_scored_as_the_demo_is():
    """A hazard may be answered for four seconds; 8.4 s lies in that time of the glass, so rain is not to blame."""
    found = score(EVENTS, heard({5: 'A siren!', 8: 'A siren!', 20: 'Glass is breaking!', 27: 'Oh.'}), 'bag')
    siren, glass, rain = found.trials
    assert (siren.answered, siren.correct, siren.latency_s) == (True, True, pytest.approx(1.4))
    assert (glass.answered, glass.latency_s, rain.answered) == (True, pytest.approx(2.4), False)
    assert found.repeats == 1 and found.false_s == [pytest.approx(11.2)]


def test_a_response_to_an_ordinary_sound_counts_against_it_and_as_an_interruption():
    found = score([EVENTS[0], EVENTS[2]], heard({19: 'Bless you!'}), 'bag')
    assert [(t.category, t.answered, t.correct) for t in found.trials] == [('siren', False, None), ('rain', True, None)]
    assert sum(stretch.false_responses for stretch in found.listened) == 1
    assert sum(stretch.hours for stretch in found.listened) == pytest.approx(12.0 / 3_600)


def test_the_command_reads_bag_and_labels_and_prints_its_json_last(tmp_path: Path, listener_folder: str, capsys):
    bag = write_bag(tmp_path / 'bag', s16_messages(SOUND, 16_000), PCM)
    labels = tmp_path / 'labels.csv'
    labels.write_text('onset_s,end_s,category,respond\n1.0,2.0,siren,1\n7.0,9.0,rain,0\n')
    page = tmp_path / 'bag.html'
    arguments = ['--labels', str(labels), '--checkpoint', listener_folder, '--report', str(page)]
    assert main(['evaluate', 'bag', str(bag), *arguments]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['trials'] == 2 and figures['hours_listened'] == pytest.approx(12.0 / 3_600, abs=1e-4)
    assert figures['interruptions_per_hour'] == figures['false_alarms_per_hour']
    missed = [event['category'] for event in figures['missed_events']]
    assert missed == ([] if figures['recall'] else ['siren'])
    assert page.read_text().count('<audio') == 2


def test_an_excerpt_is_the_sound_at_its_stamp_and_zeros_outside(tmp_path: Path):
    path = write_bag(tmp_path / 'bag', s16_messages(SOUND, 16_000), PCM)
    with AudioBagReader(path) as bag:
        inside, past = excerpts(bag, START_NS, [(2.0, 3.0), (11.5, 12.5)])
    np.testing.assert_allclose(inside, SOUND[32_000:48_000], atol=1e-4)
    np.testing.assert_allclose(past[:8_000], SOUND[184_000:], atol=1e-4)
    assert len(past) == 16_000 and not past[8_000:].any()


def test_without_the_column_every_event_deserves_an_answer(tmp_path: Path):
    (tmp_path / 'labels.csv').write_text('onset_s,end_s,category\n3,4,fall\n1,2,siren\n')
    assert [(e.category, e.hazard) for e in read_labels(tmp_path / 'labels.csv')] == [('siren', True), ('fall', True)]


@pytest.mark.parametrize(
    ('labels', 'sentence'),
    [
        (None, 'is not a readable CSV file'),
        ('onset_s,end_s,category\n', 'has no labels'),
        ('onset,end_s,category\n1,2,siren\n', 'line 2'),
        ('onset_s,end_s,category\n1,2,siren\n2,x,siren\n', 'line 3'),
        ('onset_s,end_s,category,respond\n1,2,siren,maybe\n', 'line 2'),
        ('onset_s,end_s,category\n3,2,siren\n', 'end after onset'),
        ('onset_s,end_s,category\n90,92,siren\n', 'after the end of the bag'),
    ],
)
def test_labels_that_cannot_be_used_are_one_sentence(
    tmp_path, listener_folder, capsys, labels: str | None, sentence: str
):
    bag = write_bag(tmp_path / 'bag', s16_messages(SOUND[:32_000], 16_000), PCM)
    path = tmp_path / 'labels.csv'
    if labels is not None:
        path.write_text(labels)
    assert main(['evaluate', 'bag', str(bag), '--labels', str(path), '--checkpoint', listener_folder]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_no_bag_is_one_sentence(tmp_path, listener_folder, capsys):
    (tmp_path / 'labels.csv').write_text('onset_s,end_s,category\n1,2,siren\n')
    arguments = ['--labels', str(tmp_path / 'labels.csv'), '--checkpoint', listener_folder]
    assert main(['evaluate', 'bag', str(tmp_path / 'nowhere'), *arguments]) == 2
    assert 'no bag at' in capsys.readouterr().err
