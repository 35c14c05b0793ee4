"""A killed run resumes with the losses an undisturbed one has; a loss that is not finite stops it."""

import pytest
import torch
from torch import nn

from training.recipe import ListeningStage, RecipeError, load_training_recipe, recipe_path
from training.stages import TrainingError
from training.stages.encoder_loop import run_encoder_stage

SETTINGS = ListeningStage(steps=12, batch=4, speech_batch=0, mixed_share=0.0, learning_rate=1e-2, weight_decay=0.01)


class Killed(Exception):
    pass


def train(run, die_at=None):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.2), nn.Linear(8, 1))
    seen = []

    def losses_at(step):
        if step == die_at:
            raise Killed
        inputs = torch.randn(4, 8, generator=torch.Generator().manual_seed(step))
        loss = module(inputs).square().mean()
        seen.append((step, float(loss.detach())))
        return {'total': loss}

    run_encoder_stage('stage', module, SETTINGS, losses_at, run, dict, validate_every=100)
    return seen, module


def test_a_killed_run_goes_on_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr('training.stages.encoder_loop.SAVE_EVERY_S', 0.0)
    whole, module = train(tmp_path / 'whole')
    with pytest.raises(Killed):
        train(tmp_path / 'killed', die_at=7)
    rest, resumed = train(tmp_path / 'killed')
    assert rest == whole[7:]
    for ours, theirs in zip(resumed.parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_finished_stage_is_not_run_again(tmp_path):
    train(tmp_path)
    assert train(tmp_path)[0] == []


def test_a_loss_that_is_not_finite_is_one_sentence(tmp_path):
    module = nn.Linear(1, 1)

    def losses_at(step):
        return {'total': module(torch.full((1, 1), torch.inf)).sum()}

    with pytest.raises(TrainingError, match='stage step 0: the loss is not finite'):
        run_encoder_stage('stage', module, SETTINGS, losses_at, tmp_path, dict, 100)


def test_the_recipes_that_ship_are_usable():
    names = {'embedded', 'further', 'paper'}
    recipes = {name: load_training_recipe(recipe_path(name)) for name in names}
    assert {recipe.name for recipe in recipes.values()} == names
    # Or it could not go on from the checkpoint that ships.
    assert (recipes['further'].audio, recipes['further'].text) == (recipes['embedded'].audio, recipes['embedded'].text)


def test_an_unknown_recipe_or_setting_is_named(tmp_path):
    with pytest.raises(RecipeError, match='embedded'):
        load_training_recipe(recipe_path('nonesuch'))
    wrong = tmp_path / 'wrong.yaml'
    wrong.write_text(recipe_path('embedded').read_text().replace('mixed_share', 'mixd_share'))
    with pytest.raises(RecipeError, match='mixd_share'):
        load_training_recipe(wrong)
