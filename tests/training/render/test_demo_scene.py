"""The second scene of the demo: three minutes of a living room, of recordings that nothing was trained on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.cli.scoring import DemoScene
from training.__main__ import main
from training.render.demo_scene import make_living_room
from training.sources.clip_library import ClipLibraryError, load_library

ORDINARY = ('speech', 'music', 'footsteps', 'door', 'typing', 'dog bark')
COLUMNS = ('path', 'category', 'source_id', 'licence', 'attribution', 'respond')


def library(folder: Path, ordinary: int, hazards: tuple[str, ...] = ('glass breaking', 'scream')) -> Path:
    folder.mkdir()
    rows = [(category, '0', n) for category in ORDINARY for n in range(ordinary)]
    rows += [(category, '1', n) for category in hazards for n in range(30)]
    with (folder / 'manifest.csv').open('w', newline='') as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for category, respond, n in rows:
            name = f'{category}-{n}.wav'
            noise = np.random.default_rng(n).normal(0, 0.1, 6 * 16_000 if respond == '0' else 16_000)
            soundfile.write(folder / name, noise, 16_000)
            table.writerow([name, category, name, 'CC0-1.0', f'by {name}', respond])
    return folder


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp('scene') / 'clips', 40)


def test_it_is_three_minutes_with_two_hazards_and_each_held_out_recording_once(clips: Path, tmp_path: Path, capsys):
    arguments = ['scene', '--programme', 'living-room', '--clips', str(clips), '--out', str(tmp_path)]
    assert main(arguments) == 0
    events = json.loads((tmp_path / 'scene.json').read_text())['events']
    assert json.loads(capsys.readouterr().out) == {'seconds': 180.0, 'events': len(events), 'hazards': 2}
    assert soundfile.info(tmp_path / 'scene.flac').duration == 180.0
    held_out = {f'by {clip.path.name} (CC0-1.0)' for clip in load_library(clips) if clip.validation}
    sources = [event['source'] for event in events]
    assert set(sources) <= held_out and len(set(sources)) == len(sources) > 15
    hazards = DemoScene.load(tmp_path / 'scene.json').hazards  # what the demo scores it by
    assert [hazard.category for hazard in hazards] == ['glass breaking', 'scream']
    assert 60 <= hazards[0].onset_s < 75 and 120 <= hazards[1].onset_s < 135


def test_a_sound_can_be_heard_where_the_description_says(clips: Path, tmp_path: Path):
    make_living_room(clips, tmp_path, 3)
    samples, _ = soundfile.read(tmp_path / 'scene.flac')
    events = json.loads((tmp_path / 'scene.json').read_text())['events']
    first = events[0]
    before = samples[: int(first['onset_s'] * 16_000)]
    during = samples[int(first['onset_s'] * 16_000) : int(first['end_s'] * 16_000)]
    assert 10 * np.log10(np.square(during).mean() / np.square(before).mean()) > 10


@pytest.mark.parametrize(
    ('ordinary', 'hazards'), [(5, ('glass breaking', 'scream')), (40, ('scream',))], ids=['few sounds', 'no hazard']
)
def test_a_library_that_is_too_small_is_one_sentence(tmp_path: Path, ordinary: int, hazards: tuple[str, ...]):
    with pytest.raises(ClipLibraryError, match=r'too few sounds of a living room: they fill \d+ s of 180 s'):
        make_living_room(library(tmp_path / 'clips', ordinary, hazards), tmp_path / 'out', 1)
