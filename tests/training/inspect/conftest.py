"""The micro corpus of the stages' tests, and networks of its size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audio_interaction_ros.model.checkpoint import StreamingDefaults, save_checkpoint
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.shapes import TextConfig
from tests.training.stages import micro
from tests.training.stages.conftest import collator, corpus, one_thread, threads_as_before  # noqa: F401
from training.stages.collator import Batch, StreamCollator
from training.stages.model import StreamModel, build, heard_chunks


@pytest.fixture
def model() -> StreamModel:
    """Random, and wide enough that different inputs give clearly different outputs."""
    torch.manual_seed(4)
    network = build(micro.recipe(), 320, 0).eval().requires_grad_(False)
    for layer in network.language_model.model.layers:
        layer.self_attn.o_proj.weight.normal_(0, 0.5)
        layer.mlp.down_proj.weight.normal_(0, 0.5)
    return network


@pytest.fixture
def batch(collator: StreamCollator) -> Batch:  # noqa: F811
    return collator.collate(range(6))


@pytest.fixture
def mel(model: StreamModel, batch: Batch) -> Tensor:
    return heard_chunks(ChunkEncoder(model.audio_tower.config).logmel(batch.waveforms), batch, augment=False)


def copy_inputs(model: StreamModel) -> None:
    """Make every layer give what it gets."""
    for layer in model.language_model.model.layers:
        silence(layer.self_attn.o_proj, layer.mlp.down_proj)
    for layer in model.audio_tower.layers:
        silence(layer.self_attn.out_proj, layer.fc2)


def silence(*projections: nn.Linear) -> None:
    """Make projections give zeros."""
    for projection in projections:
        projection.weight.zero_()
        if projection.bias is not None:
            projection.bias.zero_()


@pytest.fixture
def checkpoint(model: StreamModel, collator: StreamCollator, tmp_path: Path) -> Path:  # noqa: F811
    """The network as a directory."""
    encoder = ChunkEncoder(model.audio_tower.config)
    encoder.audio_tower = model.audio_tower
    streaming = StreamingDefaults(instruction=micro.INSTRUCTION, response_threshold=0.5, max_context_chunks=20)
    recipe = micro.write_recipe(tmp_path / 'recipe.yaml')
    folder = tmp_path / 'checkpoint'
    text = TextConfig(**model.language_model.config.to_diff_dict())
    save_checkpoint(
        folder, encoder, model.language_model, text, collator.tokenizer, collator.protocol, streaming, recipe
    )
    return folder
