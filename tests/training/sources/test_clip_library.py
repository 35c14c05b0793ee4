"""A clip library is split by recording, and says clearly what is wrong with it."""

import csv

import numpy as np
import pytest
import soundfile

from training.clips.sounds import category_weight
from training.dsp.activity import activity
from training.sources.clip_library import ClipLibraryError, load_library, split, write_attributions

COLUMNS = ['path', 'category', 'source', 'source_id', 'fold', 'licence', 'attribution', 'respond']


def library(folder, rows):
    with (folder / 'manifest.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({column: '' for column in COLUMNS} | row for row in rows)
    return folder


def row(path, **columns):
    return {'path': path, 'category': 'rain', 'source_id': path, 'respond': '0'} | columns


def test_a_fold_decides_the_side_and_other_recordings_keep_theirs(tmp_path):
    rows = [row(f'{n}.flac', fold=str(n % 4 + 1), source='ESC-10') for n in range(8)]
    rows += [row(f'other-{n}.flac', source_id=f'recording-{n // 3}') for n in range(300)]
    training, validation = split(load_library(library(tmp_path, rows)))
    assert {clip.fold for clip in validation if clip.fold} == {'4'}
    sides = [{clip.source_id for clip in side} for side in (training, validation)]
    assert not sides[0] & sides[1]
    assert 0.1 < len([c for c in validation if not c.fold]) / 300 < 0.3


def test_clips_of_one_home_share_a_side(tmp_path):
    home = '643D64AD-B711-469A-AF69-55C0D5D3E30F'
    rows = [
        row(f'{n}.flac', source='Donate-a-cry corpus (cleaned version)', source_id=f'{name}-143{n}-1.0-m-72-bp')
        for n, name in enumerate([home, home.lower()])
    ]
    first, second = load_library(library(tmp_path, rows))
    assert first.recording == second.recording
    assert first.validation == second.validation


def test_a_recording_on_both_sides_is_refused(tmp_path):
    rows = [row('a.flac', fold='1', source_id='x'), row('b.flac', fold='4', source_id='x')]
    with pytest.raises(ClipLibraryError, match='both sides'):
        split(load_library(library(tmp_path, rows)))


def test_a_missing_manifest_or_column_is_one_sentence(tmp_path):
    with pytest.raises(ClipLibraryError, match=r'manifest\.csv'):
        load_library(tmp_path)
    (tmp_path / 'manifest.csv').write_text('path,category\na.flac,rain\n')
    with pytest.raises(ClipLibraryError, match=r"lacks the columns \['respond', 'source_id'\]"):
        load_library(tmp_path)


def test_a_clip_is_read_at_16_khz_mono(tmp_path):
    soundfile.write(tmp_path / 'a.wav', np.zeros((44_100, 2), np.float32), 44_100)
    (clip,) = load_library(library(tmp_path, [row('a.wav')]))
    assert clip.read().samples.shape == (16_000,)


def test_padding_is_not_activity():
    samples = np.zeros(32_000, np.float32)
    samples[16_000:17_600] = np.random.default_rng(1).standard_normal(1_600) * 0.1
    active = activity(samples)
    assert len(active) == 100
    assert active[50:55].all() and not active[:44].any() and not active[61:].any()
    assert not activity(np.zeros(3_200, np.float32)).any()


def test_attributions_name_every_recording_once(tmp_path):
    rows = [row('a.flac', source='S', source_id='x', licence='CC0-1.0', attribution='me, "x"')] * 2
    write_attributions(load_library(library(tmp_path, rows)), tmp_path / 'out.csv')
    with (tmp_path / 'out.csv').open() as file:
        assert list(csv.DictReader(file)) == [
            {'source': 'S', 'source_id': 'x', 'licence': 'CC0-1.0', 'attribution': 'me, "x"'}
        ]


def test_more_renders_do_not_crowd_out_recordings():
    rendered = [f'procedural:siren:{n}' for n in range(60)]
    assert category_weight(rendered) == category_weight(rendered[:10]) < category_weight(['one'])
    assert category_weight(['one', *rendered]) < category_weight(['one', 'two'])
