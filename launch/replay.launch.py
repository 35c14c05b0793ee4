"""The listening nodes on simulated time, beside `ros2 bag play --clock`; give bag:=PATH to have that started too."""

from __future__ import annotations

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

PACKAGE = 'audio_interaction_ros'
NODES = ('safety_alert', 'decoder', 'chunk_encoder')
ARGUMENTS = {
    'namespace': ('', "Put before every node and topic, for example 'robot1'."),
    'params_file': (
        PathJoinSubstitution([FindPackageShare(PACKAGE), 'config', 'assistant.yaml']),
        'Parameters of all nodes (YAML).',
    ),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
    'checkpoint': ('', 'Checkpoint directory or name.'),
    'bag': ('', 'Bag to play; the launch ends after it. Empty: play one yourself with --clock.'),
    'delay_s': ('15.0', 'Before the bag plays: the time the nodes need to load their models.'),
}


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_actions)])


def _actions(context: LaunchContext) -> list[object]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    checkpoint = {'checkpoint': given['checkpoint']} if given['checkpoint'] else {}
    own = {'safety_alert': {'supervise': False}}  # a bag that has ended is no deafness
    nodes = [
        Node(
            package=PACKAGE,
            executable=name,
            name=name,
            namespace=given['namespace'],
            parameters=[given['params_file'], {'use_sim_time': True, **own.get(name, checkpoint)}],
            ros_arguments=['--log-level', given['log_level']],
            output='screen',
        )
        for name in NODES
    ]
    if not given['bag']:
        return nodes
    player = ExecuteProcess(cmd=['ros2', 'bag', 'play', '--clock', '--', given['bag']], output='screen')
    # The last response is written after the last sound.
    done = TimerAction(period=5.0, actions=[EmitEvent(event=Shutdown(reason='the bag is over'))])
    return [
        *nodes,
        TimerAction(period=float(given['delay_s']), actions=[player]),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[done])),
    ]
