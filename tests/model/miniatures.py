"""Foreign checkpoints in miniature, with random weights: real files, real vocabulary size, nothing learnt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder

WORDS, ROWS = 151_643, 151_936  # Qwen's vocabulary, and its embeddings with padding
MARKS = ('<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|AUDIO|>', '<|audio_bos|>', '<|audio_eos|>')
MEL_BINS = 128


def write_tokenizer(path: Path, words: int = WORDS) -> Path:
    """Every byte a word, then words nobody says, then Qwen's marks, at Qwen's ids."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = [*alphabet, *(f'<word {i}>' for i in range(len(alphabet), words))]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in MARKS])
    tokenizer.save(str(path))
    return path


@dataclass(frozen=True)
class Shape:
    """Of a language model in the released layout."""

    layers: int = 2
    width: int = 32
    heads: int = 4
    groups: int = 2
    inner: int = 48

    @property
    def head(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class Layer:
    """Weights of one layer, not packed: [out, in], and the biases of the first three."""

    query: Tensor
    key: Tensor
    value: Tensor
    query_bias: Tensor
    key_bias: Tensor
    value_bias: Tensor
    output: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    norm_1: Tensor
    norm_2: Tensor


@dataclass(frozen=True)
class LanguageWeights:
    embeddings: Tensor
    layers: list[Layer]
    norm: Tensor
    head: Tensor


def draw_language_weights(shape: Shape, seed: int = 0) -> LanguageWeights:
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int, around: float = 0.0) -> Tensor:
        return around + 0.4 * torch.randn(*size, generator=generator)

    width, keys = shape.width, shape.groups * shape.head
    layers = [
        Layer(
            draw(width, width), draw(keys, width), draw(keys, width),
            draw(width), draw(keys), draw(keys),
            draw(width, width),
            draw(shape.inner, width), draw(shape.inner, width), draw(width, shape.inner),
            draw(width, around=1.0), draw(width, around=1.0),
        )
        for _ in range(shape.layers)
    ]  # fmt: skip
    return LanguageWeights(draw(ROWS, width), layers, draw(width, around=1.0), draw(ROWS, width))


def released_tensors(weights: LanguageWeights, shape: Shape, interleaved: bool) -> Iterator[tuple[str, Tensor]]:
    """Under the released names, packed as newer files have it, or interleaved by key-value head as older ones."""
    yield 'transformer.wte.weight', weights.embeddings
    for number, layer in enumerate(weights.layers):
        prefix = f'transformer.h.{number}'
        packed = f'{prefix}.attn.attn' if interleaved else f'{prefix}.attn.qkv'
        yield f'{packed}.weight', pack(layer.query, layer.key, layer.value, shape, interleaved)
        yield f'{packed}.bias', pack(layer.query_bias, layer.key_bias, layer.value_bias, shape, interleaved)
        yield f'{prefix}.attn.proj.weight', layer.output
        yield f'{prefix}.mlp.fc_1.weight', layer.gate
        yield f'{prefix}.mlp.fc_2.weight', layer.up
        yield f'{prefix}.mlp.proj.weight', layer.down
        yield f'{prefix}.norm_1.weight', layer.norm_1
        yield f'{prefix}.norm_2.weight', layer.norm_2
    yield 'transformer.ln_f.weight', weights.norm
    yield 'lm_head.weight', weights.head


def pack(query: Tensor, key: Tensor, value: Tensor, shape: Shape, interleaved: bool) -> Tensor:
    if not interleaved:
        return torch.cat([query, key, value])
    of_group = shape.heads // shape.groups * shape.head
    rows = []
    for group in range(shape.groups):
        rows.append(query[group * of_group : (group + 1) * of_group])
        rows.append(key[group * shape.head : (group + 1) * shape.head])
        rows.append(value[group * shape.head : (group + 1) * shape.head])
    return torch.cat(rows)


def write_shards(directory: Path, tensors: Iterator[tuple[str, Tensor]], tensors_a_shard: int) -> int:
    """Hugging Face's layout; returns how many shards there are."""
    named = list(tensors)
    pieces = [named[i : i + tensors_a_shard] for i in range(0, len(named), tensors_a_shard)]
    weight_map = {}
    for number, piece in enumerate(pieces, 1):
        file = f'model-{number:05d}-of-{len(pieces):05d}.safetensors'
        save_file(dict(piece), directory / file)
        weight_map |= {name: file for name, _ in piece}
    index = {'metadata': {}, 'weight_map': weight_map}
    (directory / 'model.safetensors.index.json').write_text(json.dumps(index))
    return len(pieces)


def audio_config(output_dim: int) -> Qwen2_5OmniAudioEncoderConfig:
    """As Qwen2.5-Omni ships it: windows of two seconds, not of one chunk."""
    return Qwen2_5OmniAudioEncoderConfig(
        d_model=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        num_mel_bins=MEL_BINS,
        max_source_positions=120,
        output_dim=output_dim,
        n_window=100,
    )


def write_release(
    directory: Path, tokenizer: Path, weights: LanguageWeights, shape: Shape, interleaved: bool = False
) -> Qwen2_5OmniAudioEncoder:
    """The released directory; returns the encoder whose weights lie in it."""
    directory.mkdir()
    torch.manual_seed(1)
    encoder = Qwen2_5OmniAudioEncoder(audio_config(shape.width)).eval()
    torch.save(encoder.state_dict(), directory / 'audiointeraction_ChunkwisedEncoder.pth')
    (directory / 'qwen25OmniConfig').mkdir()
    thinker = {'audio_config': encoder.config.to_dict(), 'model_type': 'qwen2_5_omni_thinker'}
    (directory / 'qwen25OmniConfig' / 'config.json').write_text(
        json.dumps({'model_type': 'qwen2_5_omni', 'thinker_config': thinker})
    )
    (directory / 'model_config.yaml').write_text(
        yaml.safe_dump(
            {
                'name': 'miniature',
                'block_size': 32_768,
                'n_layer': shape.layers,
                'n_head': shape.heads,
                'n_query_groups': shape.groups,
                'n_embd': shape.width,
                'intermediate_size': shape.inner,
                'padded_vocab_size': ROWS,
                'vocab_size': WORDS,
                'norm_class_name': 'RMSNorm',
                'norm_eps': 1e-6,
                'rope_base': 1_000_000,
                'rotary_percentage': 1.0,
            }
        )
    )
    (directory / 'tokenizer.json').write_bytes(tokenizer.read_bytes())
    write_shards(directory, released_tensors(weights, shape, interleaved), tensors_a_shard=5)
    return encoder
