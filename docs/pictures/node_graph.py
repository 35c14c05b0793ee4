"""`node-graph.svg`: who publishes and who subscribes to what, and the services, asked of the nodes themselves.

All five are configured in a process of their own, with nobody else in reach, and each is asked what it made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes

from docs.pictures import canvas
from docs.pictures.demo import CHECKPOINT, ROOT, SCENE

# In the order in which the sound passes them.
NODES = ('audio_capture', 'chunk_encoder', 'decoder', 'safety_alert', 'event_log')
# What every ROS node and every lifecycle node has, and what says nothing about this package.
_EVERYBODYS = ('lifecycle_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'type_description_interfaces')
_TIMEOUT_S = 100.0


@dataclass(frozen=True)
class GraphTopic:
    """A `GraphTopic` has a name, a message type (package/Type), and the nodes that publish it and subscribe to it."""

    name: str
    type: str
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """A `Service` has a name, a type (package/Type), and the node that offers it."""

    name: str
    type: str
    node: str


@dataclass(frozen=True)
class Graph:
    """A `Graph` has every topic and service of the package's nodes, as a robot without a namespace sees them."""

    topics: tuple[GraphTopic, ...]
    services: tuple[Service, ...]


def read_graph(checkpoint: Path = CHECKPOINT) -> Graph:
    """Start the nodes and ask them. Raises RuntimeError, with what they said, where one cannot be configured."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            'audio_capture:file': SCENE,
            'chunk_encoder:checkpoint': checkpoint,
            'decoder:checkpoint': checkpoint,
            'event_log:path': Path(folder) / 'events.sqlite',  # with a log and its sound it listens to most
            'event_log:audio_s': 4.0,
        }
        arguments = [part for name, value in given.items() for part in ('-p', f'{name}:={value}')]
        asked = subprocess.run(
            [sys.executable, '-m', 'docs.pictures.node_graph', '--ros-args', *arguments],
            cwd=ROOT,
            env=os.environ | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    if asked.returncode:
        raise RuntimeError(f'the nodes cannot be configured, so there is no graph to draw:\n{asked.stderr}')
    read = json.loads(asked.stdout.splitlines()[-1])
    topics = (
        GraphTopic(one['name'], one['type'], tuple(one['publishers']), tuple(one['subscribers']))
        for one in read['topics']
    )
    return Graph(tuple(topics), tuple(Service(**one) for one in read['services']))


def _ask(arguments: list[str]) -> Graph:
    """Configure every node in this process and read what it made."""
    import rclpy
    from rclpy.lifecycle import TransitionCallbackReturn

    from audio_interaction_ros.nodes.audio_capture import AudioCaptureNode
    from audio_interaction_ros.nodes.chunk_encoder import ChunkEncoderNode
    from audio_interaction_ros.nodes.decoder import DecoderNode
    from audio_interaction_ros.nodes.event_log import EventLogNode
    from audio_interaction_ros.nodes.safety_alert import SafetyAlertNode

    ends: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    services: list[Service] = []
    rclpy.init(args=arguments)
    for cls in (AudioCaptureNode, ChunkEncoderNode, DecoderNode, SafetyAlertNode, EventLogNode):
        node = cls()
        if node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            raise RuntimeError(f'{node.get_name()} cannot be configured')
        for side, endpoints in enumerate((node.publishers, node.subscriptions)):
            for endpoint in endpoints:
                name = endpoint.topic_name if endpoint.topic_name == '/diagnostics' else endpoint.topic_name.lstrip('/')
                found = ends.setdefault((name, _type_of(endpoint.msg_type)), ([], []))
                if node.get_name() not in found[side]:
                    found[side].append(node.get_name())
        services += [
            Service(each.srv_name.lstrip('/'), _type_of(each.srv_type), node.get_name()) for each in node.services
        ]
        node.trigger_cleanup()
    rclpy.shutdown()
    topics = [GraphTopic(name, type_, tuple(by), tuple(to)) for (name, type_), (by, to) in ends.items()]
    return Graph(
        tuple(topic for topic in topics if not topic.type.startswith(_EVERYBODYS)),
        tuple(service for service in services if not service.type.startswith(_EVERYBODYS)),
    )


def _type_of(type_: type) -> str:
    """Return package/Type of a message or service class, which lies in package.msg or package.srv."""
    return f'{type_.__module__.split(".")[0]}/{type_.__name__}'


_SOUND = 'audio_stamped'
# Topics that are one of the two ways to an alert, and the words that stand on them.
SAFETY_PATHS = {
    _SOUND: ('one way to an alert: an alarm’s signature, no model', canvas.VIOLET),
    'ai/response': ('the other: the model’s response', canvas.RED),
}
_LEFT, _RIGHT, _ROW = 19.0, 98.5, 1.0
_ROBOT = 'your robot'
_FOR_ROBOTS = (
    'ai/response',
    'ai/response_text',
    'ai/answer',
    'ai/told',
    'ai/safety_alert',
    'ai/health',
    '/diagnostics',
)


def draw(path: Path, checkpoint: Path = CHECKPOINT) -> None:
    """Write the picture: nodes as columns, topics as rows from whoever publishes to whoever subscribes."""
    graph = read_graph(checkpoint)
    topics = sorted(graph.topics, key=_place)
    columns = (*NODES, _ROBOT)
    x_of = {
        name: _LEFT + 6.5 + (_RIGHT - _LEFT - 13.0) * number / (len(columns) - 1) for number, name in enumerate(columns)
    }
    services = {node: [each for each in graph.services if each.node == node] for node in NODES}
    deepest = max(map(len, services.values()))
    first_row = 2.1
    bottom = first_row + _ROW * len(topics) + 0.2
    height = bottom + 1.0 + 0.62 * deepest + 0.4
    figure = canvas.page(0.43 * height)
    axes = canvas.blank(figure, 100.0, height)
    axes.text(1.0, 0.55, '●  publishes', va='center', color=canvas.SOFT, fontsize=8.5)
    axes.text(1.0, 1.1, '▷  subscribes', va='center', color=canvas.SOFT, fontsize=8.5)
    for name, x in x_of.items():
        own = name != _ROBOT
        axes.plot((x, x), (1.3, bottom), color=canvas.RULE, linewidth=5, solid_capstyle='round', zorder=0)
        canvas.box(axes, x - 6.3, 0.3, 12.6, 0.95, canvas.BLUE if own else canvas.GREY, 'white', 1.6)
        axes.text(x, 0.79, name, ha='center', va='center', weight='bold', style='normal' if own else 'italic')
    for row, topic in enumerate(topics):
        _row(axes, topic, first_row + _ROW * row, x_of)
    axes.text(1.0, bottom + 0.7, 'services', va='center', weight='bold')
    for node, offered in services.items():
        for number, service in enumerate(offered):
            short = service.name.removeprefix('ai/')
            axes.text(x_of[node], bottom + 0.7 + 0.62 * number, short, ha='center', va='center', fontsize=8.5)
    axes.text(1.0, bottom + 1.35, '(below ai/)', va='center', color=canvas.SOFT, fontsize=8.5)
    canvas.write(figure, path)


def _place(topic: GraphTopic) -> tuple[int, bool, str]:
    """Return the order of rows: along the sound's way, what all publish last; the sound before what is about it."""
    if len(topic.publishers) > 1:
        return (len(NODES), True, topic.name)
    first = (*topic.publishers, *topic.subscribers)[0]
    return (NODES.index(first), topic.name != _SOUND, topic.name)


