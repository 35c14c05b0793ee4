"""Whatever a sound is called, one table has its name, and nothing that nobody has decided about gets into a corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.training.sources.miniature import text
from training.clips.answers import load_answers
from training.clips.categories import (
    TABLE,
    canonical,
    check_decided,
    decision,
    judged,
    load_categories,
    only_procedural,
)
from training.clips.prepare import locate_sources
from training.clips.store import ClipStore, StoredClip, write_part
from training.errors import CorpusError
from training.procedural.registry import ALL_TYPES, CRITERION_OF


def library(root: Path, *rows: str) -> Path:
    return text(root / 'manifest.csv', 'path,category,source_id,respond', *rows).parent


def test_no_name_stands_for_two_categories_and_all_are_in_small_letters():
    table = load_categories()
    names = Counter([*table, *(name for each in table.values() for name in each.names)])
    assert [name for name, count in names.items() if count > 1 or name != name.lower()] == []
    rows = [name for section in yaml.safe_load(TABLE.read_text()).values() for name in section]
    assert len(rows) == len(set(rows))


def test_what_deserves_an_answer_has_one_and_what_deserves_silence_none():
    for name, each in load_categories().items():
        assert each.respond is None or bool(each.say) is each.respond, name
    assert set(CRITERION_OF) <= {name for name, each in load_categories().items() if each.respond}


def test_the_procedural_sounds_deserve_what_the_table_says_unless_the_place_decides():
    for kind in ALL_TYPES.values():
        assert decision(kind.category) in (kind.respond, None), kind.category


@pytest.mark.parametrize(
    ('name', 'category', 'respond'),
    [
        ('reversing beep', 'reversing beeper', None),
        ('pain cry', 'cry of pain', True),
        ('phone ring', 'telephone ringing', False),
        ('air horn', 'car horn', True),
        ('dishes breaking', 'glass breaking', True),
        ('stone breaking', 'crash', True),
        ('vomit', 'vomiting', True),
        ('flames', 'fire crackling', True),
        ('dog growl', 'dog growling', True),
        ('gas hiss', 'gas leak', True),
        ('door knock', 'knocking', None),
        ('airplane', 'aeroplane', False),
        ('ship horn', 'ship horn', None),
    ],
)
def test_libraries_call_one_sound_by_several_names(name, category, respond):
    assert canonical(name) == category
    assert decision(name) is respond


def test_a_hazard_deserves_an_answer_and_an_ordinary_sound_silence():
    assert judged('fire alarm', ['alarm', 'fire alarm']) == ('smoke alarm', True)
    assert judged('bark', ['animal', 'dog', 'bark']) == ('dog bark', False)


def test_nobody_knows_about_an_unknown_sound_or_speech_or_one_beside_a_hazard():
    assert judged('steelpan', ['music', 'steelpan']) == ('steelpan', None)
    assert judged('bee, wasp, etc.', ['bee, wasp, etc.']) == ('bee', None)
    assert judged('conversation', ['speech', 'conversation']) == ('speech', None)
    assert judged('rain', ['rain', 'siren']) == ('rain', None)


def test_a_library_with_a_category_that_nobody_has_decided_about_is_one_sentence(tmp_path):
    folder = library(tmp_path / 'clips', 'a.wav,rain,a,0', 'b.wav,door knock,b,1', 'c.wav,ukulele mishap,c,0')
    with pytest.raises(CorpusError, match=r"the category 'ukulele mishap', which nobody .* 'ca|.*categories\.yaml'"):
        locate_sources({'clips': folder}, tmp_path / 'corpus')
    assert not (tmp_path / 'corpus').exists()
    check_decided(library(tmp_path / 'known', 'a.wav,rain,a,0', 'b.wav,door knock,b,1', 'c.wav,rir,c,'))


def test_a_row_may_ask_for_an_answer_only_where_there_is_one(tmp_path):
    check_decided(library(tmp_path / 'thunder', 'a.wav,thunder,a,1'))
    with pytest.raises(CorpusError, match="says nothing about the category 'rain'"):
        check_decided(library(tmp_path / 'rain', 'a.wav,rain,a,1'))


def test_hazards_without_a_recording_to_train_on_can_be_named(tmp_path):
    def clip(id_, category, respond, source, split='train'):
        given = {'category': category, 'respond': respond, 'source': source, 'split': split}
        return StoredClip(id=id_, recording=id_, **given), np.zeros(1_600, np.float32)

    rows = [
        clip('a', 'siren', True, 'procedural'),
        clip('b', 'siren', True, 'procedural', 'test'),
        clip('c', 'siren', True, 'ESC-10', 'test'),
        clip('d', 'hail', True, 'procedural'),
        clip('e', 'scream', True, 'procedural'),
        clip('f', 'scream', True, 'a game'),
        clip('g', 'rain', False, 'procedural'),
    ]
    write_part(tmp_path / 'part', rows)
    assert only_procedural(ClipStore(tmp_path)) == ['hail', 'siren']


def test_every_answer_has_words_and_a_known_emotion():
    assert {answer.emotion for answer in load_answers().values()} <= {'urgent', 'normal', 'sad', 'happy'}
    assert all(sentence.strip() for answer in load_answers().values() for sentence in answer.sentences)
