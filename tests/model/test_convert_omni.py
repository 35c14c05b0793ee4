"""Qwen2.5-Omni's thinker computes the same before and after conversion, but for the control tokens' rows."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.checkpoint import CheckpointError, load_decoder, load_encoder
from audio_interaction_ros.model.convert import convert
from audio_interaction_ros.model.convert_source import RELEASED_PROTOCOL
from audio_interaction_ros.model.engine import Engine
from tests.model.miniatures import ROWS, audio_config

WIDTH = 32
WORDS_OF = {'silent': 'silent', 'chunk_end': 'assistant', 'online': 'online', 'audio': 'audio'}
CONTROL_WORDS = sorted(id_ for id_ in RELEASED_PROTOCOL.special_ids() if id_ < 151_643)


def write_omni(directory, tokenizer, tied=False):
    """transformers' own classes and files; windows of 400 ms, so that its forward is one on each chunk."""
    text = {
        'vocab_size': ROWS,
        'hidden_size': WIDTH,
        'intermediate_size': 48,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'num_key_value_heads': 2,
        'rope_parameters': {'rope_theta': 1e6, 'rope_type': 'default', 'mrope_section': [2, 1, 1]},
        'initializer_range': 0.3,
        'tie_word_embeddings': tied,
    }
    vision = {
        'depth': 1,
        'hidden_size': 32,
        'intermediate_size': 32,
        'num_heads': 2,
        'out_hidden_size': WIDTH,
        'fullatt_block_indexes': [0],
    }
    audio = audio_config(WIDTH).to_dict() | {'n_window': 20}
    thinker = {'audio_config': audio, 'text_config': text, 'vision_config': vision, 'tie_word_embeddings': tied}
    torch.manual_seed(3)
    model = Qwen2_5OmniForConditionalGeneration(
        Qwen2_5OmniConfig(thinker_config=thinker, enable_audio_output=False)
    ).eval()
    model.save_pretrained(directory, max_shard_size='200KB')
    shutil.copyfile(tokenizer, directory / 'tokenizer.json')
    return model.thinker


@pytest.fixture(scope='module')
def omni(tmp_path_factory, qwen_tokenizer):
    directory = tmp_path_factory.mktemp('omni') / 'foreign'
    thinker = write_omni(directory, qwen_tokenizer)
    assert len(list(directory.glob('*.safetensors'))) > 3
    convert(directory, directory.parent / 'ours', shard_bytes=100_000)
    return directory, directory.parent / 'ours', thinker


@torch.inference_mode()
def test_sound_and_text_give_the_thinkers_logits(omni):
    _, ours, thinker = omni
    encoder, decoder = load_encoder(ours).encoder, load_decoder(ours)
    sound = 0.3 * torch.randn(CHUNK_SAMPLES, generator=torch.Generator().manual_seed(2))
    mel = encoder.logmel(sound)
    said = decoder.tokenizer.encode('What was that?').ids
    expected = thinker(
        input_ids=torch.tensor([[151644, 151647, *[151646] * 10, 151648, *said]]),
        input_features=mel[None],
        feature_attention_mask=torch.ones(1, 40, dtype=torch.long),
    ).logits[0]
    engine = Engine(decoder.language_model)
    heard = torch.cat([engine.embed([151644, 151647]), encoder(sound)[0], engine.embed([151648, *said])])
    found = engine.logits(engine.read([engine.new_cache(len(heard))], heard[None]))[0]
    others = torch.ones(ROWS, dtype=torch.bool)
    others[CONTROL_WORDS] = False
    assert expected.std() > 0.1
    torch.testing.assert_close(found[:, others], expected[:, others], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_control_token_begins_as_the_mean_of_the_words_that_name_it(omni):
    _, ours, thinker = omni
    half = load_decoder(ours)
    tables = (
        (thinker.get_input_embeddings().weight, half.language_model.model.embed_tokens.weight),
        (thinker.lm_head.weight, half.language_model.lm_head.weight),
    )
    for before, after in tables:
        for role, word in WORDS_OF.items():
            ids = half.tokenizer.encode(word, add_special_tokens=False).ids
            torch.testing.assert_close(after[getattr(half.protocol, role)], before[ids].mean(0))
        changed = (before != after).any(1).nonzero().flatten().tolist()
        assert changed == CONTROL_WORDS


def test_it_was_never_trained_on_chunks_and_says_so(omni):
    _, ours, _ = omni
    config = load_decoder(ours).config
    assert not config.streaming.silent_between_chunks
    assert config.log_mel == 'running_maximum'
    assert 'not trained' in (ours / 'recipe.yaml').read_text()


@torch.inference_mode()
def test_a_tied_table_becomes_two_equal_ones(tmp_path, qwen_tokenizer):
    write_omni(tmp_path / 'foreign', qwen_tokenizer, tied=True)
    index = json.loads((tmp_path / 'foreign' / 'model.safetensors.index.json').read_text())
    assert 'thinker.lm_head.weight' not in index['weight_map']
    convert(tmp_path / 'foreign', tmp_path / 'ours')
    model = load_decoder(tmp_path / 'ours').language_model
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
    assert model.lm_head.weight is not model.model.embed_tokens.weight


def test_a_directory_without_the_thinker_is_refused(omni, tmp_path):
    bad = shutil.copytree(omni[0], tmp_path / 'bad')
    index = json.loads((bad / 'model.safetensors.index.json').read_text())
    kept = {name: file for name, file in index['weight_map'].items() if 'audio_tower' not in name}
    (bad / 'model.safetensors.index.json').write_text(json.dumps({'weight_map': kept}))
    with pytest.raises(CheckpointError, match='tensors missing'):
        convert(bad, tmp_path / 'ours')
