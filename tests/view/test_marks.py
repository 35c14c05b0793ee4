"""Marks are on the disk before the next key, opened again, and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_interaction_ros.labels import LabelsError, labels_beside, read_labels, write_labels
from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.view.marks import UNNAMED, Marks


def event(onset_s: float, end_s: float, category: str, hazard: bool = True, text: str = '') -> SceneEvent:
    return SceneEvent(onset_s=onset_s, end_s=end_s, category=category, hazard=hazard, text=text)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / 'kitchen.csv'


def saved(labels: Path) -> list[SceneEvent]:
    return read_labels(labels, may_be_empty=True)


def test_a_mark_is_saved_when_it_begins_and_again_with_its_end_and_its_name(labels: Path):
    marks = Marks(labels, 60.0)
    marks.press('e', 3.0)
    assert saved(labels) == [event(3.0, 3.5, UNNAMED)] and marks.is_open
    marks.press('e', 4.25)
    assert saved(labels) == [event(3.0, 4.25, UNNAMED)] and marks.asking == 'category'
    marks.press('name', 4.25, ' glass  breaking ')
    assert saved(labels) == [event(3.0, 4.25, 'glass breaking')] and not marks.asking


def test_spoken_words_deserve_silence_and_are_typed(labels: Path):
    marks = Marks(labels, 60.0)
    marks.press('w', 3.0)
    marks.press('w', 5.0)
    assert marks.asking == 'words'
    marks.press('name', 5.0, 'the "kettle", is on')
    assert saved(labels) == [event(3.0, 5.0, 'speech', False, 'the "kettle", is on')]


def test_what_was_saved_before_is_opened_and_goes_on(labels: Path):
    write_labels(labels, [event(8.0, 9.0, 'siren'), event(1.0, 2.0, 'rain', False)])
    marks = Marks(labels, 60.0)
    assert [one.category for one in marks.events] == ['rain', 'siren']
    marks.press('s', 5.0)
    assert [one.category for one in saved(labels)] == ['rain', UNNAMED, 'siren']


def test_keys_select_move_turn_remove_and_undo(labels: Path):
    write_labels(labels, [event(1.0, 2.0, 'rain', False), event(8.0, 9.0, 'siren')])
    marks = Marks(labels, 60.0)
    marks.press('n', 0.0)
    marks.press('[', 7.5)
    marks.press(']', 9.5)
    marks.press(']', 7.0)  # an end before the onset is no end
    assert saved(labels)[1] == event(7.5, 9.5, 'siren')
    marks.press('r', 0.0)
    assert saved(labels)[1] == event(7.5, 9.5, 'siren', False)
    marks.press('x', 0.0)
    assert [one.category for one in saved(labels)] == ['rain']
    for _ in range(4):
        marks.press('u', 0.0)
    assert saved(labels) == [event(1.0, 2.0, 'rain', False), event(8.0, 9.0, 'siren')]


def test_the_last_mark_may_be_removed_and_a_mark_ends_with_the_recording(labels: Path):
    marks = Marks(labels, 10.0)
    marks.press('e', 12.0)
    assert saved(labels) == [event(9.95, 10.0, UNNAMED)]
    marks.press('x', 0.0)
    assert saved(labels) == [] and marks.selected is None
    marks.press('x', 0.0)
    assert Marks(labels, 10.0).events == ()


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_lost(labels: Path):
    marks = Marks(labels, 60.0)
    blocked = labels.with_name(f'{labels.name}.part')
    blocked.mkdir()
    marks.press('e', 3.0)
    assert 'cannot be written' in marks.problem and not labels.exists()
    blocked.rmdir()
    marks.retry()
    assert not marks.problem and saved(labels) == [event(3.0, 3.5, UNNAMED)]


@pytest.mark.parametrize(
    ('written', 'sentence'),
    [('onset_s,end_s,category\n3,2,siren\n', 'end after onset'), ('onset_s,end_s,category,who\n1,2,a,b\n', "'who'")],
)
def test_a_file_that_would_suffer_is_left_as_it_is(labels: Path, written: str, sentence: str):
    labels.write_text(written)
    with pytest.raises(LabelsError, match=sentence):
        Marks(labels, 60.0)
    assert labels.read_text() == written


def test_labels_lie_beside_a_recording_under_its_name(tmp_path: Path):
    (tmp_path / 'night.bag').mkdir()
    assert labels_beside(tmp_path / 'night.bag') == tmp_path / 'night.bag.csv'
    assert labels_beside(tmp_path / 'kitchen.wav') == tmp_path / 'kitchen.csv'
