"""FMA and AudioSet: every clip with its own licence or video, and the most telling of its labels."""

import csv
import json

from tests.training.sources.miniature import clips, refuses, sound, text

FMA_COLUMNS = [
    ('album', 'title'),
    ('artist', 'bio'),
    ('artist', 'id'),
    ('artist', 'name'),
    ('set', 'split'),
    ('set', 'subset'),
    ('track', 'genre_top'),
    ('track', 'license'),
    ('track', 'title'),
]


def fma(root):
    rows = [
        ['2', 'AWOL', 'Two lines\nof "bio"', '1', 'AWOL', 'training', 'small', 'Hip-Hop', 'CC BY-NC-SA 3.0', 'Food'],
        ['1040', '', '', '58', 'Lars', 'validation', 'large', '', 'CC BY 4.0', 'Rain, "live"'],
        ['155066', '', '', '9', 'Eve', 'test', 'small', 'Folk', '', 'Home'],
        ['155067', '', '', '9', 'Eve', 'test', 'small', 'Folk', '', 'Not downloaded'],
    ]
    sound(root / 'fma_small/000/000002.mp3', rate_hz=44_100, channels=2)
    sound(root / 'fma_large/001/001040.mp3', rate_hz=44_100)
    sound(root / 'fma_small/155/155066.mp3', rate_hz=44_100)
    (root / 'fma_metadata').mkdir()
    with (root / 'fma_metadata/tracks.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['', *(first for first, _ in FMA_COLUMNS)])
        writer.writerow(['', *(second for _, second in FMA_COLUMNS)])
        writer.writerow(['track_id', *('' for _ in FMA_COLUMNS)])
        writer.writerows(rows)
    return root


def test_fma_tracks_carry_their_own_licence_and_artist(tmp_path, caplog):
    found = clips('fma', fma(tmp_path))
    assert list(found) == ['000002', '001040', '155066']
    assert 'of 4 files listed, 1 are not there' in caplog.text
    cut, supervision, facts = found['000002']
    assert (cut.sampling_rate, cut.num_channels) == (44_100, 2)
    assert supervision.text is None
    assert (facts.category, facts.respond, facts.source, facts.language) == ('hip-hop', None, 'FMA', '')
    assert (facts.recording, facts.licence) == ('fma:artist:1', 'CC BY-NC-SA 3.0')
    assert facts.attribution == '"Food" by AWOL, Free Music Archive track 2'
    assert found['001040'][2].category == 'music'
    assert found['155066'][2].licence == 'CC-BY-4.0 (metadata); each track has its own'
    assert [facts.split for _, _, facts in found.values()] == ['train', 'validation', 'test']


def test_fma_without_sound_or_with_another_table_is_refused(tmp_path):
    refuses('fma', tmp_path, 'no FMA', 'fma_metadata/tracks.csv', 'github.com/mdeff/fma')
    fma(tmp_path)
    text(tmp_path / 'fma_metadata/tracks.csv', 'track_id,title', '2,Food')
    refuses('fma', tmp_path, 'lacks the columns', 'genre_top')
    for path in tmp_path.rglob('*.mp3'):
        path.unlink()
    refuses('fma', tmp_path, 'nothing there matches fma_*/*/*.mp3')


ONTOLOGY = [
    {'id': '/t/animal', 'name': 'Animal', 'child_ids': ['/t/dog']},
    {'id': '/t/dog', 'name': 'Dog', 'child_ids': ['/t/bark']},
    {'id': '/t/bark', 'name': 'Bark', 'child_ids': []},
    {'id': '/t/alarm', 'name': 'Smoke detector, smoke alarm', 'child_ids': []},
]


def audioset(root):
    text(root / 'ontology.json', json.dumps(ONTOLOGY))
    head = ['# Segments csv created Sun Mar  5 10:54:31 2017', '# num_ytids=3', '# YTID, start_seconds, end_seconds, …']
    train = [
        '--4gqARaEJE, 0.000, 10.000, "/t/animal,/t/bark,/t/dog"',
        '-0SdAVK79lg, 30.000, 40.000, "/t/alarm"',
        '_gone_video, 30.000, 40.000, "/t/dog"',
    ]
    text(root / 'balanced_train_segments.csv', *head, *train)
    text(root / 'eval_segments.csv', *head, 'abcdefghijk, 12.500, 22.500, "/t/new"')
    sound(root / 'audio/balanced_train_segments/--4gqARaEJE.wav')
    sound(root / 'audio/-0SdAVK79lg_30.000.flac')
    sound(root / 'audio/abcdefghijk_12500.wav')
    return root


def test_audioset_takes_the_most_specific_label_and_any_usual_name(tmp_path, caplog):
    found = clips('audioset', audioset(tmp_path))
    assert list(found) == ['--4gqARaEJE_0', '-0SdAVK79lg_30', 'abcdefghijk_12.5']
    assert '1 are not there' in caplog.text
    _, supervision, facts = found['--4gqARaEJE_0']
    assert facts.category == 'bark'
    assert supervision.labels == ['animal', 'bark', 'dog']
    assert (facts.recording, facts.split, facts.respond) == ('youtube:--4gqARaEJE', 'train', None)
    assert facts.attribution.startswith('YouTube video --4gqARaEJE, 0 to 10 s')
    assert found['-0SdAVK79lg_30'][2].category == 'smoke detector, smoke alarm'
    _, _, facts = found['abcdefghijk_12.5']
    assert (facts.category, facts.split) == ('/t/new', 'test')


def test_audioset_that_is_half_there_is_refused(tmp_path):
    audioset(tmp_path)
    text(tmp_path / 'eval_segments.csv', 'abcdefghijk, twelve, 22.5, "/t/dog"')
    refuses('audioset', tmp_path, 'not as published', 'twelve')
    text(tmp_path / 'ontology.json', '{"id": 1}')
    refuses('audioset', tmp_path, 'not as published', 'from its first row')
    (tmp_path / 'ontology.json').unlink()
    refuses('audioset', tmp_path, 'no AudioSet', 'nothing there matches ontology.json')
