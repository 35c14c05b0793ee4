"""event_log as a process: what is said and raised is kept, explained, flagged, exported and deleted, and no more."""

from __future__ import annotations

import csv
import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, Header

from audio_interaction_ros.audio.formats import encode_s16le
from audio_interaction_ros.events.log import EventLog
from audio_interaction_ros.msg import Decision, LoggedEvent, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from audio_interaction_ros.srv import DeleteEvents, ExplainEvent, ExportEvents, FlagEvent, ListEvents

pytestmark = pytest.mark.system
SERVICES = {
    'list': ListEvents,
    'explain': ExplainEvent,
    'flag': FlagEvent,
    'export': ExportEvents,
    'delete': DeleteEvents,
}
HOSTILE = "'); DROP TABLE events; --\x1b[2J"


class Robot:
    """What the other nodes would publish, and a person's questions."""

    def __init__(self, ros, process, path):
        self.ros, self.process, self.path = ros, process, path
        self.diagnostics = ros.hear('/diagnostics', DiagnosticArray, qos.DIAGNOSTICS)
        self.decisions = ros.talk('ai/decision', Decision, qos.EVENTS)
        self.responses = ros.talk('ai/response', Response, qos.EVENTS)
        self.alerts = ros.talk('ai/safety_alert', SafetyAlert, qos.ALERTS)
        self.stream_id = time.time_ns()
        self.chunk = 0

    def ask(self, service, **request):
        answer = self.ros.call(SERVICES[service], f'ai/events/{service}', SERVICES[service].Request(**request))
        assert answer is not None, self.process.log
        return answer

    def say(self, text, stamp_ns=None, cancelled=False, **changes):
        self.chunk += 1
        header = Header(stamp=stamp_of(stamp_ns or time.time_ns()), frame_id='mic')
        self.decisions.publish(
            Decision(
                header=header, stream_id=self.stream_id, chunk_index=self.chunk, chunks_drained=2, level_dbfs=-31.5,
                decision=Decision.RESPONSE, probability=0.97, checkpoint_digest='aaaa-bbbb',
            )
        )  # fmt: skip
        id_ = f'{self.stream_id}-{self.chunk}'
        given = {'id': id_, 'stream_id': self.stream_id, 'trigger_chunk': self.chunk, 'probability': 0.97, **changes}
        for final in (False, True):
            self.responses.publish(
                Response(
                    header=header, text=text, final=final, cancelled=cancelled and final, emotion='urgent', **given
                )
            )
        return given['id']

    def kept(self, count, without_text=0):
        """That many entries, once they are there and have got their text: topics have no common order.

        A response has then got what its decision and its last message say, too.
        """

        def whole(event):
            return event.kind != LoggedEvent.RESPONSE or {'level_dbfs', 'emotion'} <= json.loads(event.evidence).keys()

        def there():
            events[:] = self.ask('list').events
            texts = [event.text for event in events]
            return (
                len(events) >= count and texts.count('') == without_text and (without_text or all(map(whole, events)))
            )

        events = []
        self.ros.until(there, self.process)
        assert len(events) == count
        return events

    def measurements(self):
        """As they are now, not as they were when the newest report was on its way already."""
        now_ns = time.time_ns()
        self.ros.until(
            lambda: self.diagnostics and nanoseconds_of(self.diagnostics[-1].header.stamp) > now_ns, self.process
        )
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}


@pytest.fixture(scope='module')
def robot(shared_ros, tmp_path_factory):
    path = tmp_path_factory.mktemp('log') / 'events.db'
    process = shared_ros.start_active('event_log', path=path, audio_s=4.0)
    yield Robot(shared_ros, process, path)
    assert process.end() == 0
    assert 'Traceback' not in process.log


@pytest.fixture(autouse=True)
def empty(robot):
    robot.ask('delete', all=True)


def test_what_was_said_is_one_entry_with_its_evidence(robot):
    silent = Decision(decision=Decision.SILENT, probability=0.2)
    robot.decisions.publish(silent)
    id_ = robot.say('Fire! I hear flames.')
    (event,) = robot.kept(1)
    assert (event.kind, event.source_id, event.text) == (LoggedEvent.RESPONSE, id_, 'Fire! I hear flames.')
    assert event.probability == pytest.approx(0.97)
    assert event.header.frame_id == 'mic'
    evidence = json.loads(event.evidence)
    assert evidence['level_dbfs'] == pytest.approx(-31.5)
    assert (evidence['stream_id'], evidence['chunk_index'], evidence['chunks_drained']) == (
        robot.stream_id,
        robot.chunk,
        2,
    )
    assert (evidence['checkpoint_digest'], evidence['emotion']) == ('aaaa-bbbb', 'urgent')
    answer = robot.ask('explain')
    assert answer.success and answer.event.id == event.id
    assert answer.message.startswith('I said "Fire! I hear flames." (urgent) because of what I heard at ')
    assert 'a probability of 0.97' in answer.message and 'aaaa-bbbb' in answer.message


