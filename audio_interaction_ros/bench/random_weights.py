"""A model of the released size with random weights: its speed does not depend on what it learnt."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch

from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, find_checkpoint, load_decoder
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.precision import require_device
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig


class Shapes(NamedTuple):
    """A `Shapes` holds those of an encoder and of the language model that its vectors go to."""

    audio: AudioConfig
    text: TextConfig


# Qwen2.5-Omni-3B's thinker, with the 400 ms chunks of this package.
_AUDIO = AudioConfig(
    num_mel_bins=128, d_model=1_280, encoder_layers=32, encoder_attention_heads=20,
    encoder_ffn_dim=5_120, n_window=20, max_source_positions=20, output_dim=2_048,
)  # fmt: skip
_TEXT = TextConfig(
    hidden_size=2_048, intermediate_size=11_008, num_hidden_layers=36, num_attention_heads=16,
    num_key_value_heads=2, vocab_size=151_936, max_position_embeddings=32_768, rope_theta=1e6,
)  # fmt: skip


RELEASED = Shapes(_AUDIO, _TEXT)


def random_halves(
    device: str, dtype: torch.dtype = torch.bfloat16, shapes: Shapes = RELEASED
) -> tuple[EncoderHalf, DecoderHalf]:
    """Make random weights of these shapes, 3.7 billion unless others are given, with the embedded checkpoint's tokens.

    Raises ValueError for an unusable device.
    """
    require_device(device)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            encoder = ChunkEncoder(shapes.audio).to(device)
            model = LanguageModel(shapes.text)
    finally:
        torch.set_default_dtype(before)
    encoder.logmel.float()
    embedded = load_decoder(find_checkpoint('embedded'))
    config = embedded.config.model_copy(update={'language_digest': None, 'events': None})
    half = dataclasses.replace(embedded, language_model=model.eval().requires_grad_(False), config=config)
    return EncoderHalf(encoder.eval().requires_grad_(False), 'random'), half
