"""Whatever a manifest, a table of labels or a benchmark's lines hold: they are read, or refused in one sentence."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audio_interaction_ros.labels import LabelsError, read_labels
from tests.fuzz.cases import cases
from tests.fuzz.strategies import assert_one_sentence, damaged
from training.evaluate import EvaluationError
from training.evaluate.clip_sets import open_libraries
from training.evaluate.psb import load_rows
from training.sources.clip_library import ClipLibraryError, load_library

NUMBERS = st.sampled_from(['0', '1', '', '2.5', '-1', 'nan', 'inf', '1e400'])
CELLS = st.text(max_size=12) | NUMBERS | st.sampled_from(['rir', 'siren', 'rain', 'a.wav', '../b.wav', 'freesound:1'])


@st.composite
def tables(draw: st.DrawFn, columns: list[str]) -> bytes:
    """A CSV file with most of the columns that are expected, and rows of any length."""
    header = draw(st.permutations(columns))
    header = header[: draw(st.sampled_from([len(header)] * 4 + [len(header) - 1]))]
    rows = draw(st.lists(st.lists(CELLS, min_size=len(header) - 1, max_size=len(header) + 1), max_size=6))
    file = io.StringIO(newline='')
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode('utf-8', 'surrogatepass')


def files(columns: list[str]) -> st.SearchStrategy[bytes]:
    return tables(columns) | tables(columns).flatmap(damaged) | st.binary(max_size=60)


def read_or_refused(read: Callable[[Path], object], path: Path, content: bytes, *errors: type[Exception]) -> object:
    path.write_bytes(content)
    try:
        return read(path)
    except errors as error:
        assert_one_sentence(error, path.name)
        return None


@pytest.fixture(scope='module')
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('fuzz') / 'manifest.csv'


CLIP_COLUMNS = ['path', 'category', 'respond', 'source_id', 'family', 'fold', 'source', 'attribution', 'caption']


@cases(150)
@given(files(CLIP_COLUMNS))
@example(b'path,category,respond,source_id\na.wav\n')
@example('path,category,respond,source_id\nGeräusch.wav,rain,0,ü\n'.encode('latin-1'))
@example(b'path,category,respond,source_id,x\na\0.wav,b,1,c,d\n')
@example(b'path,category,respond,source_id\n/elsewhere/a.wav,rain,0,a\n')
def test_a_clip_library(path, content):
    for clip in read_or_refused(load_library, path, content, ClipLibraryError) or ():
        assert clip.recording and clip.path.name
        assert clip.respond in (True, False, None)
        assert isinstance(clip.validation, bool)
    for library in read_or_refused(lambda path: open_libraries([path]), path, content, ClipLibraryError) or ():
        assert all(library.file_of(clip) for clip in library.clips)


@cases(100)
@given(files(['onset_s', 'end_s', 'category', 'respond']))
@example(b'onset_s,end_s,category\n0,inf,siren\n')
@example(b'onset_s,end_s,category\n0,1\n')
def test_labels_of_a_bag(path, content):
    for event in read_or_refused(read_labels, path, content, LabelsError) or ():
        assert 0 <= event.onset_s < event.end_s < math.inf
        assert isinstance(event.category, str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just('./a/b/c/d.wav'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {
        'id': st.text(max_size=8) | JSON,
        'path': st.sampled_from(['./x/Traffic/Vehicle/RESPOND/1.wav', 'b.wav', '']) | JSON,
        'description': st.text(max_size=8) | JSON,
        'decision': st.sampled_from(['RESPOND', 'IGNORE']) | JSON,
    },
    optional={'standard_answers': JSON},
)


@cases(100)
@given(st.lists(ROWS, max_size=3).map(lambda rows: '\n'.join(map(json.dumps, rows)).encode()), st.data())
def test_the_manifest_of_the_benchmark(path, content, data):
    content = data.draw(st.just(content) | damaged(content) | st.binary(max_size=40))
    for row in read_or_refused(load_rows, path, content, EvaluationError) or ():
        assert row.domain is not None and row.sub_category is not None
