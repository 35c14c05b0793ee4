"""What a checkpoint decides by breaks as many silences as the recipe allows, of every kind, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.model.deciding import KINDS, Threshold, weighed
from tests.training.stages import micro
from training.recipe import EventShares, TrainingRecipe
from training.recipe_file import RecipeError, check_recipe
from training.stages.deciding import DRAIN, choose, threshold_of

HOURS = 2.0


@pytest.fixture
def drains():
    """400 silences of every kind, one drain after the other, and 100 urgent warnings that are due."""
    rng = np.random.default_rng(0)
    made = np.zeros(1_300, DRAIN)
    made['response'], made['warning'] = rng.random((2, 1_300)).astype('f4')
    made['deserved'] = made['response']  # both heads of one mind, whatever the shares
    made['follows'][1:] = True
    made['kind'] = rng.integers(0, 3, 1_300)
    made['silent'] = np.arange(1_300) < 1_200
    made['urgent'] = made['due'] = ~made['silent']
    return made


def reached(drains, threshold: Threshold):
    before = np.where(drains['follows'], np.roll(drains['response'], 1), 0.0)
    unsure = np.minimum(drains['response'], before)
    return (drains['response'] >= threshold.at_once) | (unsure >= threshold.twice)


@pytest.mark.parametrize('allowed', [0, 3, 12])
def test_so_many_silences_are_broken_and_one_more_would_be_too_many(allowed):
    scores = np.random.default_rng(0).random(100).astype(np.float32)
    assert int((scores >= threshold_of(scores, allowed)).sum()) == allowed


def test_the_threshold_is_in_the_middle_where_every_silence_may_be_broken():
    assert threshold_of(np.full(3, 0.9, np.float32), 3) == 0.5


def test_one_number_chooses_one_threshold_and_nothing_else(drains):
    chosen = choose(drains, HOURS, micro.recipe(false_responses_per_hour=20))
    silent = drains[drains['silent']]
    assert chosen.response_threshold == round(threshold_of(silent['response'], 40), 3)
    assert chosen.thresholds is None and chosen.warning_agreement == 0.0


def test_every_kind_has_the_false_responses_that_it_is_allowed(drains):
    wanted = {'warning': 1.0, 'remark': 5.0, 'asked': 10.0}
    chosen = choose(drains, HOURS, micro.recipe(false_responses_per_hour=wanted))
    silent = drains[drains['silent']]
    for number, kind in enumerate(KINDS):
        threshold = chosen.thresholds[kind]
        assert threshold.at_once == threshold.twice
        # A silence or two may lie within the rounding to three digits.
        broken = reached(drains, threshold)[drains['silent'] & (drains['kind'] == number)]
        assert abs(broken.sum() - wanted[kind] * HOURS) <= 1
    assert chosen.response_threshold == round(threshold_of(silent['response'], 32), 3)


@pytest.mark.parametrize('wanted', [20.0, {'warning': 10.0, 'remark': 15.0, 'asked': 20.0}])
def test_a_second_look_shares_the_false_responses_and_makes_more_of_them(drains, wanted):
    recipe = micro.recipe(false_responses_per_hour=wanted, second_look=0.5)
    chosen = choose(drains, HOURS, recipe)
    assert all(threshold.twice < threshold.at_once for threshold in chosen.thresholds.values())
    if isinstance(wanted, float):
        assert len({(threshold.at_once, threshold.twice) for threshold in chosen.thresholds.values()}) == 1
        broken = reached(drains, chosen.thresholds['warning'])[drains['silent']]
        assert abs(broken.sum() - wanted * HOURS) <= 2
        return
    for number, kind in enumerate(KINDS):
        broken = reached(drains, chosen.thresholds[kind])[drains['silent'] & (drains['kind'] == number)]
        assert abs(broken.sum() - wanted[kind] * HOURS) <= 2


def test_the_event_head_has_its_share_in_what_the_thresholds_are_of(drains):
    shares = {'warning': 0.5, 'remark': 0.0, 'asked': 1.0}
    drains['deserved'] = np.random.default_rng(1).random(len(drains))
    recipe = micro.recipe(false_responses_per_hour=dict.fromkeys(KINDS, 10.0))
    head = recipe.event_head.model_copy(update={'shares': EventShares(**shares)})
    chosen = choose(drains, HOURS, recipe.model_copy(update={'event_head': head}))
    assert {kind: threshold.event_share for kind, threshold in chosen.thresholds.items()} == shares
    of = drains[drains['silent'] & (drains['kind'] == KINDS.index('asked'))]
    assert chosen.thresholds['asked'].at_once == round(threshold_of(of['deserved'], 20), 3)
    both = weighed(0.7, 0.2, 0.5)
    assert both == pytest.approx(1 / (1 + np.sqrt(0.3 / 0.7 * 0.8 / 0.2))) and weighed(0.7, 0.2, 0.0) == 0.7
    assert 0.0 < weighed(1.0, 0.0, 0.5) < 1.0


def test_agreement_holds_back_no_more_of_the_warnings_that_are_given_than_the_recipe_gives_up(drains):
    chosen = choose(drains, HOURS, micro.recipe(false_responses_per_hour=100, warnings_given_up=0.1))
    given = drains[drains['urgent'] & (drains['response'] >= chosen.response_threshold)]
    lost = int((given['warning'] < chosen.warning_agreement).sum())
    assert lost == int(0.1 * len(given)) > 0
    assert choose(drains[drains['silent']], HOURS, micro.recipe(warnings_given_up=0.1)).warning_agreement == 0.0


@pytest.mark.parametrize('change', [{'warnings_given_up': 0.1}, {'false_responses_per_hour': dict.fromkeys(KINDS, 1)}])
def test_what_asks_the_event_head_needs_one(tmp_path, change):
    settings = micro.settings(**change)
    assert check_recipe(TrainingRecipe, settings, tmp_path)
    settings['event_head'] = None
    with pytest.raises(RecipeError, match='need the event head; give event_head, or one number'):
        check_recipe(TrainingRecipe, settings, tmp_path)


@pytest.mark.parametrize(
    ('said', 'problem'),
    [
        (-1.0, r'false_responses_per_hour.one number: Input should be greater than or equal to 0'),
        ({'warning': 1, 'remark': -1, 'asked': 1}, r'false_responses_per_hour.by kind.remark: Input should be greater'),
        ({'warning': 1, 'remark': 1}, r'by kind.asked: Field required'),
        ({'warning': 1, 'remark': 1, 'asked': 1, 'remarks': 1}, r"no setting 'remarks'; the nearest .* is 'remark'"),
    ],
)
def test_false_responses_that_are_neither_a_number_nor_one_for_each_kind_are_refused(tmp_path, said, problem):
    with pytest.raises(RecipeError, match=problem):
        check_recipe(TrainingRecipe, micro.settings(false_responses_per_hour=said), tmp_path)
