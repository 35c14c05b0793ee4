"""All nodes together: as four processes, as one, and when one of them dies."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import soundfile
from std_srvs.srv import SetBool

from audio_interaction_ros.msg import Decision, Health, Response
from audio_interaction_ros.nodes import qos
from tests.system.ros import COMPOSED
from tests.tiny_checkpoint import write_tiny_checkpoint

pytestmark = [pytest.mark.system, pytest.mark.slow]
PATIENCE_S = 120.0  # with the endless answers of a random model


@pytest.fixture(scope='module')
def patient_checkpoint(tmp_path_factory):
    """With a context, and so a queue, long enough for the endless answers of a random model on a busy machine."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp('patient') / 'tiny', max_context_chunks=64)


@pytest.fixture
def recording(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, 5 * 16_000)
    soundfile.write(tmp_path / 'recording.wav', sound, 16_000)
    return tmp_path / 'recording.wav'


def chunks_decided(decisions):
    return sum(decision.chunks_drained for decision in decisions)


def test_four_processes_hear_a_file_and_survive_the_death_of_one(ros, patient_checkpoint, recording):
    processes = {
        name: ros.start(name, **parameters)
        for name, parameters in {
            'safety_alert': {},
            'decoder': {'checkpoint': patient_checkpoint},
            'chunk_encoder': {'checkpoint': patient_checkpoint},
        }.items()
    }
    for name, process in processes.items():
        ros.wait_state(name, 'active', process)
    decisions = ros.hear('ai/decision', Decision)
    responses = ros.hear('ai/response', Response)
    processes['audio_capture'] = ros.start_active('audio_capture', file=recording)
    ros.until(lambda: chunks_decided(decisions) == 12, processes['decoder'], PATIENCE_S)
    assert {decision.chunks_lost for decision in decisions} == {0}
    answered = {f'{decision.stream_id}-{decision.chunk_index}' for decision in decisions if decision.decision}
    ros.until(
        lambda: {response.id for response in responses} == answered, 'a decision to speak was not followed by text'
    )

    assert processes['chunk_encoder'].end(signal.SIGKILL) == -signal.SIGKILL
    ros.spin(1.0)
    assert all(process.alive for name, process in processes.items() if name != 'chunk_encoder')
    first_stream = decisions[0].stream_id
    decisions.clear()
    ros.start_active('chunk_encoder', checkpoint=patient_checkpoint)
    assert processes['audio_capture'].end() == 0
    ros.start_active('audio_capture', file=recording)
    ros.until(lambda: chunks_decided(decisions) == 12, 'the restarted encoder is not heard', PATIENCE_S)
    assert decisions[0].stream_id > first_stream
    for name in ('decoder', 'safety_alert'):
        assert processes[name].end(signal.SIGTERM) == 0
        assert 'Traceback' not in processes[name].log


def test_two_assistants_on_one_machine_hear_their_own_sound_alone(ros, patient_checkpoint, recording):
    names = ('left', 'right')
    given = {'checkpoint': patient_checkpoint, 'file': recording, 'listening': 'false'}
    processes = {name: ros.start('assistant', '-r', f'__ns:=/{name}', **given) for name in names}
    for name, process in processes.items():
        for node in COMPOSED:
            ros.wait_state(f'/{name}/{node}', 'active', process)
    decisions = {name: ros.hear(f'/{name}/ai/decision', Decision) for name in names}
    health = {name: ros.hear(f'/{name}/ai/health', Health, qos.SWITCH) for name in names}

    assert ros.call(SetBool, '/left/ai/set_listening', SetBool.Request(data=True)).success
    ros.until(lambda: chunks_decided(decisions['left']) == 12, processes['left'], PATIENCE_S)
    assert not decisions['right']
    ros.until(lambda: any(message.state == Health.HEARING for message in health['left']), processes['left'])
    ros.until(lambda: health['right'] and health['right'][-1].state == Health.SWITCHED_OFF, processes['right'])

    assert ros.call(SetBool, '/right/ai/set_listening', SetBool.Request(data=True)).success
    ros.until(lambda: chunks_decided(decisions['right']) == 12, processes['right'], PATIENCE_S)
    assert chunks_decided(decisions['left']) == 12
    for process in processes.values():
        assert process.end() == 0
        assert 'Traceback' not in process.log


def test_one_process_holds_all_five(ros, patient_checkpoint, recording):
    decisions = ros.hear('ai/decision', Decision)
    file, waiting = f'audio_capture:file:={recording}', 'audio_capture:autostart:=false'
    process = ros.start('assistant', '-p', file, '-p', waiting, checkpoint=patient_checkpoint)
    for name in ('event_log', 'safety_alert', 'decoder', 'chunk_encoder'):
        ros.wait_state(name, 'active', process)
    # Only now, so that the test hears the first decision too.
    assert ros.change_state('audio_capture', 'configure')
    assert ros.change_state('audio_capture', 'activate')
    ros.until(lambda: chunks_decided(decisions) == 12, process, PATIENCE_S)
    assert process.end() == 0
    assert 'Traceback' not in process.log
