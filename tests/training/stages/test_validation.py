"""Validation says of every drain what happened there, and where silence is really wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.model.deciding import KINDS, EventClasses
from audio_interaction_ros.model.network import EventHead
from training.stages.collator import event_targets, warnings
from training.stages.distributed import Devices
from training.stages.validation import Validation

PLACES = np.arange(12)


@pytest.fixture
def validation(collator):
    return Validation(collator, PLACES, 5, Devices(0, 1, torch.device('cpu')))


EVENTS = EventClasses(names=('high tone', 'low tone', 'noise'), warnings=('high tone',), remarks=('low tone',))


class Newest(EventHead):
    """A head that is told by the encoder's vectors what sounds, and believes the newest chunk."""

    @classmethod
    def pooled(cls, summaries):
        return summaries[-1].chunk(2)[0]

    def forward(self, pooled):
        return pooled


def forward_of(collator, odds):
    """A network whose P(response) at a drain is sigmoid(odds(number of the drain in its batch))."""

    def forward(batch):
        logits = torch.zeros(len(batch.stream_at), collator.tokenizer.get_vocab_size())
        logits[:, collator.protocol.response] = torch.tensor([odds(n) for n in range(len(logits))])
        return logits, torch.zeros(0), batch.events.log()[:, None].expand(-1, 10, -1)

    return forward


def test_silences_are_the_drains_at_which_nothing_may_be_said(collator, validation):
    drains, hours = validation.drains(forward_of(collator, lambda n: 0.0), EVENTS, None)
    scores = drains['response'][drains['silent']]
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
    assert set(drains['kind']) == {KINDS.index('asked')}  # without an event head


def test_a_drain_has_the_kind_of_what_the_event_head_hears_at_its_last_chunk(collator, validation):
    """The head hears the class that sounds, so the runtime's rule can be told from the streams' records."""
    drains, _ = validation.drains(forward_of(collator, lambda n: 0.0), EVENTS, Newest(4, 3))
    at = 0
    for place in PLACES:
        stream = collator.dataset.record(place)
        heard = event_targets(stream, stream.chunks, EVENTS.names)
        for drain, made in zip(drains[at:], stream.drains, strict=False):
            shares = heard[made.last]
            kind = KINDS[int(np.argmax([shares[1], shares[2], 1 - shares[1] - shares[2]]))]
            kind = 'asked' if stream.instruction and kind == 'remark' else kind
            assert KINDS[drain['kind']] == kind
            assert drain['warning'] == pytest.approx(shares[1])
            deserved = 1 - shares[3] if kind == 'asked' else shares[1] + shares[2]
            assert drain['deserved'] == pytest.approx(deserved, abs=1e-6)
        at += len(stream.drains)
    assert at == len(drains) and len(set(drains['kind'])) == 3


def test_the_worst_of_a_stream_is_its_most_probable_false_response(collator, validation):
    forward = forward_of(collator, lambda n: (n % 11) / 11)
    drains, _ = validation.drains(forward, EVENTS, None)
    highest, at = validation.highest_false(forward), 0
    for place, found in zip(PLACES, highest, strict=True):
        mine = drains[at : at + len(collator.dataset.record(place).drains)]
        assert found == pytest.approx(mine['response'][mine['silent']].max(initial=0.0))
        at += len(mine)
    assert len(set(highest)) > 3


def test_a_drain_follows_the_one_before_unless_that_has_a_reply(collator, validation):
    forward = forward_of(collator, lambda n: (n % 7) / 7)
    drains, _ = validation.drains(forward, EVENTS, None)
    at = 0
    for place in PLACES:
        stream = collator.dataset.record(place)
        mine = drains[at : at + len(stream.drains)]
        due = [made.reply is not None for made in stream.drains]
        assert mine['due'].tolist() == due
        assert mine['follows'].tolist() == [False, *(not each for each in due[:-1])]
        at += len(stream.drains)
    assert not drains['urgent'].any()  # the micro corpus has no urgent reply
