"""The projection of a pretrained tower begins with principal components of what it is given."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.model.network import AudioTower
from audio_interaction_ros.model.shapes import AudioConfig
from training.stages.projection import project_components, projected_inputs


def tower(output_dim: int) -> AudioTower:
    torch.manual_seed(1)
    audio = {'d_model': 8, 'encoder_layers': 2, 'encoder_attention_heads': 2, 'encoder_ffn_dim': 16, 'num_mel_bins': 8}
    config = AudioConfig(**audio, n_window=20, max_source_positions=20, output_dim=output_dim, layer_mix=True)
    made = AudioTower(config).requires_grad_(False)
    for parameter in made.layers.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(3, 4, 8, 40, generator=generator) for _ in range(5)]


def test_the_vectors_are_uncorrelated_with_mean_0_and_variance_1():
    one = tower(6)
    project_components(one.proj, projected_inputs(one, batches()))
    vectors = torch.cat([one.encode_streams(mel).flatten(0, -2) for mel in batches()]).double()
    assert vectors.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(vectors.T @ vectors / len(vectors), torch.eye(6).double(), atol=1e-3, rtol=0)


def test_no_other_directions_of_as_many_hold_more_of_what_varies():
    one, given = tower(6), []
    project_components(one.proj, projected_inputs(one, batches()))
    one.proj.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].flatten(0, -2)))
    for mel in batches():
        one.encode_streams(mel)
    found = torch.cat(given).double()
    found = found - found.mean(0)
    kept = torch.linalg.qr(one.proj.weight.double().T)[0]
    varies = found.square().sum()
    largest = torch.linalg.svdvals(found)[:6].square().sum()
    assert float((found @ kept).square().sum() / varies) == pytest.approx(float(largest / varies), abs=1e-4)


def test_rows_beyond_the_width_of_what_is_projected_keep_their_weights():
    one = tower(40)  # of 24
    before = one.proj.weight.clone()
    project_components(one.proj, projected_inputs(one, batches()))
    assert torch.equal(one.proj.weight[24:], before[24:]) and not torch.equal(one.proj.weight[:24], before[:24])
    assert torch.isfinite(one.proj.weight).all()
