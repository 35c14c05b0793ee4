"""The micro corpus, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.stages import micro
from training.recipe import StageData
from training.stages.collator import StreamCollator
from training.stages.dataset import ShardDataset
from training.stages.index import index_corpus
from training.tokens import make_tokenizer


@pytest.fixture(scope='session')
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return micro.write_corpus(tmp_path_factory.mktemp('micro') / 'corpus')


@pytest.fixture(scope='session')
def collator(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> StreamCollator:
    """Whole streams of it, with a tokenizer learnt from what is said."""
    out = tmp_path_factory.mktemp('collator')
    tokenizer, protocol = make_tokenizer([micro.INSTRUCTION, *micro.SAID.values()], 320)
    tokenizer.save(str(out / 'tokenizer.json'))
    protocol.save(out / 'protocol.json')
    index_corpus(corpus, out / 'tokenizer.json', out / 'protocol.json', micro.INSTRUCTION, out / 'index')
    dataset = ShardDataset(corpus, out / 'index')
    return StreamCollator(
        dataset, StageData(form='online'), tokenizer, protocol, micro.INSTRUCTION, sorted(micro.HERTZ)
    )


@pytest.fixture(scope='session')
def threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def one_thread(threads_as_before: None) -> Iterator[None]:
    """Micro networks are too small to share between cores, and sums over two threads are added in another order."""
    yield
    torch.set_num_threads(1)  # the command takes all cores
