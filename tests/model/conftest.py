"""Foreign miniatures that several files of tests convert; big for their vocabulary, so made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_interaction_ros.model.convert import convert
from tests.model.miniatures import LanguageWeights, Shape, draw_language_weights, write_release, write_tokenizer


@pytest.fixture(scope='session')
def qwen_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp('tokenizer') / 'tokenizer.json')


@pytest.fixture(scope='session')
def language_weights() -> LanguageWeights:
    return draw_language_weights(Shape())


@pytest.fixture(scope='session')
def release(tmp_path_factory, qwen_tokenizer, language_weights) -> Path:
    """A miniature of the released directory, newer packing."""
    directory = tmp_path_factory.mktemp('foreign') / 'release'
    write_release(directory, qwen_tokenizer, language_weights, Shape())
    return directory


@pytest.fixture(scope='session')
def converted(tmp_path_factory, release) -> Path:
    """The release, converted into many shards."""
    out = tmp_path_factory.mktemp('converted') / 'full'
    convert(release, out, shard_bytes=100_000)
    return out
