"""verify finds every thing that is wrong, and nothing where nothing is."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_interaction_ros.model.checkpoint import CheckpointError, find_checkpoint
from audio_interaction_ros.model.verify import verify


@pytest.fixture
def copy(tiny_checkpoint, tmp_path):
    return shutil.copytree(tiny_checkpoint, tmp_path / 'copy')


@pytest.fixture
def sharded(converted, tmp_path):
    """The conversion in shards, a copy to spoil."""
    return shutil.copytree(converted, tmp_path / 'sharded')


def change_weights(directory, name, change):
    tensors = load_file(directory / 'model.safetensors')
    change(tensors[name])
    save_file(tensors, directory / 'model.safetensors')


def leave_out_the_language_digest(directory):
    config = json.loads((directory / 'config.json').read_text())
    del config['language_digest']
    (directory / 'config.json').write_text(json.dumps(config))


def test_nothing_is_wrong_with_what_ships_nor_with_a_conversion(converted):
    for directory in (find_checkpoint('embedded'), converted):
        assert json.loads((directory / 'config.json').read_text())['language_digest']
    assert verify(find_checkpoint('embedded')) == []
    assert verify(converted) == []


def test_a_shard_that_is_cut_off_missing_or_mixed_up_is_named(sharded):
    cut, gone = sharded / 'language_model-00002.safetensors', sharded / 'audio_tower-00001.safetensors'
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    problems = verify(sharded)
    assert len(problems) == 2
    assert any(str(cut) in problem for problem in problems)
    assert any(str(gone) in problem for problem in problems)


def test_a_shard_without_a_tensor_of_the_index_is_named(sharded):
    path = sharded / 'language_model-00002.safetensors'
    tensors = load_file(path)
    lost = tensors.popitem()[0]
    save_file(tensors, path)
    (problem,) = verify(sharded)
    assert lost in problem and path.name in problem
    (sharded / 'model.safetensors.index.json').write_text('{"weight_map": 3}')
    assert all('no index of weight files' in problem for problem in verify(sharded))


def test_everything_that_is_wrong_is_told_at_once(copy):
    change_weights(copy, 'audio_tower.proj.bias', lambda bias: bias.add_(1.0))
    config = json.loads((copy / 'config.json').read_text())
    config['text_config']['intermediate_size'] = 96
    (copy / 'config.json').write_text(json.dumps(config))
    protocol = json.loads((copy / 'protocol.json').read_text())
    (copy / 'protocol.json').write_text(json.dumps(protocol | {'silent': 100_000}))
    problems = verify(copy)
    assert len(problems) == 3
    for complaint in ('digest', 'another shape', 'token 100000, which the protocol needs as silent'):
        assert any(complaint in problem for problem in problems)


def test_halves_of_different_widths_do_not_fit(copy):
    config = json.loads((copy / 'config.json').read_text())
    config['audio_config']['output_dim'] = 48
    (copy / 'config.json').write_text(json.dumps(config))
    assert any('vectors of 48, the language model reads 32' in problem for problem in verify(copy))


def test_an_impossible_shape_is_one_sentence(copy):
    config = json.loads((copy / 'config.json').read_text())
    config['text_config']['num_attention_heads'] = 'many'
    config['audio_config']['n_window'] = 50
    (copy / 'config.json').write_text(json.dumps(config))
    problems = verify(copy)
    assert any('text_config' in problem for problem in problems)
    assert any('n_window is 50' in problem for problem in problems)


@pytest.mark.parametrize('name', ['language_model.model.norm.weight', 'language_model.lm_head.weight'])
def test_a_model_that_answers_silence_with_nan_is_found(copy, name):
    change_weights(copy, name, lambda weight: weight.fill_(torch.nan))
    leave_out_the_language_digest(copy)  # which tells too, and then nothing is computed
    (problem,) = verify(copy)
    assert 'NaN' in problem


def test_a_language_model_that_is_not_the_one_of_the_configuration_is_found_when_asked(copy):
    change_weights(copy, 'language_model.model.norm.weight', lambda weight: weight.mul_(1.5))
    (problem,) = verify(copy)
    assert 'the language model in' in problem and 'digest' in problem
    leave_out_the_language_digest(copy)
    assert verify(copy) == []  # as good as any checkpoint of before it was kept


def test_a_damaged_configuration_is_one_sentence(copy):
    (copy / 'config.json').write_text('{')
    (problem,) = verify(copy)
    assert 'config.json' in problem


def test_a_foreign_directory_is_to_be_converted_first(release, tmp_path):
    with pytest.raises(CheckpointError, match='Audio-Interaction, as released; convert it first'):
        verify(release)
    with pytest.raises(CheckpointError, match='known kind'):
        verify(tmp_path)
    (tmp_path / 'config.json').write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match='known kind'):
        verify(tmp_path)
