"""The networks are transformers' own: names, shapes and numbers."""

from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig, Qwen2Config, Qwen3Config
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder

from audio_interaction_ros.model.network import AudioTower, rotary
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from audio_interaction_ros.model.stock import lean_model, stock_config
from tests.model.families import FAMILIES, stock_of

AUDIO = {
    'd_model': 48, 'encoder_layers': 2, 'encoder_attention_heads': 4, 'encoder_ffn_dim': 96, 'num_mel_bins': 32,
    'n_window': 20, 'max_source_positions': 20, 'output_dim': 40,
}  # fmt: skip


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


@pytest.mark.parametrize('name', FAMILIES)
def test_the_language_model_has_the_names_and_positions_of_the_stock_one(name):
    stock = stock_of(name)
    ours = lean_model(stock)
    state = stock.state_dict()
    if ours.config.tie_word_embeddings:
        del state['lm_head.weight']
        assert ours.lm_head.weight is ours.model.embed_tokens.weight
    assert names(ours) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert list(ours.config.layer_types) == getattr(stock.config, 'layer_types', ['full_attention'] * 3)
    assert ours.config.sliding_window == getattr(stock.config, 'sliding_window', None)
    expected = stock.model.rotary_emb(torch.zeros(1), torch.arange(64)[None])
    for mine, theirs in zip(rotary(ours.config, ours.device, ours.dtype), expected, strict=True):
        assert torch.allclose(mine[:64], theirs[0], atol=1e-6)


@pytest.mark.parametrize('name', FAMILIES)
def test_a_shape_is_the_same_told_by_its_config_json_by_itself_and_by_transformers_again(name, tmp_path):
    stock = stock_of(name)
    stock.config.save_pretrained(tmp_path)
    told = TextConfig(**json.loads((tmp_path / 'config.json').read_text()))
    assert told == lean_model(stock).config
    assert TextConfig(**told.model_dump(mode='json')) == told
    assert TextConfig(**stock_config(told).to_diff_dict()) == told


@pytest.mark.parametrize('config', [LlamaConfig, Qwen2Config, Qwen3Config])
def test_what_a_config_json_leaves_out_is_as_the_familys_class_has_it(config):
    stock = config()
    ours = TextConfig(model_type=config.model_type)
    for name in ('vocab_size', 'intermediate_size', 'num_key_value_heads', 'max_position_embeddings', 'hidden_size'):
        assert getattr(ours, name) == getattr(stock, name), name
    assert ours.head_size == getattr(stock, 'head_dim', stock.hidden_size // stock.num_attention_heads)


def test_the_older_names_of_rotary_settings_are_read_too():
    scaling = {'type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0}
    older = TextConfig(rope_theta=5e5, rope_scaling=scaling, max_position_embeddings=256)
    assert older.rope_theta == 5e5 and older.rope_scaling is not None
    assert older.rope_scaling.original_max_position_embeddings == 256
    assert TextConfig(rope_theta=1e5, rope_scaling=None) == TextConfig(
        rope_parameters={'rope_theta': 1e5, 'rope_type': 'default'}
    )


@pytest.mark.parametrize(
    ('config', 'data', 'match'),
    [
        (TextConfig, {'hidden_act': 'gelu'}, 'silu'),
        (TextConfig, {'model_type': 'gemma2'}, "model_type is 'gemma2', one of llama, qwen2, qwen3 expected"),
        (TextConfig, {'model_type': 'llama', 'mlp_bias': True}, 'mlp_bias is set, and nothing here computes it'),
        (TextConfig, {'quantization_config': {'bits': 4}}, 'quantization_config is set'),
        (TextConfig, {'rope_parameters': {'rope_type': 'yarn'}}, "rope_type is 'yarn'"),
        (TextConfig, {'rope_parameters': {'partial_rotary_factor': 0.5}}, 'partial_rotary_factor is set'),
        (TextConfig, {'rope_parameters': {'rope_type': 'llama3', 'factor': 8.0}}, 'llama3 needs low_freq_factor'),
        (TextConfig, {'model_type': 'llama', 'sliding_window': 40, 'max_window_layers': 0}, 'no sliding windows'),
        (TextConfig, {'attention_bias': True}, 'the biases of qwen2 are always the same'),
        (TextConfig, {'num_attention_heads': 7}, 'no even share for 7 heads'),
        (TextConfig, {'num_hidden_layers': 2, 'layer_types': ['full_attention']}, 'names 1 layers of 2'),
        (AudioConfig, {'scale_embedding': True}, 'scale_embedding'),
        (AudioConfig, {'d_model': 50, 'encoder_attention_heads': 4}, 'no multiple of 4 heads'),
    ],
)
def test_what_these_networks_do_not_compute_is_refused(config, data, match):
    with pytest.raises(ValidationError, match=match):
        config(**data)
