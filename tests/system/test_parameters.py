"""One source of parameters: the YAML, docs/reference.md and ROS follow it; what does not fit it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import yaml
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.parameter import parameter_value_to_python

from audio_interaction_ros.msg import Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.parameters import (
    NODES,
    AudioCaptureParameters,
    DecoderParameters,
    ParameterError,
    SafetyAlertParameters,
    bounds,
    markdown_reference,
    validated,
)

ROOT = Path(__file__).parents[2]


def test_the_yaml_file_holds_every_parameter_with_its_default():
    content = yaml.safe_load((ROOT / 'config' / 'assistant.yaml').read_text())
    expected = {f'/**/{name}': {'ros__parameters': validated(cls, {}).model_dump()} for name, cls in NODES.items()}
    assert content == expected


def test_the_reference_shows_the_generated_tables():
    reference = (ROOT / 'docs' / 'reference.md').read_text()
    begin, end = '<!-- parameters: python -m audio_interaction_ros.nodes.parameters -->', '<!-- end of parameters -->'
    assert begin in reference and end in reference
    shown = reference.partition(begin)[2].partition(end)[0].strip()
    assert shown == markdown_reference(), 'run python -m audio_interaction_ros.nodes.parameters and paste its output'


@pytest.mark.parametrize(
    ('cls', 'given', 'sentence'),
    [
        (AudioCaptureParameters, {'devise': 'x'}, "no parameter 'devise'; did you mean 'device'"),
        (AudioCaptureParameters, {'block_ms': 10}, "'block_ms' is 10; a whole number from 20 to 100 expected"),
        (AudioCaptureParameters, {'block_ms': '40'}, 'a whole number'),
        (AudioCaptureParameters, {'block_ms': True}, 'a whole number'),
        (AudioCaptureParameters, {'device': 1.5}, 'text or a whole number expected'),
        (AudioCaptureParameters, {'channels': 'left'}, "channels is 'left'; give the number of a channel"),
        (AudioCaptureParameters, {'channels': -1}, "channels is '-1'; give the number of a channel"),
        (AudioCaptureParameters, {'autostart': 'yes'}, 'true or false expected'),
        (DecoderParameters, {'response_threshold': 1.0}, 'a number from 0 below 1 expected'),
        (DecoderParameters, {'response_threshold': float('nan')}, 'response_threshold'),
        (SafetyAlertParameters, {'cooldown_s': 5.0}, 'set cooldown_s to at least clear_after_s'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(cls, given, sentence):
    with pytest.raises(ParameterError) as refused:
        validated(cls, given)
    assert sentence in str(refused.value)
    assert '\n' not in str(refused.value)


def test_what_fits_is_taken():
    assert validated(AudioCaptureParameters, {'device': 3, 'use_sim_time': True}).device == 3
    assert validated(SafetyAlertParameters, {'cooldown_s': 90}).cooldown_s == 90.0
    assert validated(DecoderParameters, {'file': 'x.wav'}, also_known=['file']) == DecoderParameters()


@pytest.mark.parametrize(('node', 'name'), [(node, name) for node, cls in NODES.items() for name in cls.model_fields])
def test_every_misspelt_parameter_is_told_its_name(node, name):
    middle = len(name) // 2
    for typo in (
        name[:middle] + name[middle + 1 :],
        f'{name}s',
        name.replace('_', '', 1) if '_' in name else f'{name}_',
    ):
        with pytest.raises(ParameterError, match=f"no parameter '{typo}'; did you mean '{name}'"):
            validated(NODES[node], {typo: 1})


def another(field):
    """A value that fits and is not the default."""
    if field.examples:
        return field.examples[0]
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[-1]
    if field.annotation in (int, float):
        low, high = bounds(field)
        value = (low + field.default) / 2 if field.default > low else (field.default + high) / 2
        return field.annotation(value)
    return {bool: not field.default, str: 'text', str | int: 3, list[str]: ['left']}[field.annotation]


@pytest.mark.system
@pytest.mark.parametrize('node', NODES)
def test_every_parameter_can_be_set_and_not_be_set_wrong(ros, node):
    process = ros.start(node, autostart='false')
    ros.wait_state(node, 'unconfigured', process)

    def change(name, value):
        parameter = RclpyParameter(name, value=value).to_parameter_msg()
        return ros.call(SetParameters, f'{node}/set_parameters', SetParameters.Request(parameters=[parameter]))

    for name, field in NODES[node].model_fields.items():
        if name == 'autostart':  # read when the process starts
            assert not change(name, True).results[0].successful
            continue
        unfit = True if field.annotation in (str, str | int, list[str]) else 'nonsense'
        wrong = change(name, unfit).results[0]
        assert not wrong.successful and wrong.reason and '\n' not in wrong.reason, name
        assert change(name, another(field)).results[0].successful, name
        answer = ros.call(GetParameters, f'{node}/get_parameters', GetParameters.Request(names=[name]))
        assert parameter_value_to_python(answer.values[0]) == another(field), name
        typo = change(f'{name}x', another(field))
        assert not typo.results[0].successful, name
    assert process.end() == 0


@pytest.mark.system
@pytest.mark.parametrize(
    ('parameters', 'sentence'),
    [
        ({'cooldwn_s': 90.0}, "there is no parameter 'cooldwn_s'; did you mean 'cooldown_s'?"),
        ({'cooldown_s': 'long'}, "parameter 'cooldown_s' is 'long'"),
        ({'hazards_file': '/no/such/file.yaml'}, 'no hazard taxonomy'),
    ],
)
def test_a_node_with_a_wrong_parameter_says_so_and_ends(ros, parameters, sentence):
    process = ros.start('safety_alert', **parameters)
    assert process.wait() == 1
    assert sentence in process.log
    assert 'Traceback' not in process.log


@pytest.mark.system
def test_live_parameters_count_at_once_and_others_while_the_node_is_unconfigured(ros):
    process = ros.start_active('safety_alert', supervise='false', clear_after_s=3_000.0, cooldown_s=5_000.0)
    alerts = ros.hear('ai/safety_alert', SafetyAlert, qos.ALERTS)
    responses = ros.talk('ai/response', Response, qos.EVENTS)

    def change(name, kind, **value):
        parameter = Parameter(name=name, value=ParameterValue(type=kind, **value))
        request = SetParameters.Request(parameters=[parameter])
        return ros.call(SetParameters, 'safety_alert/set_parameters', request).results[0]

    def change_seconds(name, value):
        return change(name, ParameterType.PARAMETER_DOUBLE, double_value=value)

    responses.publish(Response(id='1', text='Fire!', urgent=True, final=True))
    ros.until(lambda: len(alerts) == 1, 'no alert was raised')
    assert 'set cooldown_s to at least clear_after_s' in change_seconds('cooldown_s', 5.0).reason
    assert 'out of range' in change_seconds('clear_after_s', -1.0).reason
    assert change_seconds('clear_after_s', 0.5).successful
    ros.until(lambda: len(alerts) == 2, 'the alert was not cleared after the new time')
    assert alerts[1].state == SafetyAlert.CLEARED
    assert change('language', ParameterType.PARAMETER_STRING, string_value='chinese').successful
    responses.publish(Response(id='2', text='Fire!', urgent=True, final=True))
    ros.until(lambda: len(alerts) >= 3, 'no alert was raised')
    assert alerts[2].message == '我听到火烧的声音。'
    refused = change('supervise', ParameterType.PARAMETER_BOOL, bool_value=True)
    assert not refused.successful
    assert 'supervise: read at configure; deactivate and clean up the node first' in refused.reason
    assert ros.change_state('safety_alert', 'deactivate')
    assert change_seconds('cooldown_s', 90.0).successful
    assert ros.change_state('safety_alert', 'cleanup')
    assert change('supervise', ParameterType.PARAMETER_BOOL, bool_value=True).successful
    assert ros.change_state('safety_alert', 'configure')
    assert ros.change_state('safety_alert', 'activate')
    ros.wait_state('safety_alert', 'active', process)
    assert process.end() == 0
