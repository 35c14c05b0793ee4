"""safety_alert as a process: urgent responses and alarms in the raw sound become alerts."""

from __future__ import annotations

import re
import signal

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.msg import AudioEmbedding, Decision, Health, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from audio_interaction_ros.srv import AcknowledgeAlert
from tests.alarm_sounds import in_noise, temporal_four, temporal_three

pytestmark = pytest.mark.system
START_NS = 1_700_000_000_000_000_000
NS_PER_S = 1_000_000_000


def said_of(array):
    """The level and message of safety_alert in a report; None in another node's."""
    said = [(status.level, status.message) for status in array.status if status.name == '/safety_alert: status']
    return said[-1] if said else None


def response(id_, text, urgent=True, final=True):
    header = Header(stamp=stamp_of(1_700_000_000_000_000_000), frame_id='mic')
    return Response(header=header, id=id_, text=text, urgent=urgent, final=final, probability=0.9)


def test_urgent_responses_are_raised_updated_and_cleared(ros):
    process = ros.start_active('safety_alert', clear_after_s=3_000.0, cooldown_s=5_000.0)
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)
    responses.publish(response('1', 'A dog is barking.', urgent=False))
    responses.publish(response('2', 'Fire!', final=False))
    responses.publish(response('2', 'Fire! I hear flames crackling.'))
    ros.until(lambda: len(alerts) == 1, 'no alert was raised')
    responses.publish(response('3', 'Fire, still burning!'))
    ros.until(lambda: len(alerts) == 2, 'the alert was not updated')
    soon = RclpyParameter('clear_after_s', value=0.5).to_parameter_msg()
    answer = ros.call(SetParameters, 'safety_alert/set_parameters', SetParameters.Request(parameters=[soon]))
    assert answer.results[0].successful
    ros.until(lambda: len(alerts) == 3, 'the alert was not cleared')
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
    ros.taken('safety_alert')
    assert ros.change_state('safety_alert', 'activate')
    responses.publish(response('2', 'Fire!'))
    ros.until(lambda: alerts, 'no alert after activation')
    assert alerts[0].response_id == '2'
    assert process.end() == 0


class Alarm:
    """Plays a sound on the audio topic, faster than real time, as audio_capture would."""

    def __init__(self, ros):
        self.info = ros.talk('audio_info', AudioInfo, qos.LATCHED)
        self.audio = ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
        self.ros = ros

    def describe(self, coding='wave'):
        self.info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format=coding))
        self.ros.taken('safety_alert')

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


def test_signatures_and_supervision_can_be_turned_off(ros):
    process = ros.start_active('safety_alert', alarm_signatures='false', supervise='false')
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
    ros.until(lambda: [alert for alert in alerts if alert.heard_by & SafetyAlert.SIGNATURE], process)
    assert process.end() == 0


class Assistant:
    """What a healthy one publishes, less what is switched off; in simulated time, in which nobody is ever starved."""

    STEP_NS = 200_000_000

    def __init__(self, ros):
        self.ros, self.alarm = ros, Alarm(ros)
        self.clock = ros.talk('/clock', Clock, QoSProfile(depth=1))
        self.health = ros.hear('ai/health', Health, qos.LATCHED)
        self.embeddings = ros.talk('ai/embeddings', AudioEmbedding, qos.EMBEDDINGS)
        self.decisions = ros.talk('ai/decision', Decision, qos.EVENTS)
        self.off = set()
        self.sound = np.random.default_rng(0).uniform(-0.1, 0.1, 3_200).astype(np.float32)
        self.now_ns, self.steps = NS_PER_S, 0
        self.sent_ns = {}  # the last sign of life of each stage
        self.alarm.describe()

    def step(self):
        """The time goes on and every stage gives a sign of life; then safety_alert looks, as it does in real time."""
        self.now_ns += self.STEP_NS
        self.steps += 1
        self.clock.publish(Clock(clock=stamp_of(self.now_ns)))
        if 'capture' not in self.off:
            silent = 'silence' in self.off
            header = Header(stamp=stamp_of(self.now_ns), frame_id='mic')
            data = bytes_array(encode_s16le(self.sound * (not silent)))
            self._send('capture', self.alarm.audio, AudioDataStamped(header=header, audio=AudioData(data=data)))
            if not silent:
                self.sent_ns['silence'] = self.now_ns
            if self.steps % 2 == 0 and 'encoder' not in self.off:
                self._send('encoder', self.embeddings, AudioEmbedding())
                if 'decoder' not in self.off:
                    self._send('decoder', self.decisions, Decision())
        self.ros.taken('safety_alert', 2)
        self.health.clear()
        self.ros.until(lambda: self.health, 'safety_alert does not look')
        self.ros.until(lambda: nanoseconds_of(self.health[-1].header.stamp) == self.now_ns, 'the clock is not heard')

    def _send(self, stage, publisher, message):
        publisher.publish(message)
        self.sent_ns[stage] = self.now_ns

    def run_until(self, condition):
        for _ in range(100):
            if condition():
                return
            self.step()
        raise AssertionError('it did not come')

    def run_until_health(self, state):
        """What is said then."""
        self.run_until(lambda: self.health and self.health[-1].state == state)
        return self.health[-1]

    def since_s(self, sent_ns):
        return (self.now_ns - sent_ns) / NS_PER_S


