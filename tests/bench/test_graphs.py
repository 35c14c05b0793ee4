"""Passes of fixed shapes, captured as graphs where there is a GPU, give the logits of the plain path."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.bench import graphs
from audio_interaction_ros.model.checkpoint import load_decoder
from audio_interaction_ros.model.graphs import GraphEngine

gpu = pytest.param('cuda', marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')])


@pytest.mark.parametrize('device', ['cpu', gpu])
def test_every_fixed_shape_gives_the_logits_of_the_plain_path(tiny_checkpoint, device):
    model = load_decoder(tiny_checkpoint, device, torch.float32).language_model
    found = graphs.run(model, sessions=3, capacity=160)
    # A text token and drains of 1, 2, 4 and 8 chunks, for one session and for three.
    assert found['shapes'] == 10 and found['captured'] == (10 if device == 'cuda' else 0)
    assert found['from_plain'] < 1e-4 and found['from_not_captured'] < 1e-4


def test_a_shape_that_gives_other_logits_is_found(decoder_half, monkeypatch):
    fixed = GraphEngine._fixed

    def spoilt(engine, embedded, slots, lengths):
        logits = fixed(engine, embedded, slots, lengths)
        return logits * 1.01 if embedded.shape[:2] == (3, 25) else logits

    monkeypatch.setattr(GraphEngine, '_fixed', spoilt)
    found = graphs.run(decoder_half.language_model, sessions=3, capacity=160)
    assert found['from_plain'] == pytest.approx(0.01, rel=0.01) and found['from_not_captured'] == 0
