"""A stand-in for the field: four scenes of a minute, of held-out recordings that anybody may pass on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.labels import read_labels
from training.__main__ import main
from training.field.recordings import SCENES, find_recordings
from training.render.field_scenes import FIELD_SCENES, make_field
from training.sources.clip_library import ClipLibraryError, load_library

COLUMNS = ('path', 'category', 'source', 'source_id', 'fold', 'licence', 'attribution', 'respond')


def library(folder: Path, licence: str) -> Path:
    """Three held-out takes of every sound that is ordinary in a scene; half of them are under another licence."""
    folder.mkdir()
    ordinary = {name for scene in FIELD_SCENES.values() for name in (*scene.bed, *scene.ordinary)}
    with (folder / 'manifest.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for category in sorted(ordinary):
            for take, given in enumerate((licence, licence, 'CC-BY-SA-3.0')):
                name = f'{category}-{take}.wav'
                noise = np.random.default_rng(take).normal(0, 0.1, 24_000)
                soundfile.write(folder / name, noise, 16_000)
                table.writerow([name, category, 'own', name, '4', given, f'by {name}', '0'])
    return folder


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp('field') / 'clips', 'CC-BY-4.0')


def test_each_scene_is_a_minute_with_hazards_words_and_credits_and_the_seed_makes_the_same(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ['scene', '--programme', 'field', '--clips', str(clips), '--seed', '3']
    assert main([*arguments, '--out', str(tmp_path / 'one')]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [path.parent.name for _, path in find_recordings(tmp_path / 'one')] == list(SCENES)
    for scene in SCENES:
        assert soundfile.info(tmp_path / 'one' / scene / 'stand-in.flac').duration == 60.0
        events = read_labels(tmp_path / 'one' / scene / 'stand-in.csv')
        hazards = [event for event in events if event.hazard]
        assert len(hazards) == 2 and {event.category for event in hazards} <= set(FIELD_SCENES[scene].hazards)
        assert len([event for event in events if event.text]) == 2
        assert summary[scene] == {'events': len(events), 'hazards': 2}
    with (tmp_path / 'one' / 'ATTRIBUTIONS.csv').open(newline='') as file:
        credits = list(csv.DictReader(file))
    assert {row['licence'] for row in credits} == {'CC-BY-4.0'} and len(credits) == summary['recordings'] > 20
    assert {row['source_id'] for row in credits} <= {clip.source_id for clip in load_library(clips) if clip.validation}
    make_field(clips, tmp_path / 'two', 3)
    for name in ('work/stand-in.csv', 'work/stand-in.flac', 'ATTRIBUTIONS.csv'):
        assert (tmp_path / 'two' / name).read_bytes() == (tmp_path / 'one' / name).read_bytes()


def test_without_recordings_that_may_be_passed_on_there_is_no_scene(tmp_path: Path):
    with pytest.raises(ClipLibraryError, match='under a permissive licence'):
        make_field(library(tmp_path / 'clips', 'GPL-2.0-only'), tmp_path / 'field', 1)
