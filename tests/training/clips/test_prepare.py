"""What sources hold arrives in the library as what it is: events, music, speech with its words, noise, rooms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.test_file_reader import without_length
from tests.training.sources.miniature import lengthen, refuses, sound, text
from tests.training.sources.test_audio import audioset, fma
from tests.training.sources.test_noise import musan, wham
from tests.training.sources.test_speech import aishell, commonvoice, covost, gigaspeech, librispeech, voxpopuli
from training.clips.ingest import LONGEST_S, ManifestPart, count_damaged, count_unreadable
from training.clips.licences import count_left_out
from training.clips.manifest import RECORDS_A_PIECE
from training.clips.prepare import clips_parts, locate_sources, make_clips, prepare_sources
from training.clips.store import ClipStore, StoredClip
from training.corpus.command import list_sources, named_folders
from training.corpus.jobs import Workers
from training.errors import CorpusError
from training.sources import SOURCES

RATE_HZ = 16_000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE_HZ)
# Enough names that every side of the split has some.
NAMES_AND_CATEGORIES = [(f'recording-{n}', 'speech' if n % 4 == 3 else 'wind') for n in range(24)]


def library(
    corpus: Path, backwards: bool = False, variants: int = 0, licences: tuple[str, ...] = (), **sources: Path
) -> ClipStore:
    """The clips of sources, without anything procedural."""
    folders = prepare_sources(
        {name.replace('_', '-'): folder for name, folder in sources.items()}, Workers(1).run, corpus
    )
    parts = [part for part in clips_parts(folders, 10, variants, 1, corpus, licences) if isinstance(part, ManifestPart)]
    for part in reversed(parts) if backwards else parts:
        make_clips(part)
    return ClipStore(corpus / 'library' / 'clips')


def by_source_id(clips: ClipStore) -> dict[str, StoredClip]:
    return {clip.source_id: clip for clip in clips.clips}


def clip_folder(root: Path, *rows: str) -> Path:
    return text(root / 'manifest.csv', 'path,category,source_id,respond', *rows).parent


def test_sounds_to_train_on_are_also_heard_through_other_microphones_and_no_others_are(tmp_path: Path) -> None:
    folder = clip_folder(
        tmp_path / 'clips', *(f'{name}.wav,{category},{name},0' for name, category in NAMES_AND_CATEGORIES)
    )
    for number, (name, _) in enumerate(NAMES_AND_CATEGORIES):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 2 * RATE_HZ)
        soundfile.write(folder / f'{name}.wav', noise, RATE_HZ)
    plain, varied = (library(tmp_path / f'corpus-{variants}', variants=variants, clips=folder) for variants in (0, 3))
    sides = {clip.id: (clip.split, clip.kind) for clip in plain.clips}
    assert {'train', 'validation'} <= {split for split, _ in sides.values()}
    for id_, (split, kind) in sides.items():
        copies = [clip for clip in varied.clips if clip.id.startswith(f'{id_}~')]
        assert len(copies) == (3 if split == 'train' and kind == 'event' else 0)
        assert {(clip.recording, clip.category, clip.split) for clip in copies} <= {
            (varied[id_].recording, varied[id_].category, 'train')
        }
        assert len({varied.samples(clip.id).tobytes() for clip in [varied[id_], *copies]}) == 1 + len(copies)


def test_files_that_cannot_be_read_end_nothing_and_are_told_in_a_line_each(tmp_path: Path, caplog) -> None:
    folder = clip_folder(tmp_path / 'clips', *(f'{name}.flac,wind,{name},0' for name in ('whole', 'lost', 'text')))
    soundfile.write(folder / 'whole.flac', NOISE, RATE_HZ)
    (folder / 'lost.flac').write_bytes((folder / 'whole.flac').read_bytes()[:200])  # its header alone
    (folder / 'text.flac').write_text('no sound')
    found = by_source_id(library(tmp_path / 'corpus', clips=folder))
    assert set(found) == {'whole'}
    assert (count_unreadable(tmp_path / 'corpus'), count_damaged(tmp_path / 'corpus')) == (2, 0)
    told = [record.getMessage() for record in caplog.records if 'it is left out' in record.getMessage()]
    assert len(told) == 2 and 'text' in told[0] and 'lost' in told[1]


def hollow(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes(400) + content[len(content) // 2 + 400 :]


@pytest.mark.parametrize(
    ('file', 'spoil', 'damage'),
    [
        ('cut.flac', lambda content: content[: len(content) * 2 // 3], 'it cannot be decoded any further'),
        ('hollow.flac', hollow, 'it cannot be decoded any further'),
        ('cut.wav', lambda content: content[: len(content) * 2 // 3], 'it ends there, and its header promises 2.0 s'),
        ('cut.ogg', lambda content: content[: len(content) * 2 // 3], 'it lacks its last part'),
    ],
)
def test_a_damaged_recording_is_used_up_to_the_damage_and_that_is_said(
    file: str, spoil: Callable[[bytes], bytes], damage: str, tmp_path: Path, caplog
) -> None:
    """As `listen` and `evaluate` do; what was said in the whole is no longer claimed of a part."""
    chapter = librispeech(tmp_path / 'libri') / 'LibriSpeech/test-clean/121/77'
    folder = clip_folder(tmp_path / 'clips', f'{file},wind,a,0', 'whole.wav,wind,b,0')
    soundfile.write(folder / 'whole.wav', NOISE, RATE_HZ)
    soundfile.write(folder / file, NOISE, RATE_HZ)
    (folder / file).write_bytes(spoil((folder / file).read_bytes()))
    soundfile.write(chapter / '121-77-0000.flac', NOISE, RATE_HZ)
    (chapter / '121-77-0000.flac').write_bytes(hollow((chapter / '121-77-0000.flac').read_bytes()))
    corpus = tmp_path / 'corpus'
    clips = library(corpus, clips=folder, librispeech=tmp_path / 'libri')
    found = by_source_id(clips)
    heard = clips.samples(found['a'].id)
    assert RATE_HZ // 2 < len(heard) < len(NOISE)
    if not file.endswith('.ogg'):
        np.testing.assert_allclose(heard, NOISE[: len(heard)], atol=2**-15)
    assert len(clips.samples(found['b'].id)) == len(NOISE)
    assert (found['121-77-0000'].text, found['121-77-0000'].caption) == ('', '')
    assert found['116-77-0001'].text == 'a capital city'
    assert (count_unreadable(corpus), count_damaged(corpus)) == (0, 2)
    rows = [json.loads(line) for path in (corpus / 'damaged').iterdir() for line in path.read_text().splitlines()]
    (told,) = [row['reason'] for row in rows if file in row['item']]
    assert damage in told and any(told in record.getMessage() for record in caplog.records)


def test_of_a_long_damaged_recording_every_piece_that_can_be_decoded_is_used(tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / 'clips', 'cut.flac,wind,cut,0', 'hollow.flac,wind,hollow,0')
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(3.2 * LONGEST_S * RATE_HZ))
    soundfile.write(folder / 'hollow.flac', noise, RATE_HZ)
    whole = (folder / 'hollow.flac').read_bytes()
    (folder / 'hollow.flac').write_bytes(hollow(whole))
    (folder / 'cut.flac').write_bytes(whole[: len(whole) // 2])
    clips = library(tmp_path / 'corpus', clips=folder)
    lengths_s = {clip.id.removeprefix('clips:'): round(clips.duration_s(clip.id), 1) for clip in clips.clips}
    (cut_s, hollow_s) = (lengths_s.pop(f'{name}.flac@30') for name in ('cut', 'hollow'))
    assert 15 < cut_s < 18 and 15 < hollow_s < 18  # of the piece with the damage
    assert lengths_s == {'cut.flac@0': 30.0, 'hollow.flac@0': 30.0, 'hollow.flac@60': 30.0, 'hollow.flac@90': 6.0}
    np.testing.assert_allclose(clips.samples('clips:hollow.flac@90'), noise[-6 * RATE_HZ :], atol=2**-15)
    assert (count_unreadable(tmp_path / 'corpus'), count_damaged(tmp_path / 'corpus')) == (2, 2)


def test_recordings_whose_header_does_not_say_their_length_are_used_whole(tmp_path: Path) -> None:
    """A FLAC that was written to a pipe, and a WAV whose writer was killed."""
    folder = clip_folder(tmp_path / 'clips', 'piped.flac,wind,piped,0', 'killed.wav,wind,killed,0')
    for file in ('piped.flac', 'killed.wav'):
        soundfile.write(folder / file, NOISE, RATE_HZ)
    (folder / 'piped.flac').write_bytes(without_length(bytearray((folder / 'piped.flac').read_bytes())))
    content = (folder / 'killed.wav').read_bytes()
    (folder / 'killed.wav').write_bytes(content[:4] + bytes(4) + content[8:40] + bytes(4) + content[44:])
    clips = library(tmp_path / 'corpus', clips=folder)
    assert len(clips.clips) == 2
    for clip in clips.clips:
        np.testing.assert_allclose(clips.samples(clip.id), NOISE, atol=2**-15)
    (path,) = (tmp_path / 'corpus' / 'damaged').iterdir()
    assert 'killed.wav' in path.read_text() and 'was never finished' in path.read_text()
    assert (count_unreadable(tmp_path / 'corpus'), count_damaged(tmp_path / 'corpus')) == (0, 1)


def test_speech_keeps_words_language_and_speaker_in_everyday_spelling(tmp_path: Path) -> None:
    found = by_source_id(
        library(tmp_path / 'corpus', librispeech=librispeech(tmp_path / 'libri'), aishell=aishell(tmp_path / 'aishell'))
    )
    english, chinese = found['116-77-0001'], found['BAC009S0724W0122']
    assert (english.kind, english.category, english.respond) == ('speech', 'speech', None)
    assert (english.text, english.caption, english.language) == ('a capital city', 'a capital city', 'en')
    assert (english.recording, english.split, english.licence) == ('librispeech:116', 'validation', 'CC-BY-4.0')
    assert 'Panayotov' in english.attribution
    assert (chinese.text, chinese.language) == ('而对楼市成交', 'zh')
    assert found['121-77-0000'].split == 'test'


@pytest.mark.parametrize(
    ('name', 'miniature', 'words'),
    [
        ('gigaspeech', gigaspeech, {"douglas, it's fine.", 'is it?', 'yes', 'no'}),
        ('voxpopuli', voxpopuli, None),
        ('commonvoice', commonvoice, None),
    ],
)
def test_other_speech_corpora_arrive_with_their_words(
    name: str, miniature: Callable[[Path], Path], words: set[str] | None, tmp_path: Path
) -> None:
    clips = library(tmp_path / 'corpus', **{name: miniature(tmp_path / name)}).clips
    assert {clip.kind for clip in clips} == {'speech'}
    assert all(clip.text and clip.language and clip.licence and clip.attribution for clip in clips)
    assert words is None or {clip.text for clip in clips} == words
    assert not list((tmp_path / 'corpus' / 'failures').glob('*'))


def test_translated_speech_brings_its_translation(tmp_path: Path) -> None:
    folder = covost(tmp_path / 'covost', 'en', 'zh-CN', 'Good morning.', '早上好。')
    clips = library(tmp_path / 'corpus', covost2_en_zh=folder).clips
    assert {(clip.text, clip.translation) for clip in clips} == {('Good morning.', '早上好。')}


def test_events_are_judged_and_music_is_music_whatever_its_genre(tmp_path: Path) -> None:
    folders = {'audioset': audioset(tmp_path / 'audioset'), 'fma': fma(tmp_path / 'fma')}
    found = by_source_id(library(tmp_path / 'corpus', **folders))
    dog, alarm = found['--4gqARaEJE_0'], found['-0SdAVK79lg_30']
    assert (dog.kind, dog.category, dog.respond, dog.caption) == ('event', 'dog bark', False, 'animal, bark, dog')
    assert (alarm.category, alarm.respond, alarm.criterion, alarm.cadence) == ('smoke alarm', True, 'iii', True)
    track = found['000002']
    assert (track.kind, track.category, track.caption) == ('music', 'music', 'hip-hop music')
    assert track.licence == 'CC BY-NC-SA 3.0' and 'AWOL' in track.attribution


def test_noise_becomes_the_tracks_of_algorithm_4_on_its_own_side(tmp_path: Path) -> None:
    root = wham(tmp_path / 'wham')
    lengthen(root, 2.0)
    clicks = np.zeros(3 * RATE_HZ)
    clicks[RATE_HZ : RATE_HZ + 800] = 0.5
    soundfile.write(sorted(root.rglob('tr/*.wav'))[0], clicks, RATE_HZ)
    clips = library(tmp_path / 'corpus', wham=root)
    assert len(clips.noise('train', 'event')) == len(clips.noise('train', 'ambient')) == 1
    assert len(clips.noise('test', 'ambient')) == 2
    assert {clip.licence for clip in clips.clips} == {'CC-BY-NC-4.0'}


def test_an_impulse_response_is_a_room_without_its_direct_sound(tmp_path: Path) -> None:
    response = np.random.default_rng(3).normal(0, 0.01, 3 * RATE_HZ) * np.exp(-np.arange(3 * RATE_HZ) / 4_000)
    response[500] = 0.9
    soundfile.write(tmp_path / 'rir.flac', response, RATE_HZ)
    clips = library(tmp_path / 'corpus', clips=clip_folder(tmp_path, 'rir.flac,rir,hall,'))
    (clip,) = clips.clips
    assert clip.kind == 'room' and clips.rooms(clip.split) == [clip]
    tail = clips.samples(clip.id)
    assert len(tail) == RATE_HZ
    assert np.argmax(np.abs(tail)) < 4_000 and np.abs(tail).max() < 1


def test_silent_clips_are_left_out_and_unreadable_ones_written_down(tmp_path: Path) -> None:
    sound(tmp_path / 'good.flac', 1.0)
    soundfile.write(tmp_path / 'silent.flac', np.zeros(RATE_HZ), RATE_HZ)
    (tmp_path / 'torn.flac').write_bytes((tmp_path / 'good.flac').read_bytes()[:100])
    rows = [f'{name}.flac,rain,{name},0' for name in ('good', 'silent', 'torn')]
    clips = library(tmp_path / 'corpus', clips=clip_folder(tmp_path, *rows))
    assert [clip.id for clip in clips.clips] == ['clips:good.flac']
    (failures,) = (tmp_path / 'corpus' / 'failures').glob('*.jsonl')
    (row,) = map(json.loads, failures.read_text().splitlines())
    assert row['item'] == 'clips:torn.flac' and 'cannot be read' in row['reason']


def test_long_recordings_are_cut_and_nobody_claims_to_know_what_is_said_where(tmp_path: Path) -> None:
    long_s = 2 * LONGEST_S + 5
    chapter = librispeech(tmp_path / 'libri') / 'LibriSpeech/test-clean/121/77'
    sound(chapter / '121-77-0000.flac', long_s)
    clips = library(tmp_path / 'corpus', librispeech=tmp_path / 'libri')
    pieces = [clip for clip in clips.clips if clip.source_id == '121-77-0000']
    assert [clip.id.partition('@')[2] for clip in pieces] == ['0', '30', '60']
    assert [clips.duration_s(clip.id) for clip in pieces] == [30.0, 30.0, 5.0]
    assert {clip.text for clip in pieces} == {''}
    whole = soundfile.read(chapter / '121-77-0000.flac', dtype='float32')[0]
    joined = np.concatenate([clips.samples(clip.id) for clip in pieces])
    np.testing.assert_allclose(joined, whole, atol=2**-15)


def test_a_recording_that_sources_put_on_two_sides_keeps_the_one_held_out_more(tmp_path: Path) -> None:
    sound(tmp_path / 'dns/datasets/noise/door_Freesound_validated_7_0.wav', 1.0)
    sound(tmp_path / 'clips/7.wav', 1.0)
    manifest = 'path,category,source_id,respond,fold'
    text(tmp_path / 'clips/manifest.csv', manifest, '7.wav,door,freesound:7,0,4')
    clips = library(tmp_path / 'corpus', dns=tmp_path / 'dns', clips=tmp_path / 'clips')
    (clip,) = clips.clips
    assert clip.id == 'clips:7.wav' and clip.split != 'train'


def test_parts_are_the_same_bytes_in_whatever_order_they_are_made_and_are_made_once(tmp_path: Path) -> None:
    many = [f'{number}.flac,rain,r{number},0' for number in range(RECORDS_A_PIECE + 10)]
    for number in range(len(many)):
        sound(tmp_path / 'clips' / f'{number}.flac', 0.1)
    folders = {'clips': clip_folder(tmp_path / 'clips', *many), 'musan': musan(tmp_path / 'musan')}
    for backwards in (False, True):
        library(tmp_path / str(backwards), backwards, **folders)
    files = [
        {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}
        for root in (tmp_path / 'False', tmp_path / 'True')
    ]
    assert files[0] == files[1]
    assert sum(path.suffix == '.npy' for path in files[0]) == 3
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / 'True').rglob('*')}
    library(tmp_path / 'True', **folders)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / 'True').rglob('*')} == times


def test_every_source_is_listed_with_licence_layout_and_home(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list_sources()
    assert [row['name'] for row in rows] == list(SOURCES)
    assert all(row['licence'] and row['layout'] and row['homepage'] for row in rows)
    assert Counter(str(row['family']) for row in rows)['noise'] == 3
    assert 'librispeech' in capsys.readouterr().out


def test_sources_are_named_once_each_with_a_folder_and_clips_is_one_of_them(tmp_path: Path) -> None:
    assert named_folders(['musan=/a', 'clips=/b'], []) == {'musan': Path('/a'), 'clips': Path('/b')}
    assert named_folders([], [Path('/c'), Path('/d')]) == {'clips': Path('/c'), 'clips-2': Path('/d')}
    for given, clips, words in (
        (['musan'], [], 'give a name and a folder'),
        (['musan=/a', 'musan=/b'], [], 'given twice'),
        (['clips=/a'], [Path('/b')], 'given twice'),
        ([], [Path('/b'), Path('/b')], "folder '/b' is given twice"),
        (['libri=/a'], [], 'no source'),
        (['clips-0=/a'], [], 'no source'),
    ):
        with pytest.raises(CorpusError, match=words):
            named_folders(given, clips)


def test_a_folder_that_is_not_its_source_is_one_line_before_anything_is_made(tmp_path: Path) -> None:
    refuses('musan', tmp_path, 'no MUSAN')
    with pytest.raises(CorpusError, match=r'no MUSAN at .*openslr'):
        locate_sources({'musan': tmp_path}, tmp_path / 'corpus')
    assert not (tmp_path / 'corpus').exists()


def test_a_corpus_has_the_clips_of_several_libraries_each_with_its_licence_and_credit(tmp_path: Path) -> None:
    columns = 'path,category,source_id,respond,licence,attribution'
    folders = {}
    for name, licence in (('clips', 'CC0-1.0'), ('clips_2', 'CC-BY-3.0')):
        sound(tmp_path / name / 'a.wav', 1.0)
        rows = f'a.wav,rain,{name},0,{licence},by {name}'
        folders[name] = text(tmp_path / name / 'manifest.csv', columns, rows).parent
    found = {clip.id: clip for clip in library(tmp_path / 'corpus', **folders).clips if clip.kind == 'event'}
    assert {id_: (clip.licence, clip.attribution) for id_, clip in found.items()} == {
        'clips:a.wav': ('CC0-1.0', 'by clips'),
        'clips-2:a.wav': ('CC-BY-3.0', 'by clips_2'),
    }


def test_two_libraries_with_a_recording_on_different_sides_are_one_sentence_before_anything_is_made(
    tmp_path: Path,
) -> None:
    folders = [
        text(tmp_path / name / 'manifest.csv', 'path,category,source_id,fold,respond', f'a.wav,rain,x,{fold},0').parent
        for name, fold in (('one', 1), ('two', 4), ('three', 2))
    ]
    corpus = tmp_path / 'corpus'
    with pytest.raises(CorpusError, match=r"recording 'x' is on the train side in '.*one/a\.wav' and on the .*two/a"):
        locate_sources({'clips': folders[0], 'clips-2': folders[1]}, corpus)
    assert not corpus.exists()
    locate_sources({'clips': folders[0], 'clips-2': folders[2]}, corpus)


def test_what_a_recipe_may_not_use_is_left_out_and_counted_by_licence(tmp_path: Path) -> None:
    licences = ('CC0-1.0', 'GPL-2.0-only', 'GPL-2.0-only', 'GPL-2.0-or-later OR CC-BY-SA-2.0')
    rows = [f'{n}.wav,rain,{n},0,{licence}' for n, licence in enumerate(licences)]
    folder = text(tmp_path / 'clips' / 'manifest.csv', 'path,category,source_id,respond,licence', *rows).parent
    for number in range(len(licences)):
        sound(folder / f'{number}.wav', 1.0)
    found = library(tmp_path / 'corpus', licences=('!*GPL*',), clips=folder)
    assert {clip.source_id for clip in found.clips if clip.kind == 'event'} == {'0', '3'}
    assert count_left_out(tmp_path / 'corpus') == {'GPL-2.0-only': 2}
    library(tmp_path / 'all', clips=folder)
    assert count_left_out(tmp_path / 'all') == {}
