"""The audio tower starts from Whisper's encoder or Qwen2.5-Omni's tower, or one sentence says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import WhisperConfig, WhisperModel
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.encoder import ChunkEncoder, StreamingEncoder
from audio_interaction_ros.model.network import AudioTower
from audio_interaction_ros.streaming.loop import Decision, listen
from tests.training.stages import micro
from tests.training.stages.test_run import scalars
from training.recipe import TrainingRecipe
from training.recipe_file import RecipeError
from training.stages.preparation import Files
from training.stages.pretrained import PretrainedTower
from training.stages.run import train

TINY = {
    'num_mel_bins': 80, 'd_model': 384, 'encoder_layers': 4, 'encoder_attention_heads': 6, 'encoder_ffn_dim': 1536
}  # fmt: skip
STAGE_0 = {'steps': 2, 'batch': 3, 'speech_batch': 2, 'weight_decay': 0.0, 'mixed_share': 0.5}


def write_whisper(directory: Path, shape: dict[str, int], positions: int = 1_500) -> WhisperModel:
    """A directory as transformers writes it, with random weights of a size that makes layers differ."""
    torch.manual_seed(2)
    small = {'vocab_size': 64, 'decoder_layers': 1, 'decoder_attention_heads': 2, 'decoder_ffn_dim': 16}
    ids = dict.fromkeys(('pad_token_id', 'bos_token_id', 'eos_token_id', 'decoder_start_token_id'), 1)
    whisper = WhisperModel(WhisperConfig(**shape, **small, **ids, max_source_positions=positions)).eval()
    for name, parameter in whisper.encoder.named_parameters():
        if parameter.ndim > 1 and 'positions' not in name:
            nn.init.normal_(parameter, std=0.08)
    nn.init.normal_(whisper.encoder.layer_norm.weight, mean=1.0, std=0.1)
    whisper.save_pretrained(directory)
    return whisper


def recipe(init: Path | str | None, **audio: Any) -> TrainingRecipe:
    return micro.recipe(init=str(init), log_mel='running_maximum', audio=micro.RECIPE['audio'] | audio)


def filled(wanted: TrainingRecipe) -> AudioTower:
    """A new tower of the recipe, with what its `init` names."""
    assert wanted.init is not None
    found = PretrainedTower.open(wanted.init)
    found.require_fit(wanted)
    tower = AudioTower(wanted.audio.config()).eval()
    found.fill(tower)
    return tower


@torch.inference_mode()
def test_a_tower_of_whisper_tinys_shape_computes_what_whisper_does_on_one_chunk(tmp_path):
    """But for the pooling: Whisper has its norm on every frame, this tower on the means of two."""
    whisper = write_whisper(tmp_path / 'tiny', TINY, positions=20)
    tower = filled(recipe(tmp_path / 'tiny', **TINY, left_context_chunks=4))
    logmel = ChunkEncoder(tower.config, 'running_maximum').logmel
    mel = logmel(0.1 * torch.randn(1, CHUNK_SAMPLES, generator=torch.Generator().manual_seed(0)))
    assert mel.shape == (1, 80, 40)
    outputs: list[torch.Tensor] = []
    tower.layers[0].register_forward_pre_hook(lambda _, inputs: outputs.append(inputs[0]))
    for layer in tower.layers:
        layer.register_forward_hook(lambda _, __, output: outputs.append(output))
    vectors = tower.encode_streams(mel[None])
    theirs = whisper.encoder(mel, output_hidden_states=True)
    for ours, hidden in zip(outputs[:-1], theirs.hidden_states, strict=False):
        torch.testing.assert_close(ours, hidden, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tower.ln_post(outputs[-1]), theirs.last_hidden_state, atol=1e-4, rtol=1e-4)
    assert vectors.shape == (1, 1, 10, tower.config.output_dim)


@torch.inference_mode()
def test_with_whisper_tinys_shape_streaming_equals_offline(tmp_path):
    write_whisper(tmp_path / 'tiny', TINY)
    wanted = recipe(tmp_path / 'tiny', **TINY, layer_mix=True, left_context_chunks=2)
    encoder = ChunkEncoder(wanted.audio.config(), wanted.log_mel).eval()
    encoder.audio_tower = filled(wanted)
    rng = np.random.default_rng(1)
    wave = torch.from_numpy((0.2 * rng.standard_normal(6 * CHUNK_SAMPLES)).astype(np.float32))
    wave[: 2 * CHUNK_SAMPLES] *= 1e-3
    streaming = StreamingEncoder(encoder)
    chunks = torch.stack([streaming.encode(chunk) for chunk in wave.split(CHUNK_SAMPLES)])
    torch.testing.assert_close(chunks, encoder(wave), atol=1e-5, rtol=0)


def micro_shape() -> dict[str, int]:
    return {name: micro.RECIPE['audio'][name] for name in TINY}


@pytest.mark.parametrize(('prefix', 'mixed'), [('encoder.', True), ('model.encoder.', False)])
def test_what_whisper_lacks_keeps_its_fresh_values_and_a_mixture_has_no_norm_to_fill(tmp_path, prefix, mixed):
    whisper = write_whisper(tmp_path / 'tiny', micro_shape())
    if prefix != 'encoder.':  # of the class that writes text
        path = tmp_path / 'tiny' / 'model.safetensors'
        save_file({f'model.{name}': tensor for name, tensor in load_file(path).items()}, path)
    wanted = recipe(tmp_path / 'tiny', layer_mix=mixed)
    torch.manual_seed(5)
    tower = filled(wanted)
    torch.manual_seed(5)
    fresh = AudioTower(wanted.audio.config()).state_dict()
    theirs = {name.replace('layer_norm.', 'ln_post.') if name.startswith('layer_norm.') else name: tensor
              for name, tensor in whisper.encoder.state_dict().items()}  # fmt: skip
    for name, tensor in tower.state_dict().items():
        kept = name.startswith(('proj.', 'audio_bos'))
        assert kept or name in theirs
        assert torch.equal(tensor, fresh[name] if kept else theirs[name]), name
    assert ('ln_post.weight' in fresh) == (not mixed)


def test_a_tower_of_qwen_omni_is_taken_too(tmp_path):
    omni = micro.RECIPE['audio'] | {'output_dim': 24, 'n_window': 100}
    stock = Qwen2_5OmniAudioEncoder(Qwen2_5OmniAudioEncoderConfig(**omni))
    save_file(
        {f'thinker.audio_tower.{name}': tensor for name, tensor in stock.state_dict().items()},
        tmp_path / 'model.safetensors',
    )
    config = {'thinker_config': {'audio_config': stock.config.to_dict()}}
    (tmp_path / 'config.json').write_text(json.dumps(config, default=str))
    tower = filled(recipe(tmp_path))
    assert torch.equal(tower.layers[0].fc1.weight, stock.layers[0].fc1.weight)
    assert torch.equal(tower.ln_post.weight, stock.ln_post.weight)
    assert tower.proj.weight.shape == (16, 16)  # theirs leads into another language model


def test_the_tower_of_a_checkpoint_of_this_package_is_taken_too(tiny_checkpoint):
    given = load_encoder(tiny_checkpoint).encoder.audio_tower
    tower = filled(recipe(tiny_checkpoint, **given.config.model_dump(include={*TINY}), left_context_chunks=2))
    assert torch.equal(tower.layers[0].fc1.weight, given.layers[0].fc1.weight)
    assert not torch.equal(tower.proj.weight, given.proj.weight[:16])


@pytest.mark.parametrize(
    ('audio', 'problem'),
    [
        ({'num_mel_bins': 80}, r"has num_mel_bins 80, and the tower in '.*', .* has num_mel_bins 16; give"),
        ({'d_model': 32, 'encoder_layers': 2}, r'has d_model 32, encoder_layers 2, and .* has d_model 16, encoder_lay'),
        ({'encoder_attention_heads': 4}, r'has encoder_attention_heads 4, and .* has encoder_attention_heads 2; give'),
        ({'encoder_ffn_dim': 64}, r'layers\.0\.fc1\.weight is \[32, 16\], \[64, 16\] expected'),
    ],
)
def test_a_tower_that_does_not_fit_is_one_sentence_before_anything_is_trained(tmp_path, corpus, audio, problem):
    write_whisper(tmp_path / 'tiny', micro_shape())
    changes = {'init': str(tmp_path / 'tiny'), 'log_mel': 'running_maximum', 'audio': micro.RECIPE['audio'] | audio}
    made = micro.write_recipe(tmp_path / 'micro.yaml', **changes)
    with pytest.raises(RecipeError, match=problem) as error:
        train(Files(made, corpus, tmp_path / 'run', None, None))
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'run').exists()


def test_what_is_no_tower_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r'write it with: python -m training parts whisper-base --out parts, or'):
        filled(recipe('whisper-base'))
    with pytest.raises(RecipeError, match=r"no model\.safetensors in 'elsewhere'; give a directory that has one, or"):
        filled(recipe('elsewhere'))
    (tmp_path / 'odd').mkdir()
    save_file({'conv1.weight': torch.zeros(3)}, tmp_path / 'odd' / 'model.safetensors')
    with pytest.raises(RecipeError, match=r"'odd' holds no audio tower"):
        filled(recipe('odd'))
    write_whisper(tmp_path / 'parts' / 'whisper-tiny', micro_shape())
    filled(recipe('whisper-tiny'))
    weights = tmp_path / 'parts' / 'whisper-tiny' / 'model.safetensors'
    tensors = load_file(weights)
    for name, changed, problem in (
        ('encoder.embed_positions.weight', torch.randn(1_500, 16), "are not Whisper's sinusoids"),
        ('encoder.layers.0.self_attn.k_proj.bias', torch.zeros(16), r'has layers\.0\.self_attn\.k_proj\.bias'),
    ):
        save_file(tensors | {name: changed}, weights)
        with pytest.raises(RecipeError, match=problem):
            filled(recipe('whisper-tiny'))
    save_file(tensors, weights)
    (weights.parent / 'config.json').write_text('{}')
    with pytest.raises(RecipeError, match='does not say how many heads the tower has'):
        filled(recipe('whisper-tiny'))


def test_a_recipe_that_starts_from_whisper_has_whispers_log_mel():
    with pytest.raises(ValueError, match=r'log_mel is fixed; .* give log_mel: running_maximum'):
        micro.recipe(init='whisper-tiny')


def test_an_init_beside_a_checkpoint_to_start_from_is_refused(tmp_path, corpus):
    made = micro.write_recipe(tmp_path / 'micro.yaml', init='whisper-tiny', log_mel='running_maximum')
    with pytest.raises(RecipeError, match=r"from 'whisper-tiny' and --start names 'start'; take init out"):
        train(Files(made, corpus, tmp_path / 'run', None, Path('start')))


@pytest.mark.parametrize('with_stage_0', [True, False])
def test_a_run_begins_with_the_pretrained_tower_and_its_checkpoint_streams(tmp_path, corpus, with_stage_0):
    whisper = write_whisper(tmp_path / 'tiny', micro_shape())
    last = micro.settings(steps=1)['stages'][-1] | {'learning_rate': 1e-9}  # so that weights stay where they begin
    made = micro.write_recipe(
        tmp_path / 'micro.yaml', init=str(tmp_path / 'tiny'), log_mel='running_maximum', stages=[last],
        audio=micro.RECIPE['audio'] | {'layer_mix': True, 'left_context_chunks': 2},
        encoder=STAGE_0 | {'learning_rate': 1e-9} if with_stage_0 else None,
    )  # fmt: skip
    files = Files(made, corpus, tmp_path / 'run', tmp_path / 'checkpoint', None)
    assert train(files)['finished']
    encoder = load_encoder(files.out).encoder
    config = encoder.audio_tower.config
    assert config.layer_mix and config.left_context_chunks == 2 and encoder.logmel.normalisation == 'running_maximum'
    for name, tensor in encoder.audio_tower.layers.state_dict().items():
        torch.testing.assert_close(tensor, whisper.encoder.layers.state_dict()[name], atol=1e-6, rtol=0)
    _, samples = micro.stream(3)
    heard = list(listen(load_encoder(files.out), load_decoder(files.out), samples))
    assert any(isinstance(event, Decision) for event in heard)
    # Once a stage is finished, what it made goes on, and the part may be gone.
    (tmp_path / 'tiny' / 'model.safetensors').unlink()
    assert train(files)['finished']


def test_stage_0_brings_a_pretrained_tower_nearer_to_its_teacher(tmp_path, corpus):
    write_whisper(tmp_path / 'tiny', micro_shape())
    stage_0 = {
        'steps': 30, 'batch': 6, 'speech_batch': 2, 'mixed_share': 0.5, 'learning_rate': 1e-2, 'weight_decay': 0.0,
        'tower_rate': 0.5, 'layer_decay': 0.9, 'teacher_weight': 20.0, 'probe_clips': 20,
    }  # fmt: skip
    made = micro.write_recipe(
        tmp_path / 'micro.yaml', init=str(tmp_path / 'tiny'), log_mel='running_maximum', steps=1, encoder=stage_0,
        audio=micro.RECIPE['audio'] | {'left_context_chunks': 4},
    )  # fmt: skip
    files = Files(made, corpus, tmp_path / 'run', None, None)
    assert train(files, stop_after_s=0.0)['stage'] == 'encoder'
    reached = train(files)['validation']['encoder']  # its teacher is what it began with, not what it goes on from
    assert reached['probe_auc'] > 0.9
    losses = scalars(files.run, 'encoder')
    first, last = (np.mean([losses['loss/teacher', step] for step in steps]) for steps in (range(3), range(27, 30)))
    assert last < 0.8 * first


def test_projection_and_heads_learn_on_when_the_tower_has_learnt(tmp_path, corpus):
    whisper = write_whisper(tmp_path / 'tiny', micro_shape())
    stage_0 = {
        'steps': 1, 'batch': 6, 'speech_batch': 2, 'mixed_share': 0.5, 'learning_rate': 1e-2, 'weight_decay': 0.0,
        'tower_rate': 1e-9, 'probe_clips': 20, 'head_steps': 100, 'head_crops': 80,
    }  # fmt: skip
    made = micro.write_recipe(
        tmp_path / 'micro.yaml', init=str(tmp_path / 'tiny'), log_mel='running_maximum', steps=1, encoder=stage_0,
        audio=micro.RECIPE['audio'] | {'layer_mix': True, 'left_context_chunks': 4},
    )  # fmt: skip
    files = Files(made, corpus, tmp_path / 'run', None, None)
    assert train(files)['validation']['encoder']['sound_accuracy'] > 0.6  # by chance a quarter
    tower = load_file(files.run / '0-encoder' / 'model.safetensors')
    for name, tensor in whisper.encoder.layers.state_dict().items():
        torch.testing.assert_close(tower[f'layers.{name}'], tensor, atol=1e-6, rtol=0)


def test_heads_that_learn_alone_are_given_crops_to_learn_from():
    with pytest.raises(ValueError, match='go together; give both, or neither'):
        micro.recipe(encoder=STAGE_0 | {'learning_rate': 1e-3, 'head_steps': 10})


def test_a_teacher_is_a_pretrained_tower():
    with pytest.raises(ValueError, match='needs a teacher, the tower that init names; give init, or 0'):
        micro.recipe(encoder=STAGE_0 | {'learning_rate': 1e-3, 'teacher_weight': 1.0})