@pytest.mark.cures(
    'start audio_capture where it does not run',
    'start chunk_encoder, or see what it says',
    'start decoder, or see what it says',
    'gives digital silence',
)
def test_an_assistant_that_has_gone_deaf_says_so_within_two_seconds_and_takes_it_back(ros):
    process = ros.start_active('safety_alert', use_sim_time='true')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    reports = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
    assistant = Assistant(ros)
    ros.until(lambda: assistant.health, process)
    assert assistant.health[-1].state == Health.STARTING
    assistant.run_until(lambda: assistant.since_s(0) > 5.0)
    assert not alerts
    for stage, words in (
        ('capture', 'no sound comes'),
        ('encoder', 'is not encoded'),
        ('decoder', 'nothing is decided'),
        ('silence', 'digital silence'),
    ):
        assistant.run_until(lambda: assistant.steps % 2 == 0)  # the whole of a chunk was sent, and decided on
        assistant.off = {stage}
        said = assistant.run_until_health(Health.DEAF)
        assert assistant.since_s(assistant.sent_ns[stage]) < 2.0
        ros.until(lambda: alerts, process)  # two topics have no common order
        (alert,) = alerts
        assert nanoseconds_of(alert.header.stamp) == nanoseconds_of(said.header.stamp) == assistant.now_ns
        assert list(said.reasons) == [alert.message]
        reports.clear()
        ros.until(lambda alert=alert: (DiagnosticStatus.ERROR, alert.message) in map(said_of, reports), process)
        assert (alert.hazard, alert.state, alert.severity) == ('listening_lost', SafetyAlert.RAISED, SafetyAlert.DANGER)
        assert alert.heard_by == SafetyAlert.SUPERVISION
        assert words in alert.message
        assistant.off = set()
        assistant.run_until_health(Health.HEARING)
        ros.until(lambda: alerts[-1].state == SafetyAlert.CLEARED, process)
        assert {heard.id for heard in alerts} == {alert.id}
        alerts.clear()
    assert process.end() == 0


def test_deafness_is_not_taken_back_while_it_lasts_however_soon_alerts_are_cleared(ros):
    process = ros.start_active('safety_alert', use_sim_time='true', clear_after_s=0.1)  # less than it looks every
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    assistant = Assistant(ros)
    assistant.run_until_health(Health.HEARING)
    assistant.off = {'decoder'}
    assistant.run_until_health(Health.DEAF)
    for _ in range(8):  # it looks so often, and finds it deaf
        assistant.step()
    assert [alert.state for alert in alerts] == [SafetyAlert.RAISED]
    assistant.off = set()
    assistant.run_until_health(Health.HEARING)
    ros.until(lambda: len(alerts) > 1, process)
    assert [alert.state for alert in alerts] == [SafetyAlert.RAISED, SafetyAlert.CLEARED]
    assert process.end() == 0


