"""Responses and texts of other nodes become speech: real espeak-ng, real messages."""

from __future__ import annotations

import shutil
import stat

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from audio_common_msgs.msg import AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header

from audio_interaction_ros.msg import Decision, Response, SafetyAlert, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import nanoseconds_of
from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, SoundMessage
from audio_interaction_ros.nodes.speaker import SpeakerNode
from audio_interaction_ros.srv import CancelSpeech, Say
from tests.system.ros import Starvation
from tests.voice.speech_server import speech_server

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed'),
    pytest.mark.skipif(DESCRIBES_ITSELF, reason="this audio_common_msgs' messages have no AudioInfo on a topic"),
]
STORY = 'Once upon a time there was a robot who told very long stories to everybody who came along. ' * 3
RATE_HZ = 22_050


class Speaker:
    """A speaker that publishes its speech, and what a robot hears of it."""

    def __init__(self, in_process, **parameters):
        self.it = it = in_process(SpeakerNode, output='messages', **parameters)
        assert it.node.autostart()
        self.speech = it.hear(SoundMessage, 'ai/speech', qos.AUDIO)
        self.told = it.hear(Speaking, 'ai/speaking', qos.SWITCH)
        self.reports = it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.responses = it.talk(Response, 'ai/response', qos.EVENTS)
        self.clients = {
            'ai/say': it.beside.create_client(Say, 'ai/say'),
            'ai/say/cancel': it.beside.create_client(CancelSpeech, 'ai/say/cancel'),
        }
        self.published, publisher = 0, it.node._output._publisher
        publish = publisher.publish

        def counted(*given):
            self.published += 1
            publish(*given)

        publisher.publish = counted
        it.until(lambda: it.node.count_subscribers('/ai/speech') and self.told)
        it.until(lambda: all(client.service_is_ready() for client in self.clients.values()))

    def respond(self, id, text, **fields):
        self.responses.publish(Response(id=id, text=text, **fields))

    def call(self, service, request):
        future = self.clients[service].call_async(request)
        self.it.until(future.done)
        return future.result()

    def say(self, text, urgency=Speaking.NORMAL):
        return self.call('ai/say', Say.Request(text=text, urgency=urgency))

    def cancel(self, id=''):
        return self.call('ai/say/cancel', CancelSpeech.Request(id=id))

    def said(self, id):
        """What was told last of an utterance that is over; None before."""
        over = [one for one in self.told if one.id == id and not one.speaking]
        return over[-1] if over else None

    def until_said(self, id):
        self.it.until(lambda: self.said(id) is not None)
        return self.said(id)

    def until_heard(self):
        """Until all of the speech has come that was published; it is on another topic than what is told of it."""
        self.it.until(lambda: len(self.speech) >= self.published)

    def counted(self, key):
        pairs = [pair for report in self.reports[-1:] for pair in report.status[0].values]
        return next((int(pair.value) for pair in pairs if pair.key == key), 0)

    @property
    def samples(self):
        blocks = [np.frombuffer(bytes(message.audio.data), '<i2') for message in self.speech]
        return np.concatenate([np.empty(0, '<i2'), *blocks])

    @property
    def now_ns(self):
        return self.it.node.get_clock().now().nanoseconds

    def last_due_ns(self):
        """When the last sample is to be played that was published."""
        last = self.speech[-1]
        return nanoseconds_of(last.header.stamp) + len(last.audio.data) // 2 * 1_000_000_000 // RATE_HZ


