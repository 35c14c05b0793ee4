"""A scenario that contradicts itself is refused, in words that a model can act on."""

import pytest
from pydantic import ValidationError

from training.scenes.scenario import Acceptance, Constraint, Refinement, Relation, Scenario, SubEvent, Verdict
from training.streams import Role


def event(name, role=Role.FOREGROUND, seconds=2.0):
    return SubEvent(name=name, role=role, rough_duration_s=seconds, brief_description=name)


SCENE = (event('rain', Role.AMBIENT, 10.0), event('door'), event('steps'))


def scenario(events=SCENE, *constraints):
    return Scenario(description='Indoors, at night.', sub_events=events, constraints=constraints)


def test_three_sub_events_over_an_ambient_are_a_scenario():
    assert scenario().foreground_s == 4.0


@pytest.mark.parametrize(
    ('events', 'problem'),
    [
        (SCENE[:2], 'at least 3'),
        ((*SCENE, *(event(f'knock {n}', seconds=0.1) for n in range(13))), 'at most 15'),
        ((event('bell'), event('door'), event('steps')), 'an ambient sub-event must cover the whole'),
        (
            (event('rain', Role.AMBIENT, 3.0), event('door'), event('steps')),
            r'lasts 4\.0 s and the longest ambient 3\.0',
        ),
        ((SCENE[0], event('door'), event('door')), r"\['door'\] share a name"),
        (tuple(event(f'wind {n}', Role.AMBIENT) for n in range(3)), 'no sub-event is foreground'),
    ],
)
def test_what_is_wrong_is_said(events, problem):
    with pytest.raises(ValidationError, match=problem):
        scenario(events)


@pytest.mark.parametrize(
    ('constraint', 'problem'),
    [
        (Constraint(rule=Relation.PRECEDES, first='steps', second='door'), 'steps must precede door'),
        (Constraint(rule=Relation.APART, first='door', second='music'), r"\['music'\], which are no sub-events"),
    ],
)
def test_a_constraint_must_hold_and_name_sub_events(constraint, problem):
    assert scenario(SCENE, Constraint(rule=Relation.PRECEDES, first='door', second='steps'))
    with pytest.raises(ValidationError, match=problem):
        scenario(SCENE, constraint)


def test_a_query_has_four_to_twelve_words():
    for words in (4, 12):
        assert Refinement(query=' '.join(['door'] * words), fallback_caption='A door.', accept_tags=('door',))
    for words in (3, 13):
        with pytest.raises(ValidationError, match=f'query of {words} words'):
            Refinement(query=' '.join(['door'] * words), fallback_caption='A door.', accept_tags=('door',))


def test_what_is_accepted_conflicts_with_nothing():
    with pytest.raises(ValidationError, match='accepted clip has no conflicts'):
        Verdict(decision=Acceptance.ACCEPT, reason='fits', conflicts=('music',))


def test_a_model_is_not_asked_who_it_is_but_its_products_are_signed():
    assert 'made_by' not in str(Scenario.model_json_schema())
    signed = scenario().signed('some-model')
    assert Scenario.model_validate_json(signed.model_dump_json()).made_by == 'some-model'