def test_an_alert_is_one_entry_from_raised_to_cleared(robot):
    alert = SafetyAlert(
        id='smoke_alarm-1', hazard='smoke_alarm', severity=SafetyAlert.DANGER, message='Three pulses.', confidence=0.8,
        heard_by=SafetyAlert.SIGNATURE,
    )  # fmt: skip
    for state in (SafetyAlert.RAISED, SafetyAlert.UPDATED, SafetyAlert.CLEARED):
        alert.state = state
        robot.alerts.publish(alert)
    robot.alerts.publish(SafetyAlert(id='fire-9', state=SafetyAlert.CLEARED))  # raised before the log began
    (event,) = robot.kept(1)
    robot.ros.until(lambda: json.loads(robot.kept(1)[0].evidence)['state'] == 'CLEARED', robot.process)
    evidence = json.loads(event.evidence)
    assert (evidence['hazard'], evidence['severity'], evidence['heard_by']) == ('smoke_alarm', 'DANGER', 'SIGNATURE')
    assert 'without the model: "Three pulses."' in robot.ask('explain', id=event.id).message


def test_hostile_text_is_kept_as_text_and_hostile_requests_are_refused(robot):
    robot.say(HOSTILE)
    robot.say('x' * 1_000_000)
    robot.say(HOSTILE, id=HOSTILE * 1_000)
    robot.alerts.publish(
        SafetyAlert(
            id=HOSTILE, hazard=HOSTILE, message=HOSTILE, severity=200, state=77, heard_by=0, confidence=float('nan')
        )
    )
    events = robot.kept(5, without_text=1)  # the third response has another id than its decision
    assert [event.text for event in events].count(HOSTILE) == 3
    assert max(len(event.text) for event in events) == 4_000
    assert robot.ask('explain', id=events[0].id).message.isprintable()
    refused = [
        robot.ask('flag', id=1, verdict=9),
        robot.ask('flag', id=events[0].id, verdict=LoggedEvent.FALSE_ALARM, heard='x' * 1_000_000),
        robot.ask('flag', id=events[0].id, verdict=LoggedEvent.WRONG_WORDS),
        robot.ask('explain', id=2**64 - 1),
        robot.ask('export', name='../../etc/cron.d/job'),
        robot.ask('export', name=HOSTILE * 10_000),
        robot.ask('delete'),
        robot.ask('delete', ids=[events[0].id], all=True),
    ]
    for answer in refused:
        assert not answer.success
        assert answer.message.isprintable() and 10 < len(answer.message) < 300
    assert robot.ask('flag', id=events[0].id, verdict=LoggedEvent.FALSE_ALARM, heard=HOSTILE).success
    assert robot.ask('list', flagged_only=True).events[0].heard == HOSTILE
    assert robot.ask('delete', ids=[2**64 - 1, events[1].id]).deleted == 1
    assert len(robot.ask('list').events) == 4


def test_rates_are_on_diagnostics(robot):
    before = robot.measurements()
    robot.say('One.')
    robot.say('Tw', cancelled=True)
    robot.alerts.publish(SafetyAlert(id=f'fire-{robot.chunk}', hazard='fire', message='Fire!'))
    assert [json.loads(event.evidence).get('cancelled') for event in robot.kept(3)].count(True) == 1
    robot.ask('flag', id=0, verdict=LoggedEvent.FALSE_ALARM)
    after = robot.measurements()
    grown = {name: int(after[name]) - int(before[name]) for name in after if name.endswith('_per_hour')}
    assert grown == {'interruptions_per_hour': 2, 'cancels_per_hour': 1, 'alerts_per_hour': 1, 'flags_per_hour': 1}
    assert after['events'] == '3' and float(after['log_mb']) > 0