def test_a_response_is_said_once_while_it_is_written_and_that_is_told(in_process):
    speaker = Speaker(in_process)
    formats = speaker.it.hear(AudioInfo, 'ai/speech_info', qos.LATCHED)
    speaker.respond('1', 'Fire! I hear fla', emotion='normal')
    speaker.it.until(lambda: len(speaker.speech) > 5)
    for _ in range(3):
        speaker.respond('1', 'Fire! I hear flames crackling.', emotion='normal', final=True)
    told = speaker.until_said('1')
    assert (told.said, told.broken_off) == ('Fire! I hear flames crackling.', False)
    assert [one.text for one in speaker.told if one.text] == ['Fire!', 'I hear flames crackling.']
    speaker.it.until(lambda: formats)
    assert (formats[0].sample_rate, formats[0].channels, formats[0].sample_format) == (RATE_HZ, 1, 'S16LE')
    speaker.until_heard()
    samples = speaker.samples
    assert 1.0 < len(samples) / RATE_HZ < 5.0
    assert np.abs(samples).max() > 3_000
    assert speaker.speech[0].header.frame_id == 'loudspeaker'
    stamps = [nanoseconds_of(message.header.stamp) for message in speaker.speech]
    assert stamps == sorted(stamps)
    speaker.respond('1', 'Fire! I hear flames crackling.', final=True)
    speaker.it.spin(0.5)
    assert len(speaker.samples) == len(samples)
    late = speaker.it.hear(Speaking, 'ai/speaking', qos.LATCHED)
    speaker.it.until(lambda: late)
    assert (late[0].id, late[0].speaking, late[0].said) == ('1', False, 'Fire! I hear flames crackling.')


def test_another_machine_speaks_where_one_is_named_and_a_response_that_it_refuses_costs_nothing_else(in_process):
    with speech_server() as server:
        speaker = Speaker(in_process, engine='server', voice=server.voice())
        speaker.respond('1', 'A siren!', final=True)
        assert speaker.until_said('1').said == 'A siren!'
        server.manner = 'refuses'
        speaker.respond('2', 'A dog barks.', final=True)
        assert speaker.until_said('2').said == ''
        speaker.it.until(lambda: speaker.counted('engine_failures') == 1)
        server.manner = 'well'
        speaker.respond('3', 'A door bell.', final=True)
        assert speaker.until_said('3').said == 'A door bell.'
        assert [request['input'] for request in server.requests[1:]] == ['A siren!', 'A dog barks.', 'A door bell.']


def test_what_is_played_is_told_to_who_cancels_echoes_with_the_time_at_which_it_sounds(in_process):
    speaker = Speaker(in_process)
    reference = speaker.it.hear(SoundMessage, 'ai/echo_reference', qos.AUDIO)
    formats = speaker.it.hear(AudioInfo, 'ai/echo_reference_info', qos.LATCHED)
    speaker.it.until(lambda: speaker.it.node.count_subscribers('/ai/echo_reference'))
    speaker.respond('1', 'A siren!', final=True)
    speaker.until_said('1')
    speaker.it.until(lambda: len(reference) == len(speaker.speech))
    assert formats[-1].sample_rate == RATE_HZ
    for told, spoken in zip(reference, speaker.speech, strict=True):
        assert told.audio.data == spoken.audio.data
        assert abs(nanoseconds_of(told.header.stamp) - nanoseconds_of(spoken.header.stamp)) < 20_000_000


def test_a_response_that_the_decoder_cancels_is_silent_within_150_ms(in_process):
    speaker = Speaker(in_process)
    speaker.respond('1', STORY)
    speaker.it.until(lambda: len(speaker.speech) > 10)
    starved, asked_ns = Starvation(), speaker.now_ns
    speaker.respond('1', STORY, final=True, cancelled=True)
    told = speaker.until_said('1')
    speaker.until_heard()
    assert told.broken_off and STORY.startswith(told.said) and len(told.said) < 30
    assert (speaker.last_due_ns() - asked_ns) * 1e-9 < 0.15 + starved.seconds
    speaker.it.until(lambda: speaker.counted('cancelled') == 1)


def test_an_alert_that_no_response_says_is_said_once_and_again_when_nobody_acknowledged_it(in_process):
    speaker = Speaker(in_process, quiet_hours='00:00-23:59')
    alerts = speaker.it.talk(SafetyAlert, 'ai/safety_alert', qos.ALERTS)
    smoke = {'id': '7', 'severity': SafetyAlert.DANGER, 'message': 'A smoke alarm sounds; look for fire.'}
    by_alarm, by_model = {'heard_by': SafetyAlert.SIGNATURE}, {'heard_by': SafetyAlert.MODEL, 'response_id': '1'}
    for alert in (
        SafetyAlert(**smoke, **by_alarm),
        SafetyAlert(**smoke, **by_alarm, state=SafetyAlert.UPDATED),
        SafetyAlert(**smoke | {'id': '8'}, **by_model),  # which the response said
        SafetyAlert(**smoke | {'id': '9', 'severity': SafetyAlert.INFO}, **by_alarm),
        SafetyAlert(**smoke, **by_alarm, state=SafetyAlert.UPDATED, escalations=1),
        SafetyAlert(**smoke, **by_alarm, state=SafetyAlert.UPDATED, escalations=2, acknowledged=True),
        SafetyAlert(**smoke | {'id': '10'}, **by_alarm, state=SafetyAlert.CLEARED),
        SafetyAlert(**smoke | {'id': '10'}, **by_alarm),  # as late as it is over
    ):
        alerts.publish(alert)
    assert speaker.until_said('alert-7-0').said == speaker.until_said('alert-7-1').said == 'A smoke alarm sounds'
    speaker.respond('2', 'A siren!', urgent=True, final=True)
    assert speaker.until_said('2').said == 'A siren!'
    said = [one.id for one in speaker.told if one.speaking]
    assert said == ['alert-7-0', 'alert-7-1', '2']


