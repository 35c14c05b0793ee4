"""safety_alert as a process: urgent responses become alerts."""

from __future__ import annotations

import signal

import pytest
from std_msgs.msg import Header

from audio_interaction_ros.msg import Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import stamp_of

pytestmark = pytest.mark.system


def response(id_, text, urgent=True, final=True):
    header = Header(stamp=stamp_of(1_700_000_000_000_000_000), frame_id='mic')
    return Response(header=header, id=id_, text=text, urgent=urgent, final=final, probability=0.9)


def test_urgent_responses_are_raised_updated_and_cleared(ros):
    process = ros.start_active('safety_alert', clear_after_s=1.5, cooldown_s=5.0)
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)
    responses.publish(response('1', 'A dog is barking.', urgent=False))
    responses.publish(response('2', 'Fire!', final=False))
    responses.publish(response('2', 'Fire! I hear flames crackling.'))
    ros.until(lambda: len(alerts) == 1, 'no alert was raised')
    responses.publish(response('3', 'Fire, still burning!'))
    ros.until(lambda: len(alerts) == 3, 'the alert was not updated and cleared')
    assert [alert.state for alert in alerts] == [SafetyAlert.RAISED, SafetyAlert.UPDATED, SafetyAlert.CLEARED]
    assert {alert.hazard for alert in alerts} == {'fire'}
    assert len({alert.id for alert in alerts}) == 1
    assert (alerts[0].response_id, alerts[0].severity) == ('2', SafetyAlert.DANGER)
    assert alerts[0].header.frame_id == 'mic'
    assert alerts[0].header.stamp.sec == 1_700_000_000
    late = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    ros.until(lambda: len(late) == 3, 'a late subscriber did not learn of the alerts')
    assert process.end(signal.SIGTERM) == 0
    assert 'Traceback' not in process.log


def test_inactive_it_says_nothing(ros):
    process = ros.start('safety_alert', autostart='false')
    ros.wait_state('safety_alert', 'unconfigured', process)
    assert ros.change_state('safety_alert', 'configure')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)
    responses.publish(response('1', 'Fire!'))
    ros.spin(0.5)
    assert not alerts
    assert ros.change_state('safety_alert', 'activate')
    responses.publish(response('2', 'Fire!'))
    ros.until(lambda: alerts, 'no alert after activation')
    assert process.end() == 0
