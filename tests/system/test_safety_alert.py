"""safety_alert as a process: urgent responses and alarms in the raw sound become alerts."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.msg import Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from tests.alarm_sounds import in_noise, temporal_four, temporal_three

pytestmark = pytest.mark.system
START_NS = 1_700_000_000_000_000_000


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


class Alarm:
    """Plays a sound on the audio topic, faster than real time, as audio_capture would."""

    def __init__(self, ros):
        self.info = ros.talk('audio_info', AudioInfo, qos.LATCHED)
        self.audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
        self.ros = ros

    def describe(self, coding='wave'):
        self.info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format=coding))
        self.ros.spin(0.3)

    def play(self, sound, start_ns=START_NS):
        for first in range(0, len(sound), 1_600):
            header = Header(stamp=stamp_of(start_ns + first * 62_500), frame_id='mic')
            data = bytes_array(encode_s16le(sound[first : first + 1_600]))
            self.audio.publish(AudioDataStamped(header=header, audio=AudioData(data=data)))
            self.ros.spin(0.005)


def test_an_alarm_in_the_sound_raises_an_alert_although_no_model_runs(ros):
    process = ros.start_active('safety_alert')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    alarm = Alarm(ros)
    alarm.describe()
    alarm.play(in_noise(np.concatenate([np.zeros(16_000), temporal_three(15.0, 520.0)]), 10))
    ros.until(lambda: len(alerts) == 2, process)
    assert [alert.state for alert in alerts] == [SafetyAlert.RAISED, SafetyAlert.UPDATED]
    assert {(alert.hazard, alert.severity, alert.heard_by, alert.response_id) for alert in alerts} == {
        ('smoke_alarm', SafetyAlert.DANGER, SafetyAlert.SIGNATURE, '')
    }
    assert 'three pulses' in alerts[0].message
    began_s = (nanoseconds_of(alerts[0].header.stamp) - START_NS) / 1e9
    assert began_s == pytest.approx(1.0, abs=0.2)
    assert alerts[0].header.frame_id == 'mic'
    assert process.end(signal.SIGTERM) == 0
    assert 'Traceback' not in process.log


def test_what_the_model_says_of_the_same_alarm_joins_the_alert(ros):
    process = ros.start_active('safety_alert')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)
    responses.publish(response('7', 'A smoke alarm is sounding!'))
    ros.until(lambda: len(alerts) == 1, process)
    alarm = Alarm(ros)
    alarm.describe()
    alarm.play(in_noise(temporal_four(12.0), 10))
    ros.until(lambda: len(alerts) == 2, process)
    assert [alert.heard_by for alert in alerts] == [SafetyAlert.MODEL, SafetyAlert.BOTH]
    assert [alert.hazard for alert in alerts] == ['smoke_alarm', 'carbon_monoxide']
    assert len({alert.id for alert in alerts}) == 1
    assert process.end() == 0


def test_the_signatures_can_be_turned_off(ros):
    process = ros.start_active('safety_alert', alarm_signatures='false')
    assert ros.node.count_subscribers('audio_stamped') == 0
    assert process.end() == 0


def test_a_format_that_cannot_be_read_is_reported_and_the_next_one_taken(ros):
    process = ros.start_active('safety_alert')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    alarm = Alarm(ros)
    sound = in_noise(temporal_three(10.0), 10)
    alarm.describe('mp3')
    alarm.play(sound)
    ros.until(lambda: 'no alarm is heard' in process.log, process)
    assert not alerts
    alarm.describe()
    alarm.play(sound, START_NS + 60_000_000_000)
    ros.until(lambda: alerts, process)
    assert process.end() == 0


def test_what_is_latched_before_activation_is_not_missed(ros):
    process = ros.start('safety_alert', autostart='false')
    ros.wait_state('safety_alert', 'unconfigured', process)
    assert ros.change_state('safety_alert', 'configure')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    alarm = Alarm(ros)
    alarm.describe()
    assert ros.change_state('safety_alert', 'activate')
    alarm.play(in_noise(temporal_three(10.0), 10))
    ros.until(lambda: alerts, process)
    assert process.end() == 0


@pytest.mark.slow
def test_the_death_of_the_model_does_not_silence_an_alarm(ros, tiny_checkpoint, tmp_path):
    soundfile.write(tmp_path / 'alarm.wav', in_noise(temporal_three(12.0), 10), 16_000)
    process = ros.start_active('safety_alert')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    models = {name: ros.start(name, checkpoint=tiny_checkpoint) for name in ('chunk_encoder', 'decoder')}
    for name, model in models.items():
        ros.wait_state(name, 'active', model)
    capture = ros.start_active('audio_capture', file=tmp_path / 'alarm.wav')
    ros.until(lambda: 'playing' in capture.log, capture)
    for model in models.values():
        assert model.end(signal.SIGKILL) == -signal.SIGKILL
    ros.until(lambda: [alert for alert in alerts if alert.heard_by & SafetyAlert.SIGNATURE], process, 30.0)
    assert process.end() == 0
