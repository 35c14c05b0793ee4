"""The demo's score: which responses answer which hazards, how fast, and what was lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.cli.scoring import (
    DemoScene,
    HeardAlert,
    HeardDecision,
    HeardResponse,
    Score,
    count_chunks,
    model_alerts,
    scene_start_s,
    signature_alerts,
    spread,
    summary,
)
from audio_interaction_ros.cli.scoring import score as score_by_name
from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path
from audio_interaction_ros.safety.policy import AlertState, HeardBy

START_S = 1_000.0


def scene(*events: tuple[float, float, str, bool]) -> DemoScene:
    return DemoScene(events=tuple(SceneEvent(onset_s=o, end_s=e, category=c, hazard=h) for o, e, c, h in events))


def response(trigger_end_s: float, delay_s: float = 0.1, text: str = 'A siren!') -> HeardResponse:
    """Triggered by the chunk that ends there, received `delay_s` later."""
    return HeardResponse(START_S + trigger_end_s - 0.4, START_S + trigger_end_s + delay_s, text)


def alert(
    first_s: float,
    arrived_s: float,
    hazard: str = 'siren',
    heard_by: HeardBy = HeardBy.SIGNATURE,
    response_id: str = '',
) -> HeardAlert:
    """Of an alert that begins with the sound at `first_s`."""
    message = f'I hear it: {hazard}.'
    return HeardAlert(START_S + first_s, START_S + arrived_s, f'{hazard}-1', hazard, heard_by, message, response_id)


def score(scene: DemoScene, responses: list[HeardResponse], alerts: list[HeardAlert] | None = None) -> Score:
    taxonomy = HazardTaxonomy.load(default_taxonomy_path())
    return score_by_name(scene, START_S, responses, alerts or [], lambda text: taxonomy.hazard_of(text).name)


def decision(chunk: int, latency_s: float = 0.05, drained: int = 1, lost: int = 0, stream: int = 7) -> HeardDecision:
    stamp_s = START_S + 0.4 * chunk
    return HeardDecision(stamp_s, stamp_s + 0.4 + latency_s, stream, chunk, drained, False, lost)


SIREN = (10.0, 18.0, 'siren', True)


@pytest.mark.parametrize('trigger_end_s', [10.4, 17.9])
def test_a_response_within_a_hazard_answers_it(trigger_end_s):
    result = score(scene(SIREN), [response(trigger_end_s)])
    assert [outcome.heard_by for outcome in result.outcomes] == [['model']]
    assert result.false_responses == ()
    assert result.onset_to_response_s == pytest.approx([trigger_end_s + 0.1 - 10.0])


@pytest.mark.parametrize('trigger_end_s', [9.9, 10.0, 18.1])
def test_a_response_outside_is_false_and_the_hazard_missed(trigger_end_s):
    result = score(scene(SIREN), [response(trigger_end_s)])
    assert [outcome.hazard.category for outcome in result.missed] == ['siren']
    assert [result.at_s(heard) for heard in result.false_responses] == pytest.approx([trigger_end_s])


def test_a_short_hazard_may_be_answered_until_four_seconds_after_its_onset():
    glass = scene((5.0, 5.6, 'glass_breaking', True))
    assert len(score(glass, [response(8.9)]).heard) == 1
    assert len(score(glass, [response(9.1)]).heard) == 0


def test_a_response_to_a_benign_sound_is_false():
    dog = scene(SIREN, (30.0, 34.0, 'dog', False))
    result = score(dog, [response(11.0), response(31.0)])
    assert (len(result.heard), len(result.false_responses)) == (1, 1)
    assert dog.sound_at(result.at_s(result.false_responses[0])) == 'dog'


def test_a_second_response_to_a_hazard_is_a_repeat():
    result = score(scene(SIREN), [response(11.0), response(15.0)])
    assert (len(result.heard), len(result.false_responses), result.repeats) == (1, 0, 1)
    assert result.onset_to_response_s == pytest.approx([1.1])


def test_where_windows_overlap_each_hazard_gets_its_own_response():
    both = scene((10.0, 11.0, 'glass_breaking', True), (12.0, 16.0, 'crying_baby', True))
    result = score(both, [response(10.8), response(13.2)])
    assert (len(result.heard), result.repeats, len(result.false_responses)) == (2, 0, 0)


def test_a_response_about_another_hazard_counts_and_is_told_apart():
    assert not score(scene(SIREN), [response(11.0, text='A siren! An emergency vehicle is near.')]).outcomes[0].misnamed
    wrong = score(scene(SIREN), [response(11.0, text='Fire! I hear flames crackling.')]).outcomes[0]
    assert (wrong.heard_by, wrong.misnamed) == (['model'], True)


def test_a_response_that_names_another_hazard_is_no_repeat_but_false():
    result = score(scene(SIREN), [response(11.0), response(13.0, text='Fire! I hear it crackling.')])
    assert [false.text for false in result.false_responses] == ['Fire! I hear it crackling.']
    assert result.repeats == 0
    assert not result.outcomes[0].misnamed


def test_a_response_that_was_cut_short_before_its_first_word_is_neither_false_nor_an_answer():
    result = score(scene(SIREN), [response(11.0, text=''), response(30.0, text='')])
    assert (len(result.missed), result.false_responses) == (1, ())


def test_the_response_that_names_a_hazard_answers_it_though_another_came_first():
    result = score(scene(SIREN), [response(11.0, text='Fire!'), response(13.0)])
    assert (result.outcomes[0].response.text, result.misnamed) == ('A siren!', [])
    assert [false.text for false in result.false_responses] == ['Fire!']


def test_an_alert_that_a_response_raised_without_a_cause_is_false_as_the_response_is():
    explosion = response(30.0, text='An explosion!')
    raised = alert(29.6, 30.2, 'explosion', HeardBy.MODEL, '9')
    result = score(scene(SIREN), [response(11.0), explosion], [raised])
    assert (result.false_responses, result.false_alerts) == ((explosion,), (raised,))
    assert result.false == [explosion, raised]


def test_an_alert_that_a_response_raised_for_the_hazard_it_names_is_not_false():
    result = score(scene(SIREN), [response(11.0)], [alert(10.6, 11.1, heard_by=HeardBy.MODEL, response_id='9')])
    assert (result.false_alerts, [outcome.heard_by for outcome in result.outcomes]) == ((), [['model']])


def test_an_alert_of_another_name_is_false_though_a_hazard_sounds():
    raised = alert(10.6, 11.1, 'fire', HeardBy.MODEL, '9')
    assert score(scene(SIREN), [response(11.0, text='Fire!')], [raised]).false_alerts == (raised,)


def test_of_an_alerts_messages_a_response_sent_those_that_raised_or_reopened_it():
    raised = alert(10.2, 11.0, 'fire', HeardBy.MODEL, '1')
    updated = replace(alert(12.2, 13.0, 'fire', HeardBy.MODEL, '2'), state=AlertState.UPDATED)
    cleared = replace(updated, state=AlertState.CLEARED)
    reopened = replace(alert(50.2, 51.0, 'fire', HeardBy.MODEL, '3'), state=AlertState.UPDATED)
    acknowledged = replace(reopened, received_s=reopened.received_s + 1.0)
    by_signature = alert(10.2, 11.0)
    messages = [raised, updated, cleared, reopened, acknowledged, by_signature]
    assert model_alerts(messages) == [raised, reopened]


def test_of_a_scene_that_was_interrupted_hazards_that_may_still_be_heard_are_left_out():
    both = scene(SIREN, (30.0, 38.0, 'glass_breaking', True))
    result = score_by_name(both, START_S, [], [], str, until_s=32.0)
    assert [outcome.hazard.category for outcome in result.missed] == ['siren']


def test_a_hazard_is_heard_by_the_signature_of_its_alarm_without_the_model():
    result = score(scene(SIREN), [], [alert(10.2, 13.8)])
    assert [outcome.heard_by for outcome in result.outcomes] == [['signature']]
    assert (result.missed, result.false_alerts) == ([], ())


def test_a_hazard_may_be_heard_by_both():
    result = score(scene(SIREN), [response(11.0)], [alert(10.2, 13.8, heard_by=HeardBy.BOTH)])
    assert [outcome.heard_by for outcome in result.outcomes] == [['model', 'signature']]


def test_an_alert_that_arrives_after_its_alarm_counts_for_it():
    assert score(scene(SIREN), [], [alert(12.0, 19.0)]).missed == []


@pytest.mark.parametrize(('first_s', 'arrived_s', 'hazard'), [(3.0, 9.0, 'siren'), (10.2, 13.8, 'smoke_alarm')])
def test_an_alert_of_another_time_or_another_hazard_is_false(first_s, arrived_s, hazard):
    result = score(scene(SIREN), [], [alert(first_s, arrived_s, hazard)])
    assert len(result.missed) == 1
    assert [false.hazard for false in result.false_alerts] == [hazard]


def test_of_an_alerts_messages_those_count_that_a_signature_sent():
    by_model = alert(10.2, 11.0, heard_by=HeardBy.MODEL, response_id='1')
    joined = alert(11.0, 13.0, heard_by=HeardBy.BOTH, response_id='1')
    acknowledged = alert(11.0, 14.0, heard_by=HeardBy.BOTH, response_id='1')
    said_again = alert(13.0, 15.0, heard_by=HeardBy.BOTH, response_id='2')
    heard_again = alert(14.0, 16.0, heard_by=HeardBy.BOTH, response_id='2')
    deaf = alert(15.0, 15.0, 'listening_lost', HeardBy.SUPERVISION)
    messages = [by_model, joined, acknowledged, said_again, heard_again, deaf]
    assert signature_alerts(messages) == [joined, heard_again]


def test_lost_chunks_are_what_is_reported_or_missing_whichever_is_more():
    assert count_chunks([decision(0), decision(2, drained=2), decision(3)]) == (4, 0)
    assert count_chunks([decision(0), decision(3)]) == (2, 2)
    assert count_chunks([decision(0), decision(1, lost=3)]) == (2, 3)
    assert count_chunks([decision(0), decision(0, stream=8), decision(1, stream=8)]) == (3, 0)


def test_percentiles_are_nearest_rank():
    assert spread([]) == {'p50': None, 'p99': None, 'max': None}
    assert spread([0.3], 1000.0) == {'p50': 300.0, 'p99': 300.0, 'max': 300.0}
    values = [float(value) for value in range(1, 201)]
    assert spread(values) == {'p50': 100.0, 'p99': 198.0, 'max': 200.0}


def test_the_summary_counts_from_the_streams_first_chunk_though_its_decision_covers_more():
    heard = [decision(1, drained=2), decision(2, 0.02), *(decision(chunk) for chunk in range(3, 50))]
    assert scene_start_s(heard) == START_S
    report = summary(score(scene(SIREN), [response(10.4)]), heard, 1, 'a machine')
    assert report['passed'] is True
    assert report['hazards'] == report['heard'] == report['heard_by_model'] == 1
    assert report['heard_by_signature'] == 0
    assert report['chunks'] == 50
    assert report['chunks_lost'] == 0
    assert report['onset_to_response_s']['p50'] == pytest.approx(0.5)
    assert report['decision_latency_ms'] == {'p50': 50.0, 'p99': 50.0, 'max': 50.0}
    json.dumps(report)


def test_the_summary_says_everything_that_went_wrong_and_when():
    result = score(scene(SIREN), [response(30.0, text='Fire!')], [alert(40.0, 45.0)])
    report = summary(result, [decision(0), decision(3)], 1, 'a machine')
    assert (report['passed'], report['missed'], report['chunks_lost']) == (False, ['siren'], 2)
    assert report['each_hazard'][0]['onset_s'] == 10.0
    assert report['each_false'] == [
        {'at_s': 30.0, 'during': '', 'kind': 'response', 'heard_by': 'model', 'said': 'Fire!'},
        {'at_s': 45.0, 'during': '', 'kind': 'alert', 'heard_by': 'signature', 'said': 'I hear it: siren.'},
    ]


@pytest.mark.parametrize(
    ('responses', 'alerts', 'decisions', 'played'),
    [
        ([], [], [decision(0)], 1),
        ([response(11.0), response(30.0)], [], [decision(0)], 1),
        ([response(11.0, text='Fire!')], [], [decision(0)], 1),
        ([response(11.0)], [alert(30.0, 33.0)], [decision(0)], 1),
        ([response(11.0)], [], [decision(0), decision(3)], 4),
        ([response(11.0)], [], [decision(0)], 2),
    ],
    ids=['missed', 'false response', 'misnamed', 'false alert', 'lost in between', 'lost at the end'],
)
def test_one_thing_wrong_and_the_demo_has_not_passed(responses, alerts, decisions, played):
    right = summary(score(scene(SIREN), [response(11.0)]), [decision(0)], 1, 'a machine', 1)
    wrong = summary(score(scene(SIREN), responses, alerts), decisions, len(responses), 'a machine', played)
    assert (right['passed'], wrong['passed']) == (True, False)


def test_without_a_scene_nothing_is_said_about_hazards():
    report = summary(None, [decision(0)], 1, 'a machine')
    assert 'hazards' not in report
    assert (report['passed'], report['responses']) == (True, 1)


def test_a_scene_file_may_say_more_than_is_needed_but_not_less(tmp_path):
    path = tmp_path / 'scene.json'
    event = {'onset_s': 1.0, 'end_s': 2.0, 'category': 'siren', 'hazard': True, 'source': 'procedural'}
    path.write_text(json.dumps({'title': 'a kitchen', 'events': [event]}))
    assert [hazard.category for hazard in DemoScene.load(path).hazards] == ['siren']
    del event['hazard']
    path.write_text(json.dumps({'events': [event]}))
    with pytest.raises(CommandError, match='does not describe a scene'):
        DemoScene.load(path)
