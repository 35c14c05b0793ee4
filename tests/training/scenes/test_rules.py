"""The rules that stand in for a model: silence audit and history questions."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.procedural.registry import CRITERION_OF
from training.scenes.audit import Label, RuleAuditor
from training.scenes.review import FIRST_SAID, ROUNDS_BACK, RememberedFact, Round, TemplateReviewer
from training.scenes.scenario import ClipInfo

AUDITOR = RuleAuditor(CRITERION_OF)


@pytest.mark.parametrize(
    ('category', 'respond', 'label', 'criterion'),
    [
        ('baby cry', True, Label.RESPOND, 'i'),
        ('glass breaking', True, Label.RESPOND, 'ii'),
        ('smoke alarm', True, Label.RESPOND, 'iii'),
        ('car horn', True, Label.RESPOND, 'iv'),
        ('dog bark', False, Label.SILENT, 'none'),
        ('person sneeze', True, Label.BORDERLINE, 'none'),  # labelled for an answer, and no emergency
        ('car horn', False, Label.BORDERLINE, 'iv'),  # far away, perhaps
        ('jackhammer', None, Label.BORDERLINE, 'none'),
        ('a sound nobody listed', False, Label.SILENT, 'none'),
    ],
)
def test_label_and_category_must_agree_or_the_clip_is_borderline(category, respond, label, criterion):
    clip = ClipInfo(clip_id='a', category=category, caption='', duration_s=1.0, respond=respond, source='x')
    audit = AUDITOR.audit(clip)
    assert (audit.label, audit.triggered_criterion.value, audit.made_by) == (label, criterion, 'rules')


SOUNDS = ('a dog barking', 'footsteps', 'a door', 'rain', 'a siren')
rounds = st.lists(
    st.one_of(
        st.sampled_from(SOUNDS).map(lambda sound: Round(heard=f'There is {sound}.', sound=sound)),
        st.integers(0, 5).map(
            lambda n: Round(
                heard=f'My room is number {n}.',
                fact=RememberedFact(question='Which room is mine?', answer=f'Number {n}.'),
            )
        ),
        st.just(Round(heard='Hello.', said='Hello!')),
    ),
    max_size=12,
)


@given(rounds, st.integers(0, 99))
@settings(max_examples=300)
def test_the_answer_lies_three_rounds_back_and_not_in_the_last_two(history, seed):
    found = TemplateReviewer().question(history, np.random.default_rng(seed))
    if found is None:
        return
    assert found.made_by == 'rules'
    assert len(history) - found.reference_turn_idx >= ROUNDS_BACK
    answer = found.reference_answer.rstrip('.!').lower()
    about = history[found.reference_turn_idx]
    assert answer in f'{about.heard} {about.said}'.lower()
    assert not any(re.search(rf'\b{answer}\b', f'{r.heard} {r.said}'.lower()) for r in history[-2:])


def test_there_is_always_a_question_about_a_distinct_first_sound():
    history = [Round(heard=f'{sound}.', sound=sound) for sound in SOUNDS]
    asked = {TemplateReviewer().question(history, np.random.default_rng(seed)).question for seed in range(50)}
    assert 'What was the very first sound of all?' in asked
    assert 'Which sound came right before footsteps?' in asked
    assert 'Which sound came right after footsteps?' in asked


def test_what_was_said_first_is_asked_for_once_it_is_three_rounds_back():
    talk = [Round(heard='Hello.', said=f'Reply {n}.') for n in range(4)]
    assert TemplateReviewer().question(talk[:2], np.random.default_rng(1)) is None
    asked = TemplateReviewer().question(talk, np.random.default_rng(1))
    assert (asked.question, asked.reference_answer, asked.reference_turn_idx) == (FIRST_SAID, 'Reply 0.', 0)


def test_a_fact_that_was_told_twice_differently_is_not_asked_about():
    def told(answer):
        return Round(heard=f'I park on {answer}.', fact=RememberedFact(question='Where do I park?', answer=answer))

    talk = [Round(heard='Hello.', said='Hello!')] * 3
    assert (
        TemplateReviewer().question([told('level two'), *talk], np.random.default_rng(1)).reference_answer
        == 'level two'
    )
    assert (
        TemplateReviewer().question([told('level two'), told('level three'), *talk], np.random.default_rng(1)) is None
    )


def test_an_answer_in_chinese_is_found_in_the_last_rounds_too():
    told = Round(heard='我把车停在二楼。', fact=RememberedFact(question='我的车停在哪里？', answer='二楼'))
    idle = Round(heard='你好。', said='你好！')
    assert TemplateReviewer().question([told, idle, idle], np.random.default_rng(1)).reference_answer == '二楼'
    again = Round(heard='二楼很远。')
    assert TemplateReviewer().question([told, idle, again], np.random.default_rng(1)) is None
