"""A folder with our own manifest.csv is a source like any other, and keeps the sides it has always had."""

import csv
from collections import defaultdict

from tests.training.sources.miniature import clips, refuses, sound, text
from training.sources import find_source
from training.sources.base import Facts
from training.sources.clip_library import load_library

COLUMNS = ['path', 'category', 'caption', 'source', 'source_id', 'fold', 'licence', 'attribution', 'respond']


def folder(root, *rows):
    with (root / 'manifest.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='')
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        sound(root / row['path'])
    return root


def on_several_sides(cuts):
    sides = defaultdict(set)
    for cut in cuts:
        facts = Facts.of(cut.supervisions[0])
        sides[facts.recording].add(facts.split)
    return [recording for recording, where in sides.items() if len(where) > 1]


def test_a_row_keeps_its_own_source_licence_and_credit(tmp_path):
    row = {
        'path': 'esc10/rooster/1-26806-A.wav',
        'category': 'rooster',
        'caption': 'A rooster crows once.',
        'source': 'ESC-10',
        'source_id': 'freesound:26806',
        'fold': '1',
        'licence': 'CC-BY-3.0',
        'attribution': '"rooster.wav" by nobody, "quoted"',
        'respond': '0',
    }
    alarm = {'path': 'a.wav', 'category': 'siren', 'source_id': 'x', 'respond': '1'}
    music = {'path': 'b.wav', 'category': 'music', 'source_id': 'y', 'respond': ''}
    found = clips('clips', folder(tmp_path, row, alarm, music))
    cut, _, facts = found['freesound:26806']
    assert cut.id == 'clips:esc10/rooster/1-26806-A.wav'
    assert facts == Facts(
        'rooster',
        'A rooster crows once.',
        False,
        'ESC-10',
        'freesound:26806',
        'freesound:26806',
        'CC-BY-3.0',
        '"rooster.wav" by nobody, "quoted"',
        'train',
        '',
    )
    assert [found[key][2].respond for key in ('x', 'y')] == [True, None]


def test_what_was_held_out_from_a_clip_library_still_is(tmp_path):
    rows = [
        {'path': f'{n}.wav', 'category': 'rain', 'source_id': f'r{n // 2}', 'respond': '0', 'fold': fold}
        for n, fold in enumerate(['4', '4', '1', '1', *[''] * 80])
    ]
    cuts = find_source('clips').prepare(folder(tmp_path, *rows))
    assert not on_several_sides(cuts)
    held_out = {clip.recording for clip in load_library(tmp_path) if clip.validation}
    facts = [Facts.of(cut.supervisions[0]) for cut in cuts]
    assert {each.recording for each in facts if each.split != 'train'} == held_out
    assert {each.split for each in facts} == {'train', 'validation', 'test'}
    assert {each.split for each in facts if each.recording == 'r1'} == {'train'}  # folds 1 to 3


def test_fold_four_is_halved_between_validation_and_test_by_recording(tmp_path):
    rows = [
        {'path': f'{n}.wav', 'category': 'rain', 'source_id': f'r{n // 2}', 'respond': '0', 'fold': '4'}
        for n in range(40)
    ]
    cuts = find_source('clips').prepare(folder(tmp_path, *rows))
    assert not on_several_sides(cuts)
    assert {Facts.of(cut.supervisions[0]).split for cut in cuts} == {'validation', 'test'}


def test_a_folder_without_manifest_or_with_another_is_refused(tmp_path):
    refuses('clips', tmp_path, 'no clip library', 'manifest.csv')
    text(tmp_path / 'manifest.csv', 'path,category', 'a.wav,rain')
    refuses('clips', tmp_path, 'lacks the columns')
    text(tmp_path / 'manifest.csv', 'path,category,source_id,respond', 'a.wav,rain,x,0')
    refuses('clips', tmp_path, 'lists 1 files, of which 1 are not there')
