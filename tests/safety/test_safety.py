"""What an urgent sentence is about, and when it becomes an alert."""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.safety.alarm_signatures import SIGNATURES, AlarmSignatures
from audio_interaction_ros.safety.hazards import (
    Hazard,
    HazardFileError,
    HazardTaxonomy,
    Severity,
    default_taxonomy_path,
)
from audio_interaction_ros.safety.policy import AlertPolicy, AlertState, HeardBy
from tests.alarm_sounds import temporal_four

FIRE = Hazard('fire', Severity.DANGER)
HORN = Hazard('car_horn', Severity.WARNING)


@pytest.fixture(scope='module')
def taxonomy():
    return HazardTaxonomy.load(default_taxonomy_path())


@pytest.mark.parametrize(
    ('sentence', 'hazard'),
    [
        ('Fire! I hear flames crackling.', 'fire'),
        ('Smoke alarm! Leave the building.', 'smoke_alarm'),
        ('A FIRE ALARM is ringing.', 'smoke_alarm'),
        ('There is a carbon monoxide alarm.', 'carbon_monoxide'),
        ('Glass is breaking.', 'glass_breaking'),
        ('A car horn, watch out!', 'car_horn'),
        ('A siren is coming closer.', 'siren'),
        ('A fire truck with its siren on.', 'siren'),
        ('A chainsaw is running close by.', 'chainsaw'),
        ('Someone is screaming.', 'scream'),
        ('Gunshot!', 'gunshot'),
        ('An explosion!', 'explosion'),
        ('Cars have crashed.', 'crash'),
        ('Electric sparks, switch it off!', 'electric_spark'),
        ('A baby is crying.', 'baby_crying'),
        ('Look out!', 'unknown'),
        ('', 'unknown'),
        ('Unalarming hornets.', 'unknown'),
    ],
)
def test_a_sentence_names_its_hazard(taxonomy, sentence, hazard):
    assert taxonomy.hazard_of(sentence).name == hazard


def test_an_urgent_sentence_nobody_understands_is_a_warning(taxonomy):
    assert taxonomy.hazard_of('Beware!').severity is Severity.WARNING


@pytest.mark.parametrize('text', ['', 'hazards: 3', 'hazards: {fire: {severity: BAD, keywords: [fire]}}', '{', '\x00'])
def test_a_malformed_taxonomy_is_refused(tmp_path, text):
    (tmp_path / 'bad.yaml').write_text(text)
    with pytest.raises(HazardFileError, match=r'bad\.yaml'):
        HazardTaxonomy.load(tmp_path / 'bad.yaml')


def test_a_missing_taxonomy_is_named(tmp_path):
    with pytest.raises(HazardFileError, match=r'none\.yaml'):
        HazardTaxonomy.load(tmp_path / 'none.yaml')


def make_policy():
    return AlertPolicy(cooldown_s=60.0, clear_after_s=10.0)


def test_a_hazard_is_raised_once_updated_and_cleared_after_quiet():
    policy = make_policy()
    raised = policy.heard(FIRE, 'Fire!', 0.9, 'r1', 0.0)
    updated = policy.heard(FIRE, 'Fire, still.', 0.8, 'r2', 5.0)
    assert (raised.state, updated.state) == (AlertState.RAISED, AlertState.UPDATED)
    assert updated.id == raised.id
    assert policy.clear_quiet(14.9) == []  # the update extended it
    (cleared,) = policy.clear_quiet(15.0)
    assert (cleared.id, cleared.state, cleared.message) == (raised.id, AlertState.CLEARED, 'Fire, still.')
    assert policy.clear_quiet(16.0) == []


def test_within_the_cooldown_a_cleared_alert_is_reopened_not_raised():
    policy = make_policy()
    raised = policy.heard(FIRE, 'Fire!', 0.9, 'r1', 0.0)
    policy.clear_quiet(20.0)
    again = policy.heard(FIRE, 'Fire!', 0.9, 'r2', 50.0)
    assert (again.state, again.id) == (AlertState.UPDATED, raised.id)
    assert len(policy.clear_quiet(60.0)) == 1


