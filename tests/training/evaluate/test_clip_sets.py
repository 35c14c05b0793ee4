"""Which clips are scored: held-out or unseen ones of the libraries given, of which is known what they deserve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.tiny_checkpoint import write_tiny_checkpoint
from training.__main__ import main
from training.evaluate import EvaluationError
from training.evaluate.clip_sets import (
    held_out_sets,
    open_libraries,
    recordings_trained_on,
    training_sounds,
    whole_sets,
)
from training.sources.clip_library import load_library


def library(folder: Path, rows: list[str], header: str = 'path,category,respond', name: str = 'manifest.csv') -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text('\n'.join([header, *rows]) + '\n')
    for row in rows:
        noise = np.random.default_rng(3).normal(0, 0.1, 8_000)
        soundfile.write(folder / row.split(',')[0], noise, 16_000)
    return folder


def numbered(count: int) -> list[str]:
    return [f'{n}.wav,rain,0,recording-{n},' for n in range(count)]


WITH_SIDES = 'path,category,respond,source_id,fold'


def test_where_no_column_says_it_the_category_does(tmp_path: Path):
    rows = ['a.wav,siren', 'b.wav,rain', 'c.wav,applause', 'd.wav,mystery', 'e.wav,ambulance (siren)', 'f.wav,knocking']
    (found,), left_out = whole_sets(open_libraries([library(tmp_path, rows, 'path,category')]))
    assert [scored.sound.respond for scored in found.sounds] == [True, False, False, True]
    reasons = {one.file: one.reason for one in left_out}
    assert reasons == {'d.wav': 'nobody knows whether it deserves an answer', 'f.wav': 'the place decides'}
    last = found.sounds[-1]
    assert (last.label, last.sound.category) == ('ambulance (siren)', 'siren')  # by the table of categories


def test_an_empty_respond_is_left_out_whatever_the_category(tmp_path: Path):
    (found,), left_out = whole_sets(open_libraries([library(tmp_path, ['a.wav,siren,', 'b.wav,siren,1'])]))
    assert [scored.file for scored in found.sounds] == ['b.wav']
    assert [(one.file, one.reason) for one in left_out] == [('a.wav', 'respond is empty: it depends')]


def test_of_libraries_the_held_out_side_is_scored_and_of_unseen_ones_all(tmp_path: Path):
    rows = [*numbered(40), 'x.wav,siren,1,x,4', 'y.wav,siren,1,y,3']
    known = library(tmp_path / 'known', rows, WITH_SIDES)
    unseen = library(tmp_path / 'unseen', numbered(9), WITH_SIDES)
    libraries = open_libraries([known, unseen])
    held_out = [clip.path.name for clip in load_library(known) if clip.validation and not clip.fold]
    sets, left_out = held_out_sets(libraries[:1], libraries[1:], frozenset({'recording-3'}), seed=1)
    files = {one.name: {scored.file for scored in one.sounds} for one in sets}
    assert files['known: fold 4'] == {'x.wav'}
    assert files['known: other recordings'] == set(held_out) - {'3.wav'} and 0 < len(held_out) < 40
    assert files['unseen'] == {f'{n}.wav' for n in range(9)} - {'3.wav'}
    assert ('3.wav', 'trained on') in [(one.file, one.reason) for one in left_out]
    renders = next(one for one in sets if one.name == 'new procedural hazards')
    assert renders.library is None and all(scored.sound.respond for scored in renders.sounds)
    taught = training_sounds(libraries[:1], seed=1)
    scored_ids = {scored.sound.source_id for one in sets if one.name != 'unseen' for scored in one.sounds}
    assert not scored_ids & {scored.sound.source_id for scored in taught}
    assert 'y.wav' in {scored.file for scored in taught}


def test_what_a_checkpoint_was_trained_on_stands_in_its_credits(tmp_path: Path):
    checkpoint = write_tiny_checkpoint(tmp_path / 'tiny', seed=2)
    assert recordings_trained_on(checkpoint) == frozenset()
    (tmp_path / 'ATTRIBUTIONS.csv').write_text('source,source_id,licence,attribution\nx,freesound:1,CC0-1.0,"a, b"\n')
    assert recordings_trained_on(tmp_path) == {'freesound:1'}


def test_libraries_of_one_name_are_told_apart_and_one_named_twice_is_refused(tmp_path: Path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'b').mkdir()
    both = [library(tmp_path / side / 'clips', ['a.wav,siren,1']) for side in 'ab']
    assert [one.name for one in open_libraries(both)] == ['clips', 'clips-2']
    with pytest.raises(EvaluationError, match='named twice'):
        open_libraries([both[0], both[0] / 'manifest.csv'])


def test_unseen_without_held_out_is_one_sentence(tmp_path: Path, listener_folder: str, capsys):
    one = library(tmp_path / 'one', ['a.wav,siren,1'])
    arguments = ['evaluate', 'clips', str(one), '--unseen', str(one), '--checkpoint', listener_folder]
    assert main([*arguments, '--report', str(tmp_path / 'page.html')]) == 2
    assert '--unseen is for --held-out' in capsys.readouterr().err
