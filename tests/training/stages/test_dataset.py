"""ShardDataset in any order, and one sentence about those that cannot be trained on."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from audio_interaction_ros.audio import CHUNK_SAMPLES
from tests.training.stages import micro
from training.recipe import StageData
from training.stages import TrainingError
from training.stages.dataset import ShardDataset
from training.stages.index import index_corpus
from training.streams import read_streams
from training.tokens import make_tokenizer


@pytest.fixture
def copy(corpus: Path, tmp_path: Path) -> Path:
    return shutil.copytree(corpus, tmp_path / 'copy')


def index(corpus: Path, out: Path, tokenizer: Tokenizer | None = None) -> ShardDataset:
    learnt, protocol = make_tokenizer(micro.SAID.values(), 320)
    out.mkdir(exist_ok=True)
    (tokenizer or learnt).save(str(out / 'tokenizer.json'))
    protocol.save(out / 'protocol.json')
    index_corpus(corpus, out / 'tokenizer.json', out / 'protocol.json', micro.INSTRUCTION, out / 'index')
    return ShardDataset(corpus, out / 'index')


def test_any_stream_is_read_as_the_corpus_reads_it(corpus, collator):
    streams = {made.id: (made, samples) for made, samples in (micro.stream(n, n % 2 == 0) for n in range(40))}
    for place in (37, 0, 21):
        record = collator.dataset.record(place)
        made, samples = streams[record.id]
        assert record == made
        np.testing.assert_allclose(collator.dataset.samples(place, made.chunks), samples, atol=1 / 32_000)
        np.testing.assert_array_equal(
            collator.dataset.samples(place, 3), collator.dataset.samples(place, made.chunks)[:19_200]
        )
    assert [record.id for record, _ in read_streams(corpus, audio=False)] == [
        collator.dataset.record(place).id for place in range(40)
    ]


def test_a_stage_reads_the_streams_it_names(collator):
    data = StageData(form='online', categories=('voice chatting',), mix_ins=False)
    chosen = collator.dataset.select(data, 'train', 512)
    records = [collator.dataset.record(int(place)) for place in chosen]
    assert records and all(r.category == 'voice chatting' and r.split == 'train' for r in records)
    assert any(r.mixed_in for r in records) and not all(r.mixed_in for r in records)
    for place, record in zip(chosen.tolist(), records, strict=True):
        read = collator.dataset.stream(place, data)
        silent = next((e.onset for e in record.events if e.category == 'noise'), None) if record.mixed_in else None
        assert (read == record) if silent is None else (read.chunks * CHUNK_SAMPLES <= silent)
        assert read.chunks == collator.dataset.chunks(data)[place] > 0
    longest = int(collator.dataset.rows['plain_positions'][chosen].max())
    assert len(collator.dataset.select(data, 'train', longest - 1)) < len(chosen)


@pytest.mark.parametrize(
    ('data', 'problem'),
    [
        ({'categories': ('voice chatting',)}, 'none on the train side'),
        ({'categories': ('opera',)}, "unknown .*'opera'"),
    ],
)
def test_a_stage_without_streams_is_refused(collator, data, problem):
    with pytest.raises(TrainingError, match=problem):
        collator.dataset.select(StageData(form='online', **data), 'train', 20)


def test_no_shards_at_all(tmp_path):
    with pytest.raises(TrainingError, match=r"no shards under .*make them with 'python -m training corpus build'"):
        index(tmp_path, tmp_path / 'out')


def test_shards_of_something_else(copy, tmp_path):
    line = json.dumps({'id': 'cut-1', 'recording': {}, 'supervisions': []})
    (copy / 'shar' / 'cuts.000000.jsonl.gz').write_bytes(gzip.compress(line.encode()))
    with pytest.raises(TrainingError, match=r'something else than the streams of .*give a corpus that it made'):
        index(copy, tmp_path / 'out')


def test_a_recording_that_is_missing(copy, tmp_path):
    with tarfile.open(copy / 'shar' / 'recording.000001.tar', 'w'):
        pass
    with pytest.raises(
        TrainingError, match=r'stream-00000001, which has no recording beside it; build the corpus again'
    ):
        index(copy, tmp_path / 'out')


def test_a_tar_that_is_cut_off(copy, tmp_path):
    tar = copy / 'shar' / 'recording.000000.tar'
    dataset = index(copy, tmp_path / 'out')
    tar.write_bytes(tar.read_bytes()[:2_000])
    with pytest.raises(TrainingError, match=r'is damaged .*build the corpus again'):
        dataset.samples(0, 12)


def test_a_tokenizer_that_cannot_write_the_texts(corpus, tmp_path):
    english = Tokenizer(models.WordLevel({'[UNK]': 0, 'A': 1, 'high': 2}, unk_token='[UNK]'))
    english.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(TrainingError, match=r'the tokenizer cannot write .*it reads back as'):
        index(corpus, tmp_path / 'out', english)
