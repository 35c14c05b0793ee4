"""Attention by blocks of queries is the causal attention of PyTorch's kernel, its gradients too."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from tests.training.stages import micro
from training.stages.attention import attend, attend_by_blocks
from training.stages.model import build, heard_chunks


@pytest.mark.parametrize(('length', 'window'), [(37, None), (160, None), (401, None), (401, 40)])
def test_attention_by_blocks_gives_the_same_and_the_same_gradients(length, window):
    torch.manual_seed(length)
    module = torch.nn.Module()

    def computed(attention):
        query, key, value = (x.clone().requires_grad_(True) for x in given)
        mixed, _ = attention(module, query, key, value, None, 0.25, sliding_window=window)
        (mixed * upstream).sum().backward()
        return mixed.detach(), query.grad, key.grad, value.grad

    given = [torch.randn(2, heads, length, 16) for heads in (6, 2, 2)]
    upstream = torch.randn(2, length, 6, 16)
    for ours, theirs in zip(computed(attend_by_blocks), computed(attend), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_recipe_has_the_language_model_attend_by_blocks(collator):
    batch = collator.collate([0, 1])
    mel = heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False)
    found = []
    for attention in ('fused', 'blocks'):
        torch.manual_seed(7)
        model = build(micro.recipe(attention=attention), 320, event_classes=3)
        found.append((model.language_model.config._attn_implementation, *model(mel, batch)[:2]))
    (fused, *expected), (blocks, *got) = found
    assert (fused, blocks) == ('training', 'training-blocks')
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