def _row(axes: Axes, topic: GraphTopic, y: float, x_of: dict[str, float]) -> None:
    words, colour = SAFETY_PATHS.get(topic.name, ('', canvas.INK))
    axes.text(1.0, y - 0.17, topic.name, va='center', weight='bold', color=colour)
    axes.text(1.0, y + 0.28, topic.type.split('/')[1], va='center', color=canvas.SOFT, fontsize=8.5)
    to = [*topic.subscribers, *([_ROBOT] if topic.name in _FOR_ROBOTS else [])]
    publishers = topic.publishers or (_ROBOT,)
    xs = [x_of[name] for name in (*publishers, *to)]
    axes.plot((min(xs), max(xs)), (y, y), color=colour, linewidth=2.4 if words else 1.3, zorder=1)
    for name in publishers:
        axes.plot(x_of[name], y, 'o', color=colour, markersize=6.5, zorder=3)
    for name in to:
        beside = 1.5 if name in topic.publishers else 0.0  # a node may hear what it says itself
        axes.plot(x_of[name] - beside, y, '>', color=colour, markerfacecolor='white', markersize=7.5, zorder=3)
    if words:
        ground = {'facecolor': canvas.GROUND, 'edgecolor': 'none', 'pad': 1.0}
        axes.text(min(xs) + 1.5, y - 0.36, words, color=colour, fontsize=8.5, va='center', bbox=ground)


if __name__ == '__main__':
    print(json.dumps(asdict(_ask(sys.argv[1:]))))
