"""Publishers' names for sounds become ours, and what nobody has judged neither deserves an answer nor silence."""

from collections import Counter
from pathlib import Path

import yaml

from training.clips import categories
from training.clips.answers import load_answers
from training.clips.categories import category_of, judged
from training.procedural.registry import ALL_TYPES
from training.scenes.grammar import Grammar


def test_every_category_is_one_that_scripts_scenes_or_answers_know():
    known = {kind.category for kind in ALL_TYPES.values()} | set(load_answers()) | Grammar().tags
    assert set(category_of().values()) <= known


def test_no_name_stands_for_two_categories_and_all_are_in_small_letters():
    path = Path(categories.__file__).with_name('categories.yaml')
    names = Counter(name for names in yaml.safe_load(path.read_text()).values() for name in names)
    assert [name for name, count in names.items() if count > 1 or name != name.lower()] == []


def test_a_hazard_deserves_an_answer_and_an_ordinary_sound_silence():
    assert judged('fire alarm', ['alarm', 'fire alarm']) == ('smoke alarm', True)
    assert judged('bark', ['animal', 'dog', 'bark']) == ('dog bark', False)


def test_nobody_knows_about_an_unknown_sound_or_speech_or_one_beside_a_hazard():
    assert judged('steelpan', ['music', 'steelpan']) == ('steelpan', None)
    assert judged('bee, wasp, etc.', ['bee, wasp, etc.']) == ('bee', None)
    assert judged('conversation', ['speech', 'conversation']) == ('speech', None)
    assert judged('rain', ['rain', 'siren']) == ('rain', None)