def test_the_sound_of_a_false_alarm_becomes_a_training_clip(robot):
    listening = robot.ros.talk('ai/listening', Bool, qos.LATCHED)
    listening.publish(Bool(data=True))
    info = robot.ros.talk('audio_info', AudioInfo, qos.LATCHED)
    info.publish(AudioInfo(channels=1, sample_rate=16_000, sample_format='S16LE', coding_format='wave'))
    audio = robot.ros.talk('audio_stamped', AudioDataStamped, qos.AUDIO)
    robot.ros.taken('event_log')
    sent = 0
    start_ns = time.time_ns()

    def play(first_s, last_s):
        nonlocal sent
        for tenth in range(round(first_s * 10), round(last_s * 10)):
            header = Header(stamp=stamp_of(start_ns + tenth * 100_000_000), frame_id='mic')
            data = bytes_array(encode_s16le(np.full(1_600, tenth / 200)))
            audio.publish(AudioDataStamped(header=header, audio=AudioData(data=data)))
            sent += 1
            robot.ros.spin(0.01)

    play(0.0, 6.4)
    robot.say('Fire!', start_ns + 6_000_000_000)
    robot.kept(1)
    play(6.4, 10.0)
    robot.say('A dog.', start_ns + 9_600_000_000)
    robot.kept(2)
    robot.ros.taken('event_log', messages=sent)
    listening.publish(Bool(data=False))  # what follows the dog is never heard
    robot.ros.until(lambda: all(event.has_sound for event in robot.ask('list').events), robot.process)
    fire = robot.ask('list').events[1]
    assert robot.ask('export', name='nothing').success is False
    assert robot.ask('flag', id=fire.id, verdict=LoggedEvent.FALSE_ALARM, heard='kettle').success
    answer = robot.ask('export', name='week-1')
    assert answer.success and answer.clips == 1, answer.message
    assert Path(answer.folder) == robot.path.with_name('events.db.exports') / 'week-1'
    with (Path(answer.folder) / 'manifest.csv').open(newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['category'], row['respond']) == ('kettle', '0')
    samples, rate = soundfile.read(Path(answer.folder) / row['path'])
    assert rate == 16_000 and len(samples) == 4 * 16_000
    assert samples[0] == pytest.approx(0.2, abs=0.001)  # 4.0 s: two before the stamp
    assert samples[-1] == pytest.approx(0.395, abs=0.001)  # 7.9 s
    robot.ask('delete', all=True)
    assert not list(robot.path.with_name('events.db.sound').iterdir())
    robot.ros.node.destroy_publisher(listening)


def test_without_a_path_nothing_is_kept_and_rates_are_told(ros, tmp_path):
    home = tmp_path / 'home'
    home.mkdir()
    for variable in ('HOME', 'ROS_HOME', 'XDG_STATE_HOME', 'TMPDIR'):
        ros.environment[variable] = str(home)
    ros.environment['ROS_LOG_DIR'] = str(tmp_path / 'ros-logs')
    process = ros.start_active('event_log')
    robot = Robot(ros, process, None)
    assert ros.node.count_subscribers('audio_stamped') == 0
    robot.say('Fire!')
    ros.until(lambda: robot.measurements().get('interruptions_per_hour') == '1', process)
    for name in SERVICES:
        answer = robot.ask(name)
        assert not answer.success and 'no event log is kept; set path' in answer.message
    assert process.end() == 0
    assert not list(home.rglob('*'))


@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'path': '/no/such/folder/events.db'}, "the event log '/no/such/folder/events.db' cannot be used"),
        ({'audio_s': 5.0}, 'audio_s is 5.0 and path is empty'),
    ],
)
def test_a_log_that_cannot_be_kept_is_said_so_at_the_start(ros, parameters, sentence):
    process = ros.start('event_log', **parameters)
    assert process.wait() == 1
    assert sentence in process.log
    assert 'Traceback' not in process.log


def test_killed_in_the_middle_the_log_is_whole(ros, tmp_path):
    path = tmp_path / 'events.db'
    process = ros.start_active('event_log', path=path)
    robot = Robot(ros, process, path)
    for number in range(30):
        robot.say(f'Number {number}.')
        if number == 20:
            robot.kept(21)
            process.end(signal.SIGKILL)
    log = EventLog(path)
    assert [event.text for event in log.newest(100)] == [f'Number {number}.' for number in range(20, -1, -1)]
    log.close()
    process = ros.start_active('event_log', path=path)
    ros.reach(ListEvents, 'ai/events/list', ListEvents.Request(), process)
    assert len(robot.kept(21)) == 21
    assert process.end() == 0
