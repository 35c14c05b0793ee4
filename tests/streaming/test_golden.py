"""The shipped checkpoint hears the demo scene as it did when the golden file was written."""

from __future__ import annotations

import json

import pytest
import torch

from tests.streaming.golden import GOLDEN, hear_demo_scene

# Instruction sets from SSE4 to AVX-512 differ by 1e-6; what a listener could notice is a hundred times this.
TOLERANCE = 1e-4


@pytest.fixture
def threads_left_as_they_were():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures('threads_left_as_they_were')
def test_every_decision_on_the_demo_scene_and_every_word_is_as_it_was():
    golden, heard = json.loads(GOLDEN.read_text()), hear_demo_scene()
    assert heard['checkpoint'] == golden['checkpoint'], 'another checkpoint: python -m tests.streaming.golden'
    assert heard['p_response'] == pytest.approx(golden['p_response'], abs=TOLERANCE)
    assert heard['responses'] == golden['responses']
