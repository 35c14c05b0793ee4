"""The whole assistant, from microphone (or file) to alerts and event log, as processes or one; speech, tools, page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from audio_interaction_ros.nodes.parameters import parameter_file
from audio_interaction_ros.nodes.standby import LOCK
from launch import LaunchContext, LaunchDescription

PACKAGE = 'audio_interaction_ros'
NODES = ('event_log', 'safety_alert', 'decoder', 'chunk_encoder', 'audio_capture')  # listeners first
# Flag → a node beside them: in a process of its own, because it is no part of listening.
BESIDE = {'speak': 'speaker', 'page': 'monitor'}
# Launch argument → the nodes that have a parameter for it, and its name there. Empty: what params_file says.
PARAMETERS = {
    'checkpoint': ('checkpoint', ('chunk_encoder', 'decoder', 'monitor')),
    'mic': ('device', ('audio_capture',)),
    'file': ('file', ('audio_capture',)),
    'listening': ('listening', ('audio_capture',)),
    'event_log': ('path', ('event_log',)),
    'profile': ('profile', ('safety_alert',)),
    'loudspeaker': ('device', ('speaker',)),
    'tools': ('tools_file', ('decoder', 'tool_bridge')),
}
ARGUMENTS = {
    'namespace': ('', "Put before every node and topic, for example 'robot1'."),
    'params_file': (
        PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'assistant.yaml']),
        'Parameters of all nodes (YAML).',
    ),
    'autostart': ('true', 'Configure and activate the nodes; false leaves that to a lifecycle manager.'),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'use_respawn': ('false', 'Start a node again when its process ends.'),
    'use_standby': ('false', 'A second process for every node, loaded and waiting, takes over when the first ends.'),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'checkpoint': ('', 'Checkpoint directory, or the name of one that ships; empty takes that of params_file.'),
    'mic': ('', 'Microphone: its name, a part of it or its index (audio-interaction devices).'),
    'file': ('', 'A WAV or FLAC file to play in place of the microphone.'),
    'listening': ('', 'true listens from the start, false only when the service ai/set_listening says so.'),
    'event_log': ('', 'An SQLite file that keeps what was said and why; empty keeps nothing.'),
    'profile': ('', 'Profile of safety alerts: home, industrial, vehicle, tutoring or care; empty takes none.'),
    'speak': ('false', 'Say the responses aloud, and what other nodes give to ai/say.'),
    'tools': ('', 'Tools that the model may call, a YAML file (docs/tools.md), and tool_bridge; empty has none.'),
    'loudspeaker': ('', 'Loudspeaker for speak:=true: its name, a part of it or its index.'),
    'page': (
        'false',
        'Show what is heard and said in a browser, at http://127.0.0.1:8642/ or where params_file has it.',
    ),
    'enclave': ('', 'Enclave of a secured graph, SROS 2 (docs/deploy.md); empty where it is not secured.'),
    'composed': ('false', 'One process for the five nodes.'),
}
FLAGS = ('autostart', 'use_sim_time', 'use_respawn', 'use_standby', 'speak', 'page', 'composed')


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    flags = {name: _flag(name, given[name]) for name in FLAGS}
    beside = [node for flag, node in BESIDE.items() if flags[flag]] + (['tool_bridge'] if given['tools'] else [])
    given_parameters: dict[str, dict[str, object]] = {
        name: {'autostart': flags['autostart'], 'use_sim_time': flags['use_sim_time']}
        for name in (*beside, *NODES)
    }
    for argument, (parameter, nodes) in PARAMETERS.items():
        if given[argument]:
            value: object = given[argument]
            if argument in ('mic', 'loudspeaker') and given[argument].isdigit():
                value = int(given[argument])
            elif argument == 'listening':
                value = _flag(argument, given[argument])
            for name in nodes:
                if name in given_parameters:
                    given_parameters[name][parameter] = value
    secured = ['--enclave', given['enclave']] if given['enclave'] else []
    settings: dict[str, object] = {**given_parameters}
    if flags['composed']:
        # In a file, by node: to a process launch gives each value for all of its nodes, and several have a `device`.
        file = Path(tempfile.mkdtemp(prefix=f'{PACKAGE}-')) / 'parameters.yaml'
        file.write_text(parameter_file({name: given_parameters[name] for name in NODES}))
        settings = {name: value for name, value in settings.items() if name not in NODES} | {'assistant': str(file)}
    # Who holds a node's lock is the node; a directory for each launch, so that two of them do not compete.
    locks = tempfile.mkdtemp(prefix=f'{PACKAGE}-') if flags['use_standby'] else ''
    return [
        Node(
            package=PACKAGE,
            executable=executable,
            # The standby has its executable's name too, but launch would warn of two.
            name=None if executable == 'assistant' or standby else executable,
            namespace=given['namespace'],
            parameters=[given['params_file'], values],
            ros_arguments=['--log-level', given['log_level'], *secured],
            respawn=flags['use_respawn'],
            respawn_delay=0.5,
            additional_env={LOCK: f'{locks}/{executable}.lock'} if locks else {},
            output='screen',
        )
        for executable, values in settings.items()
        for standby in ((False, True) if locks else (False,))
    ]


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ('true', 'false'):
        raise ValueError(f"launch argument {name} is '{text}'; true or false expected")
    return text.lower() == 'true'
