"""The demo's score: which responses answer which hazards, how fast, and what was lost."""

from __future__ import annotations

import json

import pytest

from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.cli.scoring import (
    HeardDecision,
    HeardResponse,
    Scene,
    SceneEvent,
    count_chunks,
    score,
    spread,
    summary,
    verdict,
)

START_S = 1_000.0


def scene(*events: tuple[float, float, str, bool]) -> Scene:
    return Scene(events=tuple(SceneEvent(onset_s=o, end_s=e, category=c, hazard=h) for o, e, c, h in events))


def response(trigger_end_s: float, delay_s: float = 0.1) -> HeardResponse:
    """Triggered by the chunk that ends there, received `delay_s` later."""
    return HeardResponse(START_S + trigger_end_s - 0.4, START_S + trigger_end_s + delay_s)


def decision(chunk: int, latency_s: float = 0.05, drained: int = 1, lost: int = 0, stream: int = 7) -> HeardDecision:
    stamp_s = START_S + 0.4 * chunk
    return HeardDecision(stamp_s, stamp_s + 0.4 + latency_s, stream, chunk, drained, False, lost)


SIREN = (10.0, 18.0, 'siren', True)


@pytest.mark.parametrize('trigger_end_s', [10.4, 17.9])
def test_a_response_within_a_hazard_answers_it(trigger_end_s):
    result = score(scene(SIREN), START_S, [response(trigger_end_s)])
    assert (result.answered, result.false_responses) == (1, 0)
    assert result.onset_to_response_s == pytest.approx([trigger_end_s + 0.1 - 10.0])


@pytest.mark.parametrize('trigger_end_s', [9.9, 10.0, 18.1])
def test_a_response_outside_is_false_and_the_hazard_missed(trigger_end_s):
    result = score(scene(SIREN), START_S, [response(trigger_end_s)])
    assert (result.answered, result.missed, result.false_responses) == (0, ['siren'], 1)


def test_a_short_hazard_may_be_answered_until_four_seconds_after_its_onset():
    glass = scene((5.0, 5.6, 'glass_breaking', True))
    assert score(glass, START_S, [response(8.9)]).answered == 1
    assert score(glass, START_S, [response(9.1)]).answered == 0


def test_a_response_to_a_benign_sound_is_false():
    dog = scene(SIREN, (30.0, 34.0, 'dog', False))
    result = score(dog, START_S, [response(11.0), response(31.0)])
    assert (result.hazards, result.answered, result.false_responses) == (1, 1, 1)


def test_a_second_response_to_a_hazard_is_a_repeat():
    result = score(scene(SIREN), START_S, [response(11.0), response(15.0)])
    assert (result.answered, result.false_responses, result.repeats) == (1, 0, 1)
    assert result.onset_to_response_s == pytest.approx([1.1])


def test_where_windows_overlap_each_hazard_gets_its_own_response():
    both = scene((10.0, 11.0, 'glass_breaking', True), (12.0, 16.0, 'crying_baby', True))
    result = score(both, START_S, [response(10.8), response(13.2)])
    assert (result.answered, result.repeats, result.false_responses) == (2, 0, 0)


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
    report = summary(scene(SIREN), heard, [response(10.4)], 'a machine')
    assert report['hazards'] == report['answered'] == 1
    assert report['chunks'] == 50
    assert report['chunks_lost'] == 0
    assert report['onset_to_response_s']['p50'] == pytest.approx(0.5)
    assert report['decision_latency_ms'] == {'p50': 50.0, 'p99': 50.0, 'max': 50.0}
    assert verdict(report) is None
    json.dumps(report)


def test_the_verdict_says_everything_that_went_wrong():
    report = summary(scene(SIREN), [decision(0), decision(3)], [response(30.0)], 'a machine')
    assert verdict(report) == '1 hazards were not answered (siren); 1 responses were to no hazard; 2 chunks were lost.'
    assert verdict(summary(None, [], [], 'a machine')) == 'no chunk of sound arrived.'


def test_without_a_scene_nothing_is_said_about_hazards():
    report = summary(None, [decision(0)], [response(0.4)], 'a machine')
    assert 'hazards' not in report
    assert report['responses'] == 1
    assert verdict(report) is None


def test_a_scene_file_may_say_more_than_is_needed_but_not_less(tmp_path):
    path = tmp_path / 'scene.json'
    event = {'onset_s': 1.0, 'end_s': 2.0, 'category': 'siren', 'hazard': True, 'source': 'procedural'}
    path.write_text(json.dumps({'title': 'a kitchen', 'events': [event]}))
    assert [hazard.category for hazard in Scene.load(path).hazards] == ['siren']
    del event['hazard']
    path.write_text(json.dumps({'events': [event]}))
    with pytest.raises(CommandError, match='does not describe a scene'):
        Scene.load(path)
