"""A recipe is checked to its last key, and what is wrong with it is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from tests.training.stages import micro
from training.__main__ import main
from training.corpus.command import load_corpus_recipe
from training.recipe import TrainingRecipe, load_training_recipe
from training.recipe_file import RecipeError, recipe_path


def test_the_recipes_that_ship_are_usable():
    names = {'assistant', 'embedded', 'embedded-v3', 'further', 'paper'}
    recipes = {name: load_training_recipe(recipe_path(name)) for name in names}
    assert {recipe.name for recipe in recipes.values()} == names
    # Or it could not go on from the checkpoint that ships.
    assert (recipes['further'].audio, recipes['further'].text) == (recipes['embedded'].audio, recipes['embedded'].text)


def test_the_checkpoint_that_ships_was_made_by_a_recipe_that_is_usable_still():
    shipped = Path(__file__).resolve().parents[2] / 'checkpoints' / 'embedded'
    recipe = load_training_recipe(shipped / 'recipe.yaml')
    config = json.loads((shipped / 'config.json').read_text())
    thinker = config.get('thinker_config', config)
    assert recipe.audio.config() == AudioConfig(**thinker['audio_config'])
    assert recipe.text.config(thinker['text_config']['vocab_size']) == TextConfig(**thinker['text_config'])


def changed(path: Path, *keys: str | int, **new: object) -> Path:
    """The micro recipe with other settings in one of its sections."""
    settings = json.loads(json.dumps(micro.settings()))
    section = settings
    for key in keys:
        section = section.setdefault(key, {}) if isinstance(key, str) else section[key]
    section.update(new)
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.parametrize(
    ('keys', 'mistyped', 'problem'),
    [
        ((), 'max_position', "it has no setting 'max_position'; the nearest that it has is 'max_positions'"),
        (('audio',), 'encoder_layer', "audio has no setting 'encoder_layer'; the nearest .* 'encoder_layers'"),
        (('text',), 'num_hidden_layer', "text has no setting 'num_hidden_layer'; the nearest .* 'num_hidden_layers'"),
        (('optimiser',), 'beta_1', "optimiser has no setting 'beta_1'; the nearest that it has is 'beta1'"),
        (('stages', 1), 'learning_rates', r"stages.1 has no setting 'learning_rates'; the nearest .* 'learning_rate'"),
        (('stages', 2, 'data'), 'mixins', r"stages.2.data has no setting 'mixins'; the nearest .* 'mix_ins'"),
        (('streams_corpus',), 'render', "streams_corpus has no setting 'render'; the nearest that it has is 'renders'"),
        (
            ('streams_corpus', 'performance', 'tfjp'), 'tapper_ms',
            r"streams_corpus.performance.tfjp has no setting 'tapper_ms'; the nearest that it has is 'taper_ms'",
        ),
        (('optimiser',), 'zzz', "optimiser has no setting 'zzz'; it has beta1, beta2, epsilon, .*, weight_decay$"),
    ],
)  # fmt: skip
def test_an_unknown_setting_anywhere_is_one_sentence_with_the_nearest_known_one(tmp_path, keys, mistyped, problem):
    with pytest.raises(RecipeError, match=problem) as raised:
        load_training_recipe(changed(tmp_path / 'wrong.yaml', *keys, **{mistyped: 1}))
    assert '\n' not in str(raised.value) and 'wrong.yaml' in str(raised.value)


def test_all_unknown_settings_are_named_at_once(tmp_path):
    path = changed(tmp_path / 'a.yaml', 'audio', encoder_layer=3)
    settings = yaml.safe_load(path.read_text()) | {'sed': 3}
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(
        RecipeError, match=r"audio has no setting 'encoder_layer'.*; it has no setting 'sed'; .* 'seed'$"
    ):
        load_training_recipe(path)


@pytest.mark.parametrize(
    ('keys', 'new', 'problem'),
    [
        ((), {'seed': -1}, 'seed: Input should be greater than or equal to 0'),
        (('text',), {'num_attention_heads': 0}, 'text.num_attention_heads: Input should be greater than or equal to 1'),
        (('audio',), {'dropout': 0.1}, 'audio.dropout: Input should be less than or equal to 0'),
        (('stages', 0), {'name': 'encoder'}, "give each a name of its own, and none 'encoder', which is stage 0"),
        (('streams_corpus',), {'renders': 1}, 'streams_corpus.renders: Input should be greater than or equal to 10'),
        (('text',), {'tie_word_embeddings': True}, 'a stage trains lm_head; name embeddings or new_token_embed'),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(tmp_path, keys, new, problem):
    with pytest.raises(RecipeError, match=problem) as raised:
        load_training_recipe(changed(tmp_path / 'wrong.yaml', *keys, **new))
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        (None, r"no recipe at '.*'; give a YAML file or one of \['assistant', 'embedded', .*, 'paper'\]"),
        ('a: [', "is not YAML"),
        ('- a', 'holds no settings; give a recipe such as those in training/recipes'),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_one_sentence(tmp_path, text, problem):
    path = tmp_path / 'none.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=problem) as raised:
        load_training_recipe(path)
    assert '\n' not in str(raised.value)


def test_a_recipe_is_the_same_after_it_was_written_and_read():
    for name in ('embedded', 'paper'):
        recipe = load_training_recipe(recipe_path(name))
        assert TrainingRecipe.model_validate(json.loads(recipe.model_dump_json())) == recipe


def test_a_corpus_is_built_by_the_same_section_and_refuses_the_same_mistakes(tmp_path, capsys):
    assert load_corpus_recipe(recipe_path('paper')) == load_training_recipe(recipe_path('paper')).streams_corpus
    assert load_corpus_recipe(recipe_path('lab-lite')).rounds == (3, 15)
    wrong = changed(tmp_path / 'wrong.yaml', 'streams_corpus', render=12)
    assert main(['corpus', 'build', '--recipe', str(wrong), '--out', str(tmp_path / 'corpus')]) == 2
    assert "streams_corpus has no setting 'render'; the nearest that it has is 'renders'" in capsys.readouterr().err
    wrong.write_text('stream_corpus: {renders: 12}')
    assert main(['corpus', 'build', '--recipe', str(wrong), '--out', str(tmp_path / 'corpus')]) == 2
    assert "has no setting 'stream_corpus'; the nearest that it has is 'streams_corpus'" in capsys.readouterr().err
