"""What all sources share: the registry, the sides of a split, and JSON read piece by piece."""

import json
import pickle
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.sources.miniature import json_lines, refuses, sound, text
from training.sources import SOURCES, base, find_source
from training.sources.base import ClipSource, Facts, Item, SourceError, read_json, split_of
from training.sources.clip_library import Clip

ASCII = string.printable
TABLE_9 = (
    'commonvoice gigaspeech librispeech voxpopuli covost2-en-zh covost2-zh-en aishell fma audioset moss '
    'gammacorpus-fact-qa musan wham dns ultrachat magpie-pro du-qa coig-cqia web-qa belle'
)


def test_every_corpus_of_table_9_is_there_with_its_credit():
    assert set(SOURCES) == {*TABLE_9.split(), 'clips', 'open-texts'}
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.licence and source.attribution and source.homepage
    with pytest.raises(SourceError, match="no source 'timit'; expected one of commonvoice, "):
        find_source('timit')


@pytest.mark.parametrize('name', [name for name, source in SOURCES.items() if isinstance(source, ClipSource)])
def test_an_absent_and_a_foreign_corpus_are_one_line_that_says_what_and_where_from(name, tmp_path):
    source = find_source(name)
    sound(tmp_path / 'holiday/video.wav')
    for folder in (tmp_path, tmp_path / 'nowhere'):
        refuses(name, folder, f'no {source.title} at', str(folder), source.layout[0], source.homepage)


@given(st.text(ASCII, min_size=1))
@settings(max_examples=60)
def test_what_a_clip_library_holds_out_is_held_out_here(recording):
    clip = Clip('x.wav', '', '', '', recording, '', '', '', None)
    assert (split_of(recording) != 'train') == clip.validation


def test_a_tenth_is_for_tests_and_a_tenth_for_validation():
    sides = [split_of(f'recording {n}') for n in range(4_000)]
    for side in ('test', 'validation'):
        assert 0.08 < sides.count(side) / 4_000 < 0.12


def cuts(folder, **sides):
    """A cut of each side named, all of the recording 'one'; `other` is of its own."""
    path = sound(folder / 'a.wav')
    items = [
        Item(audio=path, source_id=name, recording='one', category='x', split=side) for name, side in sides.items()
    ]
    items.append(Item(audio=path, source_id='other', recording='two', category='x', split='test'))
    source = ClipSource(
        name='s',
        title='S',
        family='noise',
        licence='L',
        attribution='A',
        homepage='H',
        layout=('a.wav',),
        read=lambda root: items,
    )
    return source.prepare(folder)


def test_a_cut_from_elsewhere_has_no_facts(tmp_path):
    (cut, _) = cuts(tmp_path, a='train')
    del cut.supervisions[0].custom['licence']
    with pytest.raises(SourceError, match=r"lacks \['licence'\]"):
        Facts.of(cut.supervisions[0])


def test_a_prepared_corpus_is_lazy_can_be_read_twice_and_sent_to_a_worker(tmp_path):
    sound(tmp_path / 'datasets/noise/door_Freesound_validated_1_0.wav')
    prepared = find_source('dns').prepare(tmp_path)
    assert prepared.is_lazy
    sent = pickle.loads(pickle.dumps(prepared))
    assert [cut.id for cut in prepared] == [cut.id for cut in prepared] == [cut.id for cut in sent]


@given(
    st.lists(
        st.dictionaries(st.text(ASCII, max_size=4), st.text(ASCII + 'ü你', max_size=20) | st.integers(), max_size=3)
    ),
    st.sampled_from([None, 2]),
    st.integers(1, 40),
)
@settings(max_examples=40)
def test_json_is_read_the_same_in_pieces_of_any_size(tmp_path_factory, records, indent, piece):
    path = tmp_path_factory.getbasetemp() / 'records.json'
    forms = {
        None: [text(path, json.dumps(records, indent=indent)), json_lines(path.with_suffix('.jsonl'), *records)],
        'audios': [text(path.with_name('keyed.json'), json.dumps({'version': '1', 'audios': records}, indent=indent))],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, 'READ_CHARACTERS', max(piece, 40))
        for key, paths in forms.items():
            for each in paths:
                assert repr(list(read_json(each, key))) == repr(records)


@pytest.mark.parametrize(
    'content', ['[{"a": 1}', '[{"a": 1},', '[{"a": 1}, {"b"', '{"a": 1}\n{"b": ', '[1]', '{"a": 1} x']
)
def test_json_that_is_cut_short_or_holds_no_objects_is_refused(tmp_path, content):
    text(tmp_path / 'a.json', content)
    with pytest.raises(SourceError, match=r'a\.json'):
        list(read_json(tmp_path / 'a.json'))
