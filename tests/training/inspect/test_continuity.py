"""The continuity ratio where it is known, and taken where the network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.model.encoder import ChunkEncoder
from tests.training.inspect.conftest import copy_inputs
from training.inspect.continuity import DISTANT, NEXT, WITHIN, Cosines, cosine_sums, measure, places
from training.stages.collator import Batch
from training.stages.model import heard_chunks


def directions(*degrees: float) -> torch.Tensor:
    """Chunks of three equal vectors each, in these directions. [n, 3, 2]"""
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)[:, None].expand(-1, 3, -1)


def test_a_turn_at_every_boundary_is_seen_at_boundaries_alone():
    # Two streams: one turns by 60° at each boundary, and half of it away by 120°; the other stands still.
    vectors = directions(0, 60, 120, 180, 90, 90, 90)
    sums = cosine_sums(vectors, torch.tensor([0, 0, 0, 0, 1, 1, 1]), 2).numpy()
    np.testing.assert_allclose(sums, [[4, 3 * 0.5, 4 * -0.5], [3, 2, 3]], atol=1e-6)
    both = Cosines(sums[:, None], np.array([[4.0, 3.0, 4.0], [3.0, 2.0, 3.0]]))
    np.testing.assert_allclose(both.ratio(), [(1.5 + 2) / 5], atol=1e-6)
    np.testing.assert_allclose(both.of(np.array([0])).ratio(), [0.5], atol=1e-6)
    np.testing.assert_allclose(both.of(np.array([0])).ratio(DISTANT), [-0.5], atol=1e-6)
    low, high = both.interval(0, seed=1)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(1.0))


def test_the_ratio_is_relative_to_what_changes_within_chunks():
    # Ten degrees from vector to vector, across boundaries too.
    angle = torch.arange(0, 120, 10.0).deg2rad()
    vectors = torch.stack([angle.cos(), angle.sin()], dim=1).view(4, 3, 2)
    found = Cosines(cosine_sums(vectors, torch.zeros(4, dtype=torch.long), 1).numpy()[:, None], np.array([[4, 3, 4]]))
    np.testing.assert_allclose(found.mean(WITHIN), np.cos(np.deg2rad(10)), atol=1e-6)
    np.testing.assert_allclose(found.ratio(), 1.0, atol=1e-6)
    assert found.ratio(DISTANT) < 0.9


def test_layers_that_copy_their_input_keep_its_ratio(model, mel, batch):
    copy_inputs(model)
    found = measure(model, mel, batch)
    names = places(model)
    assert names == ['convolutions', 'encoder layer 0', 'encoder output', 'projector', 'layer 0', 'layer 1']
    ratio = dict(zip(names, found.ratio(), strict=True))
    assert ratio['encoder layer 0'] == ratio['convolutions']
    assert ratio['layer 0'] == ratio['layer 1'] == ratio['projector']
    assert len(set(ratio.values())) == 3  # pooling and projecting do change it


def test_a_projector_that_always_says_the_same_is_seamless_and_so_are_distant_chunks(model, mel, batch):
    model.audio_tower.proj.weight.zero_()
    model.audio_tower.proj.bias.normal_()
    found = measure(model, mel, batch)
    at = places(model).index('projector')
    np.testing.assert_allclose([found.ratio(NEXT)[at], found.ratio(DISTANT)[at]], 1.0, atol=1e-6)
    assert found.ratio()[at - 1] != pytest.approx(1.0, abs=1e-3)


def test_vectors_are_those_that_the_network_gives(model, mel, batch: Batch):
    found = measure(model, mel, batch)
    row_of = batch.heard.nonzero()[:, 0]
    vectors = model.audio_tower.encode_chunks(mel, torch.zeros(len(mel)))
    embedded = model.language_model.get_input_embeddings()(batch.ids).flatten(0, 1)
    embedded[batch.audio_at] = vectors.flatten(0, 1)
    hidden = model.language_model(
        inputs_embeds=embedded.view(*batch.ids.shape, -1), use_cache=False, output_hidden_states=True
    ).hidden_states
    first = hidden[1].flatten(0, 1)[batch.audio_at].unflatten(0, (-1, 10))
    for name, given in (('projector', vectors), ('layer 0', first)):
        at = places(model).index(name)
        np.testing.assert_allclose(found.sums[:, at], cosine_sums(given, row_of, 6).numpy(), rtol=1e-6)


def test_a_stream_has_the_same_figures_whatever_it_is_padded_to(model, collator, mel, batch):
    together = measure(model, mel, batch)
    logmel = ChunkEncoder(model.audio_tower.config).logmel
    alone = []
    for place in range(6):
        one = collator.collate([place])
        alone.append(measure(model, heard_chunks(logmel(one.waveforms), one, augment=False), one))
    joined = Cosines.join(alone)
    np.testing.assert_array_equal(joined.pairs, together.pairs)
    np.testing.assert_allclose(joined.sums, together.sums, rtol=1e-4, atol=1e-4)


def test_nothing_stays_in_the_network(model, mel, batch):
    before = model(mel, batch)[0]
    measure(model, mel, batch)
    assert torch.equal(model(mel, batch)[0], before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
