"""The threshold that ships breaks as many silences as the recipe allows, counted where silence is really wanted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training.stages import loop
from training.stages.batches import warnings
from training.stages.engine import Devices
from training.stages.validation import Validation

PLACES = np.arange(12)


@pytest.fixture
def validation(reader):
    return Validation(reader, PLACES, 5, Devices(0, 1, torch.device('cpu')))


def forward_of(reader, odds):
    """A network whose P(response) at a drain is sigmoid(odds(number of the drain in its batch))."""

    def forward(batch):
        logits = torch.zeros(len(batch.stream_at), reader.tokenizer.get_vocab_size())
        logits[:, reader.protocol.response] = torch.tensor([odds(n) for n in range(len(logits))])
        return logits, torch.zeros(0), None

    return forward


def test_silences_are_the_drains_at_which_nothing_may_be_said(reader, validation):
    scores, hours = validation.silences(forward_of(reader, lambda n: 0.0))
    streams = [reader.shards.record(place) for place in PLACES]
    silent = near = early = 0
    for stream in streams:
        warned = warnings(stream)
        for at, drain in enumerate(stream.drains):
            before = [
                later.reply in warned and stream.replies[later.reply].onset // 6_400 <= drain.last
                for later in stream.drains[at + 1 :]
                if later.reply is not None
            ]
            beside = any(other.reply is not None for other in stream.drains[max(0, at - 3) : at + 4])
            silent += drain.reply is None
            near += drain.reply is None and beside
            early += drain.reply is None and not beside and any(before)
    assert near > 0
    assert len(scores) == silent - near - early
    assert scores == pytest.approx(0.5)
    assert hours == pytest.approx(sum(stream.chunks for stream in streams) * 0.4 / 3_600)


@pytest.mark.parametrize('per_hour', [0.0, 100.0, 400.0])
def test_so_many_silences_are_broken_and_one_more_would_be_too_many(reader, validation, per_hour, monkeypatch):
    run = SimpleNamespace(validation=validation, recipe=SimpleNamespace(false_responses_per_hour=per_hour))
    rng = np.random.default_rng(0)
    odds = rng.normal(0.0, 2.0, 10_000)
    forward = forward_of(reader, lambda n: float(odds[n]))
    monkeypatch.setattr(loop, 'forward', lambda model, run, batch: forward(batch))
    threshold = loop.response_threshold(torch.nn.Module(), run)
    scores, hours = validation.silences(forward)
    broken = int((scores >= threshold).sum())
    # Equal scores, of drains at the same place in two batches, pass together.
    assert broken <= per_hour * hours < broken + 4
