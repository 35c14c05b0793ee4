"""What a node says on /diagnostics is what diagnostic_updater's tools expect."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log

from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.audio_capture import AudioCaptureNode
from audio_interaction_ros.nodes.diagnostics import FrequencyStatus, merge_summaries
from audio_interaction_ros.nodes.sound import SoundMessage
from tests.system.ros import ROSOUT

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def test_the_highest_level_counts_and_every_complaint_is_told():
    assert merge_summaries([(OK, 'ok')]) == (OK, 'ok')
    assert merge_summaries([(OK, 'ok'), (WARN, 'growing: gaps')]) == (WARN, 'growing: gaps')
    summaries = [(OK, 'ok'), (WARN, 'growing: gaps'), (ERROR, 'The microphone is lost.')]
    assert merge_summaries(summaries) == (ERROR, 'growing: gaps; The microphone is lost.')


def test_a_frequency_is_that_of_the_last_reports():
    frequency = FrequencyStatus(0.0)
    assert frequency.report(0.5)[0] == 'No events recorded.'
    for now_s in np.arange(1.0, 6.0, 0.5):
        for _ in range(5):
            frequency.tick()
        message, values = frequency.report(float(now_s))
    assert message == 'Desired frequency met'
    assert values == {
        'Events in window': 25,
        'Events since startup': 50,
        'Duration of window (s)': '2.500',
        'Actual frequency (Hz)': '10.000',
    }


@pytest.mark.system
def test_a_node_reports_its_state_and_how_often_it_publishes(in_process, tmp_path):
    sound = tmp_path / 'sound.wav'
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 60), 16_000)
    it = in_process(AudioCaptureNode, file=sound)
    it.hear(SoundMessage, 'audio_stamped', qos.AUDIO)
    reports = it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
    assert it.node.autostart()
    it.until(lambda: reports and reports[-1].status[-1].message == 'Desired frequency met')
    it.spin(3.0)
    it.until(lambda: reports[-1].status[0].message == 'ok')  # a machine that stood still is told of for two seconds
    status, rate = reports[-1].status
    assert (status.name, status.level) == ('/audio_capture: status', OK)
    assert (rate.name, rate.level) == ('/audio_capture: audio_stamped topic status', OK)
    assert {one.hardware_id for one in (status, rate)} == {'none'}  # a file
    values = {pair.key: pair.value for pair in rate.values}
    assert 0 < int(values['Events in window']) <= int(values['Events since startup'])
    it.node.trigger_deactivate()
    it.node.trigger_cleanup()
    it.until(lambda: [one.name for one in reports[-1].status] == ['/audio_capture: status'])  # one may be on its way


def test_a_condition_is_logged_when_it_begins_and_ends_and_is_reported_while_it_lasts(in_process, tmp_path):
    sound = tmp_path / 'sound.wav'
    soundfile.write(sound, np.zeros(16_000), 16_000)
    it = in_process(AudioCaptureNode, file=sound)
    reports = it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
    logged = it.hear(Log, '/rosout', ROSOUT)
    diagnostics = it.node.diagnostics

    def said():
        return reports and (reports[-1].status[0].level, reports[-1].status[0].message)

    for level, name in ((WARN, 'WARN'), (ERROR, 'ERROR')):
        reports.clear()
        for _ in range(2):
            diagnostics.condition('level', f'it is quiet ({name})', level)
        it.until(lambda level=level, name=name: said() == (level, f'it is quiet ({name})'))
    diagnostics.condition('level', '')
    it.until(lambda: said() == (OK, 'ok'))
    diagnostics.condition('level', 'it is quiet again')
    it.until(lambda: said() == (WARN, 'it is quiet again'))
    it.until(lambda: said() == (OK, 'ok'))  # nobody tells of it any more

    def words():
        return [entry.msg for entry in logged if 'it is quiet' in entry.msg]

    expected = ['it is quiet (WARN)', 'it is quiet (ERROR)', 'over: it is quiet (ERROR)', 'it is quiet again']
    it.until(lambda: len(words()) >= len(expected))  # /rosout may come after /diagnostics
    assert words() == expected
