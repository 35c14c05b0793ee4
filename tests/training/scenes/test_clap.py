"""The CLAP retriever with a real, if untrained, model of a few thousand weights."""

import json

import numpy as np
import pytest

from training.scenes.retrieval import ClapRetriever
from training.scenes.scenario import ClipInfo
from training.scenes.selection import SelectionSettings, make_retriever


@pytest.fixture(scope='module')
def tiny_clap(tmp_path_factory):
    torch = pytest.importorskip('torch')
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizerFast

    folder = tmp_path_factory.mktemp('clap')
    vocabulary = ['<s>', '<pad>', '</s>', '<unk>', '<mask>', 'Ġ', *'abcdefghijklmnopqrstuvwxyz.']
    (folder / 'vocab.json').write_text(json.dumps({token: number for number, token in enumerate(vocabulary)}))
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    tokenizer = RobertaTokenizerFast(str(folder / 'vocab.json'), str(folder / 'merges.txt'))
    text = {
        'vocab_size': len(vocabulary),
        'hidden_size': 16,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'intermediate_size': 16,
        'max_position_embeddings': 66,
        'projection_dim': 8,
    }
    audio = {
        'patch_embeds_hidden_size': 8,
        'depths': [1, 1],
        'num_attention_heads': [2, 2],
        'hidden_size': 16,
        'num_hidden_layers': 2,
        'projection_dim': 8,
    }
    torch.manual_seed(1)
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(folder)
    ClapProcessor(ClapFeatureExtractor(truncation='rand_trunc'), tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.slow  # imports transformers
@pytest.mark.timeout(300)
def test_clips_are_ranked_by_the_likeness_of_sound_and_words(tiny_clap):
    rng = np.random.default_rng(2)
    sounds = {f'clip {n}': rng.standard_normal(8_000 * (n + 1) ** 3).astype(np.float32) * 0.1 for n in range(4)}
    clips = [
        ClipInfo(clip_id=name, category='noise', caption='', duration_s=len(s) / 16_000, respond=False, source='x')
        for name, s in sounds.items()
    ]
    read = []

    def samples(info):
        read.append(info.clip_id)
        return sounds[info.clip_id]

    by_recipe = make_retriever(SelectionSettings(retrieval='clap', clap=tiny_clap), clips, samples)
    assert isinstance(by_recipe, ClapRetriever)
    read.clear()
    retriever = ClapRetriever(clips, samples, tiny_clap, batch=3)
    assert sorted(read) == sorted(sounds), 'every clip is embedded once, when the retriever is made'
    assert retriever._embeddings.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(retriever._embeddings, axis=1), 1.0, rtol=1e-5)
    for name, embedding in zip(sounds, retriever._embeddings, strict=True):  # batching changes nothing
        alone = ClapRetriever([c for c in clips if c.clip_id == name], samples, tiny_clap)._embeddings[0]
        np.testing.assert_allclose(alone, embedding, atol=1e-4)
    found = retriever.search('steady noise', np.random.default_rng(1), shortest_s=0.9)
    assert all(info.duration_s >= 0.9 for info in found) and len(found) <= 3