def test_after_the_cooldown_it_is_a_new_alert():
    policy = make_policy()
    first = policy.heard(FIRE, 'Fire!', 0.9, 'r1', 0.0)
    policy.clear_quiet(20.0)
    second = policy.heard(FIRE, 'Fire!', 0.9, 'r2', 60.1)
    assert second.state is AlertState.RAISED
    assert second.id != first.id


def test_hazards_do_not_mix():
    policy = make_policy()
    assert policy.heard(FIRE, 'Fire!', 0.9, 'r1', 0.0).state is AlertState.RAISED
    assert policy.heard(HORN, 'Horn!', 0.9, 'r2', 5.0).state is AlertState.RAISED
    assert policy.open_alerts == 2
    assert [alert.hazard for alert in policy.clear_quiet(10.0)] == ['fire']
    assert [alert.hazard for alert in policy.clear_all()] == ['car_horn']
    assert policy.open_alerts == 0


def test_time_set_back_does_not_keep_an_alert_open_for_ever():
    policy = make_policy()
    policy.heard(FIRE, 'Fire!', 0.9, 'r1', 1_000.0)
    assert policy.clear_quiet(1.0) == []
    assert len(policy.clear_quiet(11.0)) == 1


@pytest.mark.parametrize('name', SIGNATURES)
def test_every_signature_is_a_known_hazard(taxonomy, name):
    assert taxonomy.hazard_of_signature(name).name in ('smoke_alarm', 'carbon_monoxide', 'siren')


def test_a_signature_that_is_none_is_refused(tmp_path):
    (tmp_path / 'bad.yaml').write_text(
        'unknown_severity: INFO\nhazards: {fire: {severity: DANGER, keywords: [fire], signatures: [sweep]}}'
    )
    with pytest.raises(HazardFileError, match='sweep'):
        HazardTaxonomy.load(tmp_path / 'bad.yaml')


def test_a_taxonomy_without_signatures_still_passes_none_over(tmp_path):
    (tmp_path / 'old.yaml').write_text(
        'unknown_severity: WARNING\nhazards: {fire: {severity: DANGER, keywords: [fire]}}'
    )
    hazard = HazardTaxonomy.load(tmp_path / 'old.yaml').hazard_of_signature('temporal_three')
    assert (hazard.name, hazard.severity) == ('unknown', Severity.WARNING)


@pytest.mark.parametrize('first', [HeardBy.MODEL, HeardBy.SIGNATURE])
def test_model_and_signature_share_one_alert(first):
    policy = make_policy()
    second = HeardBy.BOTH & ~first
    raised = policy.heard(FIRE, 'Fire!', 0.9, 'r1' if first is HeardBy.MODEL else '', 0.0, first)
    updated = policy.heard(FIRE, 'Fire!', 0.8, 'r1' if second is HeardBy.MODEL else '', 2.0, second)
    assert (raised.heard_by, updated.heard_by) == (first, HeardBy.BOTH)
    assert (updated.state, updated.id) == (AlertState.UPDATED, raised.id)
    assert updated.response_id == 'r1'
    assert policy.open_alerts == 1
    assert policy.clear_quiet(12.0)[0].heard_by is HeardBy.BOTH


def test_who_heard_it_starts_afresh_with_a_new_alert():
    policy = make_policy()
    policy.heard(FIRE, 'Fire!', 0.9, 'r1', 0.0)
    policy.clear_quiet(20.0)
    assert policy.heard(FIRE, 'Fire!', 0.9, '', 100.0, HeardBy.SIGNATURE).heard_by is HeardBy.SIGNATURE


SMOKE = Hazard('smoke_alarm', Severity.DANGER)
CARBON_MONOXIDE = Hazard('carbon_monoxide', Severity.DANGER, frozenset({'smoke_alarm'}))


def test_a_signature_corrects_what_the_model_called_it_in_the_same_alert():
    policy = make_policy()
    raised = policy.heard(SMOKE, 'A smoke alarm!', 0.9, 'r1', 0.0)
    corrected = policy.heard(CARBON_MONOXIDE, 'Four pulses.', 0.9, '', 3.0, HeardBy.SIGNATURE)
    assert (corrected.id, corrected.hazard, corrected.state) == (raised.id, 'carbon_monoxide', AlertState.UPDATED)
    assert corrected.heard_by is HeardBy.BOTH
    again = policy.heard(SMOKE, 'A smoke alarm!', 0.9, 'r2', 5.0)
    assert (again.id, again.hazard, again.message) == (raised.id, 'carbon_monoxide', 'Four pulses.')
    assert policy.open_alerts == 1


