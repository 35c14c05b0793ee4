"""What `audio-interaction devices` says to type is understood as it was meant."""

from __future__ import annotations

import shlex

import pytest
import yaml

from audio_interaction_ros.cli.devices import how

rclpy = pytest.importorskip('rclpy', reason='ROS 2 is not installed')

WORDS = [
    'default',
    'HDA Intel PCH: ALC257 Analog (hw:0,0)',
    'USB, ALSA',
    "Jo's mike",
    'on',
    '1.5',
    '#1',
    'a "b" $HOME',
    '7',
]


@pytest.mark.parametrize('word', WORDS)
def test_the_words_for_a_microphone_survive_the_shell_and_yaml(word):
    demo, launch, node, setting = how(word)
    assert shlex.split(demo) == ['audio-interaction', 'demo', '--mic', word]
    assert shlex.split(launch)[-1] == f'mic:={word}'
    assert str(yaml.safe_load(setting)['device']) == word
    context = rclpy.Context()
    rclpy.init(args=shlex.split(node)[4:], context=context)
    try:
        it = rclpy.create_node('it', context=context, start_parameter_services=False)
        given = it.declare_parameter('device', '', ignore_override=True) and it._parameter_overrides['device'].value
        it.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert given == (7 if word == '7' else word)