def test_an_alert_is_acknowledged_by_its_id(ros):
    process = ros.start_active('safety_alert', profile='care', language='chinese', supervise='false')
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)
    responses.publish(response('1', 'A chainsaw is running.'))  # ignored by this profile
    responses.publish(response('2', 'Fire!'))
    ros.until(lambda: alerts, 'no alert was raised')
    assert (alerts[0].hazard, alerts[0].message, alerts[0].acknowledged) == ('fire', '我听到火烧的声音。', False)
    wrong = ros.call(AcknowledgeAlert, 'ai/acknowledge_alert', AcknowledgeAlert.Request(id='nonesuch'))
    assert not wrong.success
    answer = ros.call(AcknowledgeAlert, 'ai/acknowledge_alert', AcknowledgeAlert.Request(id=alerts[0].id))
    assert answer.success
    ros.until(lambda: len(alerts) == 2, 'the acknowledgement was not published')
    assert alerts[1].acknowledged
    assert process.end() == 0


@pytest.mark.cures('so nothing passes; ')
def test_ends_that_do_not_fit_are_named_for_as_long_as_they_last_and_the_named_parameters_let_messages_pass(ros):
    """Best effort and volatile, as drivers like it."""
    process = ros.start_active('safety_alert', supervise='true')
    reports = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
    health = ros.hear('ai/health', Health, qos.LATCHED)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = ros.node.create_publisher(Response, 'ai/response', best_effort)
    ros.node.create_publisher(Header, 'audio_end', QoSProfile(depth=1))

    def told():
        return reports[-1].status[0].message, '; '.join(health[-1].reasons)

    both = ("'/ai/response': this node", "'/audio_end': this node")
    ros.until(lambda: reports and health and all(topic in words for topic in both for words in told()), process)
    ros.spin(6.0)  # longer than any event of DDS, or a growing count, is told of
    for words in told():
        assert "'/ai/response': this node subscribes with reliable volatile" in words
        assert f'(/{ros.node.get_name()} with best_effort volatile)' in words
    named = re.findall(r'-p (qos_overrides\S+):=(\w+)', process.log)
    assert process.end() == 0
    assert sorted(named) == [
        ('qos_overrides./ai/response.subscription.reliability', 'best_effort'),
        ('qos_overrides./audio_end.subscription.durability', 'volatile'),
    ]
    process = ros.start_active('safety_alert', supervise='true', **dict(named))
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)

    def raised():
        """By what is sent again and again: with best effort, one may be lost."""
        publisher.publish(response('1', 'Fire!'))
        return [alert for alert in alerts if alert.hazard == 'fire']

    ros.until(raised, process)
    assert 'incompatibly' not in process.log and 'changes nothing' not in process.log
    assert process.end() == 0


def test_a_node_that_falls_silent_or_complains_degrades_the_assistant(ros):
    process = ros.start_active('safety_alert', use_sim_time='true')
    diagnostics = ros.talk('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
    assistant = Assistant(ros)

    def report(name, level=DiagnosticStatus.OK, message='ok'):
        diagnostics.publish(DiagnosticArray(status=[DiagnosticStatus(level=level, name=name, message=message)]))

    report('/decoder')
    report('/elsewhere/decoder', DiagnosticStatus.ERROR, 'another robot is ill')
    ros.taken('safety_alert', 2)
    assistant.run_until_health(Health.HEARING)
    report('/decoder: status', DiagnosticStatus.WARN, 'growing: dropped_chunks')
    ros.taken('safety_alert')
    assistant.step()
    assert assistant.health[-1].state == Health.DEGRADED
    assert list(assistant.health[-1].reasons) == ['decoder: growing: dropped_chunks']
    report('/decoder')
    ros.taken('safety_alert')
    reported_ns = assistant.now_ns
    assistant.step()
    assert assistant.health[-1].state == Health.HEARING
    said = assistant.run_until_health(Health.DEGRADED)
    assert 1.0 < assistant.since_s(reported_ns) < 2.0
    assert list(said.reasons) == ['decoder does not report any more.']
    assert process.end() == 0


def test_timers_go_on_while_simulated_time_stands_still(ros):
    """As they do when somebody sets the machine's clock back: they are of the steady clock."""
    process = ros.start_active('safety_alert', use_sim_time='true')
    health = ros.hear('ai/health', Health, qos.LATCHED)
    ros.until(lambda: len(health) > 8, process)
    assert {message.header.stamp.sec for message in health} == {0}
    assert process.end() == 0
