"""What a stage does not train is held in bfloat16 where the recipe wants it: the tower, and matrices with updates."""

from __future__ import annotations

import pytest
import torch

from audio_interaction_ros.audio.logmel import CausalLogMel
from tests.training.stages import micro
from training.recipe import TrainingRecipe
from training.stages.distributed import Devices
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build, heard_chunks
from training.stages.stream_task import StreamTask
from training.stages.trainable import set_trainable

CPU, AUTOCAST = Devices(0, 1, torch.device('cpu')), torch.autocast('cpu', torch.bfloat16)


def recipe(**changes) -> TrainingRecipe:
    audio = micro.RECIPE['audio'] | {'layer_mix': True, 'left_context_chunks': 2}
    low_rank = {part: {'rank': 2, 'alpha': 4} for part in ('encoder', 'language_model')}
    stages = [
        stage | {'trainable': ['new_token_embeddings'] if number == 0 else stage['trainable']}
        for number, stage in enumerate(micro.settings()['stages'])
    ]
    given = micro.settings() | {'audio': audio, 'low_rank': low_rank, 'stages': stages}
    return TrainingRecipe.model_validate(given | changes)


@pytest.fixture(scope='module')
def model() -> StreamModel:
    """Its tower has updates that have learnt something."""
    torch.manual_seed(7)
    made = build(recipe(), 320, event_classes=3)
    add_updates(made, recipe().low_rank)
    for name, parameter in made.named_parameters():
        if name.endswith('lora_B.weight'):
            parameter.data = 0.1 * torch.randn_like(parameter)
    return made


@pytest.fixture(scope='module')
def heard(collator):
    batch = collator.collate([0, 1])
    return heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False), batch


def test_a_held_tower_gives_nearly_the_same_and_only_the_projection_learns(model, heard):
    names = set(model.state_dict())
    model.zero_grad()
    expected = model.hear(*heard).detach()
    with AUTOCAST, model.frozen_held(tower_learns=False):
        found = model.hear(*heard)
        assert set(model.state_dict()) == names  # no part of what is saved, trained or counted
        found.float().sum().backward()
    error = (found - expected).float().norm() / expected.norm()
    assert 0 < error < 0.02  # bfloat16 has eight bits: a rounding is 0.004
    learns = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learns == {'audio_tower.proj.weight', 'audio_tower.proj.bias'}
    assert torch.equal(model.hear(*heard).detach(), expected)


@pytest.mark.parametrize(
    ('wanted', 'has_bfloat16', 'stage', 'held'),
    [(True, True, 2, True), (True, True, 4, False), (True, False, 2, False), (False, True, 2, False)],
)
def test_a_stage_holds_the_tower_where_the_recipe_wants_it_it_does_not_learn_and_the_processor_has_bfloat16(
    model, heard, collator, monkeypatch, wanted, has_bfloat16, stage, held
):
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: has_bfloat16)
    task = StreamTask(recipe(frozen_in_bfloat16=wanted), stage, model, CausalLogMel(16), collator, CPU)
    with torch.no_grad(), AUTOCAST:
        expected = model.hear(*heard)
        with task.trainable():
            assert torch.equal(model.hear(*heard), expected) is not held
        assert torch.equal(model.hear(*heard).detach(), expected)


@pytest.mark.parametrize('learns', [True, False])
def test_held_matrices_change_nothing_that_autocast_did_not_but_where_an_update_is_merged(model, heard, learns):
    set_trainable(model, ('language_model',) if learns else ('adapter',), False, ('language_model', 'encoder'))
    with torch.no_grad(), AUTOCAST:
        vectors = model.hear(*heard)
        expected = model.read(vectors, heard[1], with_events=False)[:2]
        with model.frozen_held(tower_learns=True):
            found = model.read(vectors, heard[1], with_events=False)[:2]
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs) is learns
        assert (ours - theirs).norm() / theirs.norm() < 0.01
