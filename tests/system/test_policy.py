"""config/sros2 allows what the running nodes do, and nothing else; the service file says what there is."""

from __future__ import annotations

import configparser
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.nodes.parameters import NODES
from tests.system.ros import free_port

ROOT = Path(__file__).parents[2]
INCLUDE = '{http://www.w3.org/2001/XInclude}include'


def allowed(name: str) -> dict[str, set[str]]:
    """What the policy lets a node at the root publish, subscribe to and reply to."""
    profiles = ElementTree.parse(ROOT / 'config' / 'sros2' / 'policy.xml').getroot().iter('profile')
    profile = next(element for element in profiles if element.get('node') == name)
    common = ElementTree.parse(ROOT / 'config' / 'sros2' / profile.find(INCLUDE).get('href')).getroot()
    found: dict[str, set[str]] = {'publish': set(), 'subscribe': set(), 'reply': set()}
    for group in (*profile, *common):
        for kind in found:
            if group.get(kind) == 'ALLOW':
                texts = (element.text for element in group)
                found[kind] |= {text if text[0] == '/' else f'/{text.replace("~", name)}' for text in texts}
    return found


@pytest.mark.system
def test_the_policy_is_what_the_nodes_do(ros, tiny_checkpoint, tmp_path):
    sound = tmp_path / 'sound.wav'
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 60), 16_000)
    tools = tmp_path / 'tools.yaml'
    tools.write_text('tools: [{name: wait, description: Wait., does: {timer: {seconds: 1}}}]')
    process = ros.start(
        'assistant', checkpoint=tiny_checkpoint, file=sound, path=tmp_path / 'events.db', audio_s=2.0, tools_file=tools
    )
    beside = {
        'speaker': ros.start('speaker', output='messages'),  # which has a topic more than with a loudspeaker
        'tool_bridge': ros.start('tool_bridge', tools_file=tools),
        'monitor': ros.start('monitor', checkpoint=tiny_checkpoint, port=free_port()),
    }
    for name in NODES:
        ros.wait_state(name, 'active', beside.get(name, process))
        expected, node = allowed(name), ros.node

        def found(of=node, name=name):
            """What is known of a node; it becomes known bit by bit."""
            asked = (
                of.get_publisher_names_and_types_by_node,
                of.get_subscriber_names_and_types_by_node,
                of.get_service_names_and_types_by_node,
            )
            if name not in of.get_node_names():
                return [set[str]()] * len(asked)
            return [{each for each, _ in ask(name, '/')} for ask in asked]

        # /clock is for use_sim_time; whether a node hears of parameters is rclpy's affair.
        own = expected['subscribe'] - {'/clock', '/parameter_events'}
        wanted = expected['publish'], own, expected['reply']
        ros.until(lambda found=found, wanted=wanted: all(map(set.issuperset, found(), wanted)), process)
        published, subscribed, replied = found()
        assert published == expected['publish'], name
        assert subscribed | {'/clock', '/parameter_events'} == expected['subscribe'], name
        assert replied == expected['reply'], name
    assert [each.end() for each in (process, *beside.values())] == [0, 0, 0, 0]


def test_the_service_starts_what_is_installed():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string((ROOT / 'deploy' / 'audio-interaction.service').read_text())
    assert 'assistant.launch.py' in unit['Service']['ExecStart']
    assert unit['Service']['KillSignal'] == 'SIGINT'
    assert (ROOT / 'launch' / 'assistant.launch.py').exists()