def test_what_is_urgent_breaks_off_the_rest_and_is_said_at_once(in_process):
    speaker = Speaker(in_process)
    speaker.respond('1', STORY, final=True)
    speaker.it.until(lambda: any(one.id == '1' and one.speaking for one in speaker.told) and speaker.speech)
    speaker.say('Nice weather.', Speaking.CHATTY)
    speaker.respond('2', 'A siren!', urgent=True, emotion='urgent', final=True)
    assert speaker.until_said('2').said == 'A siren!'
    assert speaker.said('1').broken_off
    speaker.it.until(lambda: speaker.told[-1].said == 'Nice weather.')
    spoken = [one.text for one in speaker.told if one.text]
    assert spoken[-2:] == ['A siren!', 'Nice weather.']


def test_who_talks_over_it_silences_it_within_150_ms_and_is_listened_to_and_what_was_spoken_is_told(in_process):
    speaker = Speaker(in_process)
    voice = speaker.it.talk(Bool, 'ai/voice', qos.EVENTS)
    speaker.respond('1', f'Good morning! {STORY}')
    speaker.it.until(lambda: any(one.said == 'Good morning!' for one in speaker.told))
    speaker.it.spin(1.0)
    starved, asked_ns = Starvation(), speaker.now_ns
    voice.publish(Bool(data=True))
    told = speaker.until_said('1')
    assert told.broken_off
    assert STORY.startswith(told.said.removeprefix('Good morning! '))
    assert 5 < len(told.said.removeprefix('Good morning! ')) < 40
    speaker.it.spin(0.2)
    assert (speaker.last_due_ns() - asked_ns) * 1e-9 < 0.15 + starved.seconds
    speaker.respond('2', 'Nice weather.', final=True)
    answer = speaker.say('The bath overflows!', Speaking.URGENT)
    speaker.until_said(answer.id)
    assert speaker.said('2') is None
    voice.publish(Bool(data=False))
    assert speaker.until_said('2').said == 'Nice weather.'
    speaker.it.until(lambda: speaker.counted('barged_in') == 1)


def test_where_the_model_judges_its_next_answer_ends_the_one_before_and_a_voice_alone_does_not(in_process):
    speaker = Speaker(in_process, barge_in='model')
    decisions = speaker.it.talk(Decision, 'ai/decision', qos.EVENTS)
    voice = speaker.it.talk(Bool, 'ai/voice', qos.EVENTS)
    speaker.respond('7-1', STORY)
    speaker.it.until(lambda: len(speaker.speech) > 10)
    voice.publish(Bool(data=True))
    decisions.publish(Decision(stream_id=7, chunk_index=1, decision=Decision.RESPONSE))
    decisions.publish(Decision(stream_id=7, chunk_index=5, decision=Decision.SILENT))
    speaker.it.spin(0.5)
    assert speaker.said('7-1') is None
    decisions.publish(Decision(stream_id=7, chunk_index=6, decision=Decision.RESPONSE))
    speaker.respond('7-6', 'Yes?', final=True)
    assert speaker.until_said('7-6').said == 'Yes?'
    assert speaker.said('7-1').broken_off


