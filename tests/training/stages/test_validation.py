"""The threshold that ships breaks as many silences as the recipe allows, counted where silence is really wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.stages.collator import warnings
from training.stages.distributed import Devices
from training.stages.stream_task import threshold_of
from training.stages.validation import Validation

PLACES = np.arange(12)


@pytest.fixture
def validation(collator):
    return Validation(collator, PLACES, 5, Devices(0, 1, torch.device('cpu')))


def forward_of(collator, odds):
    """A network whose P(response) at a drain is sigmoid(odds(number of the drain in its batch))."""

    def forward(batch):
        logits = torch.zeros(len(batch.stream_at), collator.tokenizer.get_vocab_size())
        logits[:, collator.protocol.response] = torch.tensor([odds(n) for n in range(len(logits))])
        return logits, torch.zeros(0), None

    return forward


def test_silences_are_the_drains_at_which_nothing_may_be_said(collator, validation):
    scores, hours = validation.silences(forward_of(collator, lambda n: 0.0))
    streams = [collator.dataset.record(place) for place in PLACES]
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


@pytest.mark.parametrize('allowed', [0, 3, 12])
def test_so_many_silences_are_broken_and_one_more_would_be_too_many(allowed):
    scores = np.random.default_rng(0).random(100).astype(np.float32)
    assert int((scores >= threshold_of(scores, allowed)).sum()) == allowed


def test_the_threshold_is_in_the_middle_where_every_silence_may_be_broken():
    assert threshold_of(np.full(3, 0.9, np.float32), 3) == 0.5
