"""The miniature networks that are written in every layout, made once for a file of tests."""

from __future__ import annotations

import pytest

from tests.training.parts.miniature import llama_part, network_of, whisper_part


@pytest.fixture(scope='module')
def whisper():
    return network_of(whisper_part())


@pytest.fixture(scope='module')
def llama():
    return network_of(llama_part())
