"""The networks are transformers' own: names, shapes and numbers."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder

from audio_interaction_ros.model.network import AudioTower, LanguageModel, rotary
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig

AUDIO = {
    'd_model': 48, 'encoder_layers': 2, 'encoder_attention_heads': 4, 'encoder_ffn_dim': 96, 'num_mel_bins': 32,
    'n_window': 20, 'max_source_positions': 20, 'output_dim': 40,
}  # fmt: skip
TEXTS = [
    {'hidden_size': 48, 'intermediate_size': 96, 'num_hidden_layers': 3, 'num_attention_heads': 6,
     'num_key_value_heads': 2, 'vocab_size': 50, 'max_position_embeddings': 64, 'use_sliding_window': True,
     'sliding_window': 7, 'layer_types': ['sliding_attention', 'full_attention', 'sliding_attention']},
    {'hidden_size': 32, 'intermediate_size': 64, 'num_hidden_layers': 2, 'num_attention_heads': 4,
     'num_key_value_heads': 4, 'vocab_size': 50, 'max_position_embeddings': 64, 'rope_theta': 1e6},
    {'hidden_size': 32, 'intermediate_size': 64, 'num_hidden_layers': 3, 'num_attention_heads': 4,
     'num_key_value_heads': 1, 'vocab_size': 50, 'max_position_embeddings': 64, 'use_sliding_window': True,
     'sliding_window': 5, 'max_window_layers': 1},
]  # fmt: skip


def names(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_audio_tower_has_the_names_and_the_numbers_of_the_stock_one():
    stock = Qwen2_5OmniAudioEncoder(Qwen2_5OmniAudioEncoderConfig(**AUDIO)).eval()
    ours = AudioTower(AudioConfig(**stock.config.to_diff_dict())).eval()
    assert names(ours) == names(stock)
    ours.load_state_dict(stock.state_dict())
    mel = torch.randn(3, 32, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = torch.cat(
            [
                stock(chunk, feature_lens=torch.tensor([40]), aftercnn_lens=torch.tensor([20])).last_hidden_state
                for chunk in mel
            ]
        ).view(3, 10, 40)
        assert torch.allclose(ours.encode_streams(mel[None])[0], expected, atol=1e-5)


@pytest.mark.parametrize('text', TEXTS)
def test_the_language_model_has_the_names_and_positions_of_the_stock_one(text):
    stock = Qwen2ForCausalLM(Qwen2Config(**text)).eval()
    ours = LanguageModel(TextConfig(**stock.config.to_diff_dict()))
    assert names(ours) == names(stock)
    assert list(ours.config.layer_types) == stock.config.layer_types
    assert ours.config.sliding_window == stock.config.sliding_window
    expected = stock.model.rotary_emb(torch.zeros(1), torch.arange(64)[None])
    for mine, theirs in zip(rotary(ours.config, ours.device, ours.dtype), expected, strict=True):
        assert torch.allclose(mine, theirs[0], atol=1e-6)


@pytest.mark.parametrize(
    ('config', 'data', 'match'),
    [
        (TextConfig, {'hidden_act': 'gelu'}, 'silu'),
        (TextConfig, {'tie_word_embeddings': True}, 'tie_word_embeddings'),
        (TextConfig, {'rope_parameters': {'rope_type': 'yarn'}}, "rope_type is 'yarn'"),
        (TextConfig, {'num_attention_heads': 7}, 'no even share for 7 heads'),
        (TextConfig, {'num_hidden_layers': 2, 'layer_types': ['full_attention']}, 'names 1 layers of 2'),
        (AudioConfig, {'scale_embedding': True}, 'scale_embedding'),
        (AudioConfig, {'d_model': 50, 'encoder_attention_heads': 4}, 'no multiple of 4 heads'),
    ],
)
def test_what_these_networks_do_not_compute_is_refused(config, data, match):
    with pytest.raises(ValidationError, match=match):
        config(**data)
