"""The end of the demo says in plain words what was heard, missed and wrong."""

from __future__ import annotations

import io

from rich.console import Console

from audio_interaction_ros.cli.scoring import (
    DemoScene,
    HazardOutcome,
    HeardAlert,
    HeardResponse,
    Score,
)
from audio_interaction_ros.cli.timeline_view import TimelineView
from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.safety.policy import HeardBy

FIRE = SceneEvent(onset_s=2.0, end_s=6.0, category='fire', hazard=True)
ALARM = SceneEvent(onset_s=10.0, end_s=20.0, category='smoke alarm', hazard=True)
GLASS = SceneEvent(onset_s=30.0, end_s=31.0, category='glass', hazard=True)
RAIN = SceneEvent(onset_s=40.0, end_s=50.0, category='rain', hazard=False)
SAID = HeardResponse(2.6, 3.1, 'Fire!')
ALERTED = HeardAlert(10.0, 19.5, 'smoke_alarm-1', 'smoke_alarm', HeardBy.SIGNATURE, 'A smoke alarm is sounding.')


def lines(score: Score, passed: bool, chunks_lost: int = 0) -> list[str]:
    out = io.StringIO()
    TimelineView(Console(file=out, highlight=False, soft_wrap=True)).result(score, passed, chunks_lost)
    return out.getvalue().splitlines()


def test_every_hazard_has_a_line_that_says_which_path_heard_it_or_that_it_was_missed():
    outcomes = (
        HazardOutcome(FIRE, SAID, None, misnamed=True),
        HazardOutcome(ALARM, SAID, ALERTED, misnamed=True),
        HazardOutcome(ALARM, None, ALERTED),
        HazardOutcome(GLASS, None, None),
    )
    shown = lines(Score(DemoScene(events=(FIRE, ALARM, GLASS)), 0.0, outcomes, (), (), 0), False)
    assert [line.split() for line in shown if ' s  ' in line] == [
        ['2.0', 's', 'fire', 'model,', 'wrong', 'name', 'Fire!'],
        ['10.0', 's', 'smoke', 'alarm', 'model', '+', 'signature', 'Fire!', '(wrong', 'name)'],
        ['10.0', 's', 'smoke', 'alarm', 'signature', 'A', 'smoke', 'alarm', 'is', 'sounding.'],
        ['30.0', 's', 'glass', 'MISSED'],
    ]
    assert shown[-1] == (
        'result: not passed: 3 of 4 hazards heard (2 by a wrong name), 0 false responses, 0 false alerts, 0 chunks lost'
    )


def test_what_was_said_without_a_cause_is_shown_with_when_and_during_which_sound():
    false = (HeardResponse(41.0, 41.5, 'I hear\nfire.'), HeardResponse(59.0, 59.5, 'A bell.'))
    alert = HeardAlert(40.0, 44.0, 'siren-1', 'siren', HeardBy.SIGNATURE, 'A siren.')
    shown = lines(Score(DemoScene(events=(RAIN,)), 0.0, (), false, (alert,), 0), False, 1)
    assert [line.split() for line in shown if ' s  ' in line] == [
        ['41.4', 's', 'rain', 'response', 'by', 'model', 'I', 'hear', 'fire.'],
        ['44.0', 's', 'rain', 'alert', 'by', 'signature', 'A', 'siren.'],
        ['59.4', 's', 'between', 'sounds', 'response', 'by', 'model', 'A', 'bell.'],
    ]
    assert shown[-1] == 'result: not passed: 0 of 0 hazards heard, 2 false responses, 1 false alert, 1 chunk lost'


def test_a_demo_without_a_mistake_is_called_passed():
    shown = lines(Score(DemoScene(events=(FIRE,)), 0.0, (HazardOutcome(FIRE, SAID, None),), (), (), 0), True)
    assert shown[-1] == 'result: passed: 1 of 1 hazard heard, 0 false responses, 0 false alerts, 0 chunks lost'
    assert not any('false  ' in line for line in shown[:-1])


def test_a_demo_that_was_ended_before_the_scene_was_over_is_called_interrupted():
    shown = lines(Score(DemoScene(events=(FIRE,)), 0.0, (HazardOutcome(FIRE, SAID, None),), (), (), 0), None)
    assert shown[-1].startswith('result: interrupted: 1 of 1 hazard heard')