def test_another_node_says_and_cancels_by_the_same_mouth(in_process):
    speaker = Speaker(in_process)
    assert not speaker.cancel().success
    answer = speaker.say('Dinner; is ready. -v nosuch <speak>')
    assert answer.success
    assert speaker.until_said(answer.id).said == 'Dinner; is ready. -v nosuch <speak>'
    for text, sentence in (
        ('x' * 10_000, 'the text has 10000 characters, at most 1000 expected; say it in parts'),
        ('\x1b', 'nothing in it to pronounce; give words'),
    ):
        refused = speaker.say(text)
        assert not refused.success and sentence in refused.message and not refused.id
    long = speaker.say(STORY)
    speaker.it.until(lambda: any(one.id == long.id and one.speaking for one in speaker.told))
    assert speaker.cancel(long.id).message == '1 cancelled'
    assert speaker.until_said(long.id).broken_off


def test_quiet_hours_and_volume_count_at_once(in_process):
    speaker = Speaker(in_process)
    node = speaker.it.node
    node.set_parameters([Parameter('quiet_hours', value='00:00-23:59'), Parameter('volume', value=0.0)])
    assert 'quiet hours' in speaker.say('Dinner is ready.').message
    speaker.respond('1', 'Bless you!', final=True)
    answer = speaker.say('The bath overflows!', Speaking.URGENT)
    assert speaker.until_said(answer.id).said == 'The bath overflows!'
    speaker.until_heard()
    assert len(speaker.samples) and not speaker.samples.any()
    speaker.it.until(lambda: speaker.counted('quiet_hours') == 1)
    refused = node.set_parameters([Parameter('quiet_hours', value='night')])[0]
    assert not refused.successful and 'as 22:00-07:00, or nothing' in refused.reason


@pytest.mark.cures('a text was too old to be said')
def test_a_response_to_what_was_heard_long_ago_is_not_said_and_one_to_what_was_heard_now_is(in_process):
    speaker = Speaker(in_process)
    stamp = speaker.it.node.get_clock().now().to_msg()
    speaker.respond('1', 'A siren!', urgent=True, final=True, header=Header(stamp=stamp))
    stamp.sec -= 60
    speaker.respond('0', 'Fire!', urgent=True, final=True, header=Header(stamp=stamp))
    speaker.until_said('1')
    speaker.it.until(lambda: speaker.counted('stale') == 1)
    assert not any(one.id == '0' for one in speaker.told)


def test_an_engine_that_fails_is_counted_and_the_next_text_is_said(in_process, tmp_path, monkeypatch):
    good = shutil.which('espeak-ng')
    program = tmp_path / 'espeak-ng'
    program.write_text(
        f'#!/bin/sh\nif [ -e {tmp_path}/broken ]; then echo out of order >&2; exit 1; fi\nexec {good} "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    speaker = Speaker(in_process)
    (tmp_path / 'broken').touch()
    assert speaker.until_said(speaker.say('Hello.').id).said == ''
    speaker.it.until(lambda: speaker.counted('engine_failures') == 1)
    (tmp_path / 'broken').unlink()
    assert speaker.until_said(speaker.say('Hello.').id).said == 'Hello.'


def test_deactivation_ends_what_is_being_said_and_nothing_of_before_is_said_after_it(in_process):
    speaker = Speaker(in_process)
    speaker.say(STORY)
    waiting = speaker.say('Dinner is ready.')
    speaker.it.until(lambda: len(speaker.speech) > 10)
    speaker.it.node.trigger_deactivate()
    speaker.it.until(lambda: speaker.told[-1].broken_off)
    assert 'not active' in speaker.say('Hello.').message
    speaker.it.node.trigger_activate()
    answer = speaker.say('Hello.')
    speaker.it.until(lambda: speaker.told[-1].said == 'Hello.')
    assert answer.success
    assert not any(one.text == 'Dinner is ready.' for one in speaker.told), waiting


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'voice': 'klingon-x'}, "espeak-ng failed with voice 'klingon-x'"),
        ({'engine': 'piper'}, "the program 'piper' is not there; install it (pip install piper-tts)"),
        ({'output': 'device', 'device': 'no such loudspeaker'}, "no loudspeaker matches 'no such loudspeaker'"),
    ],
)
def test_what_is_missing_is_named_and_the_node_stays_unconfigured(in_process, capfd, parameters, sentence):
    it = in_process(SpeakerNode, **{'output': 'messages', **parameters})
    assert not it.node.autostart()
    assert it.state == 'unconfigured'
    assert sentence in capfd.readouterr().err