def test_a_signature_leaves_another_signatures_alert_alone():
    policy = make_policy()
    policy.heard(SMOKE, 'Three pulses.', 0.9, '', 0.0, HeardBy.SIGNATURE)
    assert policy.heard(CARBON_MONOXIDE, 'Four.', 0.9, '', 1.0, HeardBy.SIGNATURE).state is AlertState.RAISED
    assert policy.open_alerts == 2


def test_ids_of_alerts_without_a_response_differ():
    policy = make_policy()
    first = policy.heard(FIRE, 'Fire!', 0.9, '', 0.0, HeardBy.SIGNATURE)
    policy.clear_quiet(20.0)
    assert policy.heard(FIRE, 'Fire!', 0.9, '', 100.0, HeardBy.SIGNATURE).id != first.id


STUBBORN = Hazard('crash', Severity.INFO, escalate_after_s=5.0)


def test_an_alert_that_nobody_acknowledges_grows_more_severe_and_is_told_again():
    policy = make_policy()
    raised = policy.heard(STUBBORN, 'Crash!', 0.9, 'r1', 0.0)
    policy.heard(FIRE, 'Fire!', 0.9, 'r2', 0.0)  # which does not escalate
    assert policy.escalate(4.9) == []
    policy.heard(STUBBORN, 'Crash!', 0.9, 'r3', 5.0)
    told = [alert for now in (5.0, 7.0, 10.0, 15.0) for alert in policy.escalate(now)]
    assert [alert.severity for alert in told] == [Severity.WARNING, Severity.DANGER, Severity.DANGER]
    assert [alert.escalations for alert in told] == [1, 2, 3]
    assert {(alert.id, alert.state) for alert in told} == {(raised.id, AlertState.UPDATED)}
    # Heard again it stays as severe as it has become.
    assert policy.heard(STUBBORN, 'Crash!', 0.9, 'r4', 16.0).severity is Severity.DANGER


def test_an_acknowledged_alert_rests_until_its_hazard_comes_back():
    policy = make_policy()
    raised = policy.heard(STUBBORN, 'Crash!', 0.9, 'r1', 0.0)
    assert policy.acknowledge('another') == []
    (noticed,) = policy.acknowledge(raised.id)
    assert (noticed.acknowledged, noticed.state) == (True, AlertState.UPDATED)
    assert policy.escalate(100.0) == []
    assert policy.clear_quiet(100.0)[0].acknowledged
    assert policy.acknowledge('') == []  # nothing is open
    policy = make_policy()
    policy.heard(STUBBORN, 'Crash!', 0.9, 'r1', 0.0)
    policy.acknowledge('')
    policy.clear_quiet(20.0)
    back = policy.heard(STUBBORN, 'Crash!', 0.9, 'r2', 30.0)
    assert (back.state, back.acknowledged) == (AlertState.UPDATED, False)
    assert [alert.escalations for alert in policy.escalate(35.0)] == [1]


def test_a_hazard_with_a_cool_down_of_its_own_is_new_again_sooner():
    policy = make_policy()
    quick = Hazard('siren', Severity.WARNING, cooldown_s=0.0)
    first = policy.heard(quick, 'Siren!', 0.9, 'r1', 0.0)
    assert policy.heard(quick, 'Siren!', 0.9, 'r2', 3.0).id == first.id  # it is still open
    policy.clear('siren')
    again = policy.heard(quick, 'Siren!', 0.9, 'r3', 4.0)
    assert (again.state, again.id != first.id) == (AlertState.RAISED, True)


def test_deafness_lasts_until_it_is_known_to_be_over():
    policy = AlertPolicy(cooldown_s=60.0, clear_after_s=0.1)
    policy.heard(FIRE, 'The assistant cannot hear.', 1.0, '', 0.0, HeardBy.SUPERVISION)
    assert policy.clear_quiet(1_000.0) == []
    assert policy.clear('fire').state is AlertState.CLEARED


