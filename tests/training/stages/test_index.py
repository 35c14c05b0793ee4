"""The index is made by all processes together, once, of streams that the tokenizer can write."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.stages import micro
from training.stages import TrainingError, index
from training.stages.dataset import ShardDataset
from training.stages.index import IndexJob, do_together, index_corpus
from training.tokens import make_tokenizer


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Path, Path]:
    tokenizer, protocol = make_tokenizer(micro.SAID.values(), 320)
    tokenizer.save(str(tmp_path / 'tokenizer.json'))
    protocol.save(tmp_path / 'protocol.json')
    return tmp_path / 'tokenizer.json', tmp_path / 'protocol.json'


def reworded(corpus: Path, out: Path, change) -> Path:
    """A copy of the corpus with every stream's record as `change` makes it of its number and itself."""
    copy = shutil.copytree(corpus, out)
    for path in (copy / 'shar').glob('cuts.*.jsonl.gz'):
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for row in rows:
            change(int(row['id'].removeprefix('stream-')), row['custom']['stream'])
        path.write_bytes(gzip.compress(''.join(json.dumps(row) + '\n' for row in rows).encode()))
    return copy


def unwritable(number: int, stream: dict) -> None:
    if number == 6:
        stream['instruction'] = 'Say <|silent|> to me.'
    if number in (7, 9):
        stream['replies'] = [reply | {'emotion': 'bored'} for reply in stream['replies']]


def test_a_stream_that_cannot_be_written_is_left_out_and_counted(corpus, tokens, tmp_path):
    found = index_corpus(reworded(corpus, tmp_path / 'copy', unwritable), *tokens, micro.INSTRUCTION, tmp_path / 'out')
    whole = index_corpus(corpus, *tokens, micro.INSTRUCTION, tmp_path / 'whole')
    assert (found.left_out, whole.left_out) == (3, 0) and found.classes == whole.classes == tuple(sorted(micro.HERTZ))
    assert "stream-00000006: the tokenizer cannot write 'Say <|silent|> to me.', it reads back as" in found.reasons[0]
    assert found.reasons[1] == "stream-00000007: the protocol has no token for the emotion 'bored'"
    left, all_ = (ShardDataset(corpus, tmp_path / name) for name in ('out', 'whole'))
    numbers = [int(left.record(place).id.removeprefix('stream-')) for place in range(len(left.rows))]
    assert sorted(numbers) == sorted(set(range(40)) - {6, 7, 9})
    np.testing.assert_array_equal(left.samples(3, 12), all_.samples(4, 12))  # behind one that was left out


def test_a_corpus_of_which_nothing_can_be_written_is_refused(corpus, tokens, tmp_path):
    copy = reworded(corpus, tmp_path / 'copy', lambda _, stream: stream.update(instruction='<|eos|>'))
    with pytest.raises(TrainingError, match=r"none of the 40 streams of .* can be written: .*cannot write '<\|eos\|>'"):
        index_corpus(copy, *tokens, micro.INSTRUCTION, tmp_path / 'out')


def test_a_shard_is_indexed_once_and_again_where_an_older_version_did_it(corpus, tokens, tmp_path, monkeypatch):
    done: list[int] = []

    def counted(job: IndexJob) -> int:
        done.append(job.number)
        return index_shard(job)

    index_shard = index.index_shard
    monkeypatch.setattr(index, 'index_shard', counted)
    arguments = (corpus, *tokens, micro.INSTRUCTION, tmp_path / 'out')
    index_corpus(*arguments)
    rows = np.load(tmp_path / 'out' / '000001.npy')
    (tmp_path / 'out' / '000000.npy').unlink()  # killed before it was there
    index_corpus(*arguments)
    older = [name for name in rows.dtype.names if not name.startswith('plain')]
    np.save(tmp_path / 'out' / '000001.npy', rows[older].astype([(name, rows.dtype[name]) for name in older]))
    index_corpus(*arguments)
    assert done == [0, 1, 0, 1]
    np.testing.assert_array_equal(np.load(tmp_path / 'out' / '000001.npy'), rows)


@dataclass
class Together:
    """What two processes share: sums, as Devices gives them."""

    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    given: dict[int, torch.Tensor] = field(default_factory=dict)

    def sum(self, rank: int, values: torch.Tensor) -> torch.Tensor:
        self.given[rank] = values.double()
        self.meeting.wait(120)
        total = self.given[0] + self.given[1]
        self.meeting.wait(120)
        return total


@dataclass
class Process:
    rank: int
    together: Together
    world: int = 2

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        return self.together.sum(self.rank, values)


def test_processes_do_each_job_once_and_about_as_many_each(monkeypatch):
    monkeypatch.setattr(index, '_SHARDS_AT_A_TIME', 2)
    together, did = Together(), [Counter[int](), Counter[int]()]

    def run(rank: int) -> None:
        def work(job: int) -> int:
            did[rank][job] += 1
            return 1

        do_together('jobs', work, range(31), lambda job: job in (0, 1, 5), Process(rank, together))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert did[0] + did[1] == Counter(set(range(31)) - {0, 1, 5})
    assert min(map(len, did)) > 10
