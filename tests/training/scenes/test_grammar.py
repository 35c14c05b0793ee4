"""The grammar's scenes are valid, repeatable, varied, and hold nothing together that does not belong together."""

import csv
import itertools

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clip_library import miniature_clip_library
from training.procedural.registry import ALL_TYPES, CRITERION_OF
from training.procedural.taxonomy import CATEGORY_CRITERIA, CRITERIA
from training.scenes import grammar as module
from training.scenes.grammar import Grammar, GrammarError
from training.scenes.scenario import Relation, Scenario
from training.sources.clip_library import NO_EVENT
from training.streams import Role

GRAMMAR = Grammar()
SCENES = [GRAMMAR.plan(np.random.default_rng([5, seed]))[0] for seed in range(500)]


def test_the_same_seed_gives_the_same_scene_and_another_another():
    fresh = Grammar()
    again = [fresh.plan(np.random.default_rng([5, seed]))[0] for seed in range(20)]
    assert again == SCENES[:20]
    assert len({scene.model_dump_json() for scene in SCENES}) > 490


def test_500_seeds_give_500_valid_scenes_signed_by_the_grammar():
    for scene in SCENES:
        assert Scenario.model_validate_json(scene.model_dump_json()) == scene
        assert scene.made_by == 'grammar'
        assert [refinement.made_by for refinement in GRAMMAR.refine(scene)] == ['grammar'] * len(scene.sub_events)


def test_no_excluded_pair_is_ever_in_one_scene():
    for scene in SCENES:
        tags = [GRAMMAR.rules.sounds[event.name].tags[0] for event in scene.sub_events]
        for one, other in itertools.combinations(tags, 2):
            assert not GRAMMAR.exclusive(one, other), (scene.description, one, other)


@given(st.integers(0, 2**63))
@settings(max_examples=100)
def test_everything_in_a_scene_fits_its_place_its_time_and_its_layer(seed):
    (scene,) = GRAMMAR.plan(np.random.default_rng(seed))
    phrase, time = scene.description.split(':')[0].split(', ')
    (place,) = (name for name, p in GRAMMAR.rules.places.items() if p.phrase.capitalize() == phrase)
    apart = {frozenset((c.first, c.second)) for c in scene.constraints if c.rule is Relation.APART}
    for event in scene.sub_events:
        sound = GRAMMAR.rules.sounds[event.name]
        assert event.role in sound.roles
        assert place in GRAMMAR._at[event.name]
        assert not sound.when or time in sound.when
        if event.role is not Role.AMBIENT:
            assert sound.duration_s[0] - 0.1 <= event.rough_duration_s <= sound.duration_s[1] + 0.1
    for one, other in itertools.combinations(scene.sub_events, 2):
        if GRAMMAR.clash(GRAMMAR.rules.sounds[one.name].tags[0], GRAMMAR.rules.sounds[other.name].tags[0]):
            assert one.role is other.role is Role.FOREGROUND, 'a layer would sound at the same time'
            assert frozenset((one.name, other.name)) in apart


def test_causes_come_before_effects():
    together = 0
    for scene in SCENES:
        order = {event.name: i for i, event in enumerate(scene.sub_events) if event.role is Role.FOREGROUND}
        for first, second in GRAMMAR.rules.precedes:
            if first in order and second in order:
                together += 1
                assert order[first] < order[second]
    assert together > 50


def test_every_sound_place_and_activity_occurs():
    scenes = [*SCENES, *(GRAMMAR.plan(np.random.default_rng([6, seed]))[0] for seed in range(3_000))]
    assert {event.name for scene in scenes for event in scene.sub_events} == set(GRAMMAR.rules.sounds)
    described = ' '.join(scene.description for scene in scenes)
    assert all(place.phrase.capitalize() in described for place in GRAMMAR.rules.places.values())
    assert all(f'{activity}.' in described for activity in GRAMMAR.rules.activities)
    assert {len(scene.sub_events) for scene in SCENES} >= set(range(4, 12))


def test_every_procedural_category_has_its_place():
    assert {kind.category for kind in ALL_TYPES.values()} <= GRAMMAR.tags


def test_every_category_of_the_clip_library_has_its_place():
    with (miniature_clip_library() / 'manifest.csv').open() as file:
        categories = {row['category'] for row in csv.DictReader(file)}
    assert categories - NO_EVENT <= GRAMMAR.tags


def test_every_sound_can_be_looked_for_and_made():
    for name, sound in GRAMMAR.rules.sounds.items():
        scene = SCENES[0].model_copy(
            update={'sub_events': (SCENES[0].sub_events[0].model_copy(update={'name': name}),)}
        )
        (refinement,) = GRAMMAR.refine(scene)
        assert 4 <= len(refinement.query.split()) <= 12, name
        assert refinement.fallback_caption.endswith('.'), name
        assert not sound.caption or len(sound.caption.split()) >= 7, name
        assert sound.duration_s[0] < sound.duration_s[1], name


def test_a_category_has_one_criterion_and_it_is_said_once():
    types = {}
    for kind in ALL_TYPES.values():
        types.setdefault(kind.category, set()).add(kind.criterion)
    for category, criterion in CRITERION_OF.items():
        assert criterion in set(CRITERIA) - {'none'}
        said_by_types = types.get(category, set())
        assert (category in CATEGORY_CRITERIA) or said_by_types == {criterion}, category


def test_a_category_is_spoken_of_as_a_noun():
    assert GRAMMAR.phrase('dog bark') == 'a barking dog'
    assert GRAMMAR.phrase('crowd') == 'a murmuring crowd'  # of two sounds, the one that is nothing else
    assert GRAMMAR.phrase('yeti') == 'yeti'


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'never': [['rain', 'yeti']]}, r"\[rain, yeti\] names \['yeti'\]"),
        ({'precedes': [['door', 'keys'], ['keys', 'door']]}, 'goes round in a circle'),
        ({'places': {'moon': {'phrase': 'on the moon'}}}, r'names \[.*which the grammar does not define'),
        ({'weather': []}, 'is no grammar'),
    ],
)
def test_a_grammar_that_contradicts_itself_is_refused(tmp_path, change, problem):
    rules = yaml.safe_load(module.GRAMMAR.read_text())
    path = tmp_path / 'grammar.yaml'
    path.write_text(yaml.safe_dump(rules | change))
    with pytest.raises(GrammarError, match=problem):
        Grammar(path)
    with pytest.raises(GrammarError, match='is no grammar'):
        Grammar(tmp_path / 'absent.yaml')
