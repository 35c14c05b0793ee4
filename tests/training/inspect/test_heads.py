"""Heads that matter, and heads that do not, are told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.engine import Engine
from tests.training.inspect.conftest import copy_inputs, silence
from training.inspect import heads
from training.inspect.heads import LOG_PROBABILITY, RESPONSE, SILENT, TOKEN_MATCH, HeadScores, without_head
from training.stages.collator import Batch


@pytest.fixture
def scores_of(model, mel, batch: Batch, collator):
    def measured() -> HeadScores:
        return heads.measure(model, mel, batch, collator.protocol.response, lambda: None)

    return measured


def test_a_head_that_the_output_projection_ignores_matters_exactly_nothing(model, scores_of):
    attention = model.language_model.model.layers[1].self_attn
    attention.o_proj.weight[:, : attention.head_dim] = 0
    scores = scores_of()
    for figure in (TOKEN_MATCH, LOG_PROBABILITY):
        assert scores.drop(figure)[1, 0] == 0
    assert (scores.ablated[:, 1, 0] == scores.intact).all()
    changed = np.abs(scores.drop(LOG_PROBABILITY))
    assert np.delete(changed.ravel(), 2).min() > 1e-4


def test_ablating_leaves_the_network_as_it_was(model, mel, batch, scores_of):
    before = model(mel, batch)[0]
    scores_of()
    assert torch.equal(model(mel, batch)[0], before)
    with pytest.raises(ZeroDivisionError), without_head(model.language_model.model.layers[0].self_attn, 1):
        assert not torch.equal(model(mel, batch)[0], before)
        _ = 1 / 0
    assert torch.equal(model(mel, batch)[0], before)


def test_a_planted_head_is_found_with_what_it_is_worth(model, batch, collator, scores_of):
    """All says `response`, but for one head that turns every hidden state to `silent`."""
    language, protocol = model.language_model, collator.protocol
    copy_inputs(model)
    for layer in language.model.layers:
        silence(layer.self_attn.v_proj)
        layer.self_attn.v_proj.bias.fill_(1.0)  # whatever is attended to
    direction = torch.zeros(16)
    direction[0] = 1.0
    language.model.embed_tokens.weight[protocol.chunk_end] = -direction
    planted = language.model.layers[1].self_attn.o_proj
    planted.weight[:, 8:] = 2 * direction[:, None] / 8  # the second of two heads of eight
    silence(language.lm_head)
    language.lm_head.weight[protocol.silent] = direction
    language.lm_head.weight[protocol.response] = -direction

    scores = scores_of()
    wanted = (batch.stream_targets == protocol.response).numpy()
    assert scores.drains.sum(axis=0).tolist() == [(~wanted).sum(), wanted.sum()]
    assert scores.mean(TOKEN_MATCH) == (~wanted).mean()
    assert (scores.mean(TOKEN_MATCH, SILENT), scores.mean(TOKEN_MATCH, RESPONSE)) == (1, 0)
    only = np.array([[0, 0], [0, 1]])
    np.testing.assert_array_equal(scores.drop(TOKEN_MATCH, SILENT), only)
    np.testing.assert_array_equal(scores.drop(TOKEN_MATCH, RESPONSE), -only)
    np.testing.assert_allclose(scores.drop(TOKEN_MATCH), only * ((~wanted).mean() - wanted.mean()))
    assert scores.drop(LOG_PROBABILITY, SILENT)[1, 1] > 4
    low, high = scores.interval(1, 1, TOKEN_MATCH, seed=1)
    assert low <= scores.drop(TOKEN_MATCH)[1, 1] <= high


def test_only_what_comes_after_a_head_is_computed_again_and_that_changes_nothing(
    model, mel, batch, collator, scores_of
):
    scores = scores_of()
    for layer, head in ((0, 0), (0, 1), (1, 0), (1, 1)):
        with without_head(model.language_model.model.layers[layer].self_attn, head):
            logits = model(mel, batch)[0]
        probable = logits.log_softmax(-1).gather(1, batch.stream_targets[:, None]).sum()
        match = (logits.argmax(-1) == batch.stream_targets).sum()
        found = scores.ablated[:, layer, head].sum(axis=(0, 1))
        assert found[TOKEN_MATCH] == match
        assert found[LOG_PROBABILITY] == pytest.approx(float(probable), rel=1e-6)


def test_with_all_heads_it_is_what_the_runtime_computes(checkpoint, batch, scores_of):
    encoder, decoder = load_encoder(checkpoint).encoder, load_decoder(checkpoint)
    engine = Engine(decoder.language_model)
    probable, match = 0.0, 0
    for row in range(len(batch.ids)):
        length, chunks = int(batch.lengths[row]), int(batch.heard[row].sum())
        ids = batch.ids[row, :length]
        embedded = engine.embed(ids.tolist()).clone()
        embedded[ids == decoder.protocol.audio] = encoder(batch.waveforms[row, : chunks * 6_400]).flatten(0, 1)
        logits = engine.logits(engine.read([engine.new_cache(length)], embedded[None]))[0]
        own = batch.stream_of == row
        places = batch.stream_at[own] - row * batch.ids.shape[1]
        targets = batch.stream_targets[own]
        probable += float(logits[places].log_softmax(-1).gather(1, targets[:, None]).sum())
        match += int((logits[places].argmax(-1) == targets).sum())
    scores = scores_of()
    assert scores.intact[..., TOKEN_MATCH].sum() == match
    assert scores.intact[..., LOG_PROBABILITY].sum() == pytest.approx(probable, rel=1e-5)


def test_figures_without_drains_of_a_kind_are_left_open(scores_of):
    scores = scores_of()
    never = scores.of(scores.drains[:, RESPONSE] == 0)  # the fifth stream has no tone
    assert len(never.drains) == 1
    assert never.mean(TOKEN_MATCH, RESPONSE) is None and never.drop(TOKEN_MATCH, RESPONSE) is None
    assert never.drop(TOKEN_MATCH).shape == (2, 2)