def test_an_alarm_that_goes_on_is_not_cleared_between_two_reports_of_its_signature():
    policy = AlertPolicy(cooldown_s=60.0, clear_after_s=0.1)
    signatures, sound = AlarmSignatures(), np.concatenate([temporal_four(30.0), np.zeros(16_000 * 20)])
    cleared_s, reports_s = [], []
    for first in range(0, len(sound), 1_600):
        now_s = first / 16_000
        for _ in signatures.feed(sound[first : first + 1_600].astype(np.float32)):
            reports_s.append(now_s)
            policy.heard(FIRE, 'Fire!', 0.9, '', now_s, HeardBy.SIGNATURE)
        cleared_s += [now_s for _ in policy.clear_quiet(now_s)]
    assert len(reports_s) > 2
    assert len(cleared_s) == 1 and cleared_s[0] > reports_s[-1]


PROFILES = ('home', 'industrial', 'vehicle', 'tutoring', 'care')


def test_the_profiles_differ_as_the_places_do():
    loaded = {name: HazardTaxonomy.load(default_taxonomy_path(), name) for name in ('', *PROFILES)}
    said = {name: taxonomy.hazard_of for name, taxonomy in loaded.items()}
    fire = {name: hazard_of('Fire!').severity for name, hazard_of in said.items()}
    assert set(fire.values()) == {Severity.DANGER}
    assert not any(hazard_of('A smoke alarm!').ignored or hazard_of('Fire!').ignored for hazard_of in said.values())
    # A home lets the street be; a factory and a car do not, and a factory does not let go.
    horn = {name: hazard_of('A car horn!') for name, hazard_of in said.items()}
    assert horn['home'].ignored and horn['vehicle'].severity is Severity.DANGER and not horn['vehicle'].ignored
    assert said['industrial']('A crash!').severity > said['']('A crash!').severity
    assert said['industrial']('A crash!').escalate_after_s > 0 == said['home']('A crash!').escalate_after_s
    # A learner is left in peace longest, with the fewest reasons to be interrupted.
    ignored = {name: sum(said[name](f'{word}!').ignored for word in WORDS) for name in PROFILES}
    assert max(ignored, key=ignored.get) == 'tutoring' and min(ignored, key=ignored.get) == 'industrial'
    assert max(PROFILES, key=lambda name: said[name]('Fire!').cooldown_s) == 'tutoring'
    # Somebody has to confirm having noticed where a person may be unable to call.
    assert said['care']('A baby is crying!').severity is Severity.WARNING
    assert said['care']('Fire!').escalate_after_s > 0


WORDS = (
    'fire',
    'smoke alarm',
    'siren',
    'glass',
    'car horn',
    'chainsaw',
    'scream',
    'gunshot',
    'explosion',
    'crash',
    'baby',
)


def test_every_hazard_has_its_sentence_in_both_languages(taxonomy):
    for word in WORDS:
        messages = taxonomy.hazard_of(f'{word}!').messages
        assert set(messages) == {'english', 'chinese'}
        # The sentence names its own hazard, for whoever reads alerts by their words.
        assert taxonomy.hazard_of(messages['english']).name == taxonomy.hazard_of(f'{word}!').name


@pytest.mark.parametrize(
    ('content', 'match'),
    [
        ('profiles: {home: {ignored: [flood]}}', r"'home' names hazards that the file does not have: \['flood'\]"),
        ('profiles: {home: {severities: {fire: BAD}}}', 'BAD'),
        ('profiles: {home: {cooldown_s: -1}}', 'cooldown_s'),
    ],
)
def test_a_profile_that_cannot_work_is_one_sentence(tmp_path, content, match):
    path = tmp_path / 'safety.yaml'
    path.write_text(f'unknown_severity: INFO\nhazards: {{fire: {{severity: DANGER, keywords: [fire]}}}}\n{content}')
    with pytest.raises(HazardFileError, match=match):
        HazardTaxonomy.load(path)


def test_a_profile_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(HazardFileError, match=r"profile is 'hoem'.*home, industrial, vehicle, tutoring, care"):
        HazardTaxonomy.load(default_taxonomy_path(), 'hoem')
