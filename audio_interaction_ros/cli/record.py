"""`audio-interaction record`: the audio topics into a rosbag2 bag, as `ros2 bag record` would."""

from __future__ import annotations

import argparse
import json
import math
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.cli.record_progress import Progress, say, show
from audio_interaction_ros.nodes.signals import EndRequest

if TYPE_CHECKING:
    from audio_interaction_ros.bag_writer import BagWriter, TopicQos

AUDIO_TOPIC, INFO_TOPIC = 'audio_stamped', 'audio_info'
_PATIENCE_S = 5.0
_MAX_WAIT_S = 30.0
_QUEUE_DEPTH = 200
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

_EPILOG = """\
This writes sound to disk: everything said near the microphone is in the bag. Nothing else in this package
does that, but for an event log that is told to keep seconds of it (docs/privacy.md).
Ends on Ctrl-C, when the terminal is closed, or after --duration; the last line printed is a JSON summary. What came
more than 2 s ago is on disk, and any tool can read it, also when this is killed or the disk is full.

examples:
  audio-interaction record --out night
  audio-interaction record --out test --storage sqlite3 --duration 60
  audio-interaction record --out night --namespace robot1 --max-bag-duration 3600
  audio-interaction record --out night --ros-args -r audio_stamped:=/head/audio -r audio_info:=/head/info
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'record',
        'the audio topics into a rosbag2 bag',
        'Record audio_stamped and audio_info into a rosbag2 bag that replay and `ros2 bag` read.',
        _EPILOG,
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='BAG', help='directory of the new bag; never overwritten'
    )
    parser.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='file format of the bag (default: mcap)'
    )
    parser.add_argument(
        '--duration',
        type=_seconds,
        metavar='S',
        help='end S seconds after the first message of sound (default: on Ctrl-C)',
    )
    parser.add_argument(
        '--namespace', metavar='NS', help='namespace of the topics, as given to the launch file (default: none)'
    )
    parser.add_argument(
        '--max-bag-size',
        type=_bytes,
        metavar='BYTES',
        help='begin a new file in BAG after so many bytes (default: one file)',
    )
    parser.add_argument(
        '--max-bag-duration', type=_seconds, metavar='S', help='begin a new file in BAG after S seconds'
    )
    parser.add_argument(
        '--ros-args',
        nargs=argparse.REMAINDER,
        default=[],
        metavar='...',
        help='ROS arguments, such as remappings; last',
    )
    parser.set_defaults(run=run)


def _bytes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' found; give a whole number of bytes above 0")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"'{text}' found; give a number of seconds above 0")


def run(arguments: argparse.Namespace) -> int:
    """Record, and return 0 when audio came; raises CommandError when none did."""
    try:
        import rclpy
    except ImportError as error:
        raise CommandError(f'record needs ROS 2 ({error}); run `make setup` or source a ROS 2 setup file') from error
    from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF

    if DESCRIBES_ITSELF:
        raise CommandError(
            "the installed audio_common_msgs is not ros-drivers', whose messages record writes; use "
            f'`ros2 bag record -o {arguments.out} {_topic(arguments)}`, whose bags replay reads too'
        )
    from audio_interaction_ros.bag_writer import BagWriter
    from audio_interaction_ros.bags import BagError

    with reported(BagError):
        writer = BagWriter(
            arguments.out, arguments.storage, max_bytes=arguments.max_bag_size, max_s=arguments.max_bag_duration
        )
    ended = _ended_by_signals()
    _join_ros(arguments)
    recorder = _Recorder(writer)
    with reported(BagError):
        try:
            recorder.run(arguments.duration, ended)
        finally:
            recorder.close()
            rclpy.try_shutdown()
    if not recorder.audio_messages:
        raise CommandError(f'nothing was written: {recorder.silence}')
    summary = {
        'messages': recorder.audio_messages,
        'seconds': round(recorder.seconds, 3),
        'path': str(arguments.out.resolve()),
        'files': writer.parts,
        'bytes': writer.size,
    }
    show(json.dumps(summary))
    return 0


def _topic(arguments: argparse.Namespace) -> str:
    return f'/{arguments.namespace.strip("/")}/{AUDIO_TOPIC}' if arguments.namespace else f'/{AUDIO_TOPIC}'


def _join_ros(arguments: argparse.Namespace) -> None:
    from audio_interaction_ros.nodes.joining import JoinError, in_namespace, join

    with reported(JoinError):
        join(['record', '--ros-args', *arguments.ros_args, *in_namespace(arguments.namespace)])


def _ended_by_signals() -> EndRequest:
    """Return what a closed terminal, a service manager, Ctrl-C or a quit key sets.

    None of them interrupts: a message that is being written is written.
    """
    ended = EndRequest()
    for number in _END_SIGNALS:
        # nohup wants SIGHUP ignored; a script's background job has SIGINT so, and is yet ended by it.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ended.set)
    return ended


class _Recorder:
    """A `_Recorder` subscribes to each topic once a publisher is there, with the quality of service it offers.

    The bag is made with the first audio message, so a recording of nothing leaves nothing behind.
    """

    def __init__(self, writer: BagWriter) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.audio_messages = 0
        self.silence = ''
        self._first_s: float | None = None
        self._last_s = 0.0
        self._writer = writer
        self._progress = Progress(writer)
        self._info_before_audio: bytes | None = None
        self._qos: dict[str, TopicQos] = {}
        self._node = rclpy.create_node('audio_recorder')
        self._names = {topic: self._node.resolve_topic_name(topic) for topic in (AUDIO_TOPIC, INFO_TOPIC)}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    @property
    def seconds(self) -> float:
        """Return the time between the first and the last audio message."""
        return self._last_s - self._first_s if self._first_s is not None else 0.0

    def run(self, duration_s: float | None, ended: EndRequest) -> None:
        """Record until `ended`, or for so long after the first audio message, which then must come within 30 s.

        Raises BagError.
        """
        started, told = time.monotonic(), False
        while not ended.is_set():
            for topic in self._names:
                if topic not in self._qos:
                    self._subscribe(topic)
            self._executor.spin_once(timeout_sec=0.1)
            now = time.monotonic()
            if self._first_s is not None:
                self._writer.flush_if_due()
                self._progress.show(self.seconds)
                if duration_s is not None and now - self._first_s >= duration_s:
                    return
            elif duration_s is not None and now - started > _MAX_WAIT_S:
                return
            elif now - started > _PATIENCE_S and not told:
                told = True
                say(f'{self._why_silent()}; still waiting')

    def close(self) -> None:
        """Complete the bag, and leave the graph; raises BagError."""
        if not self.audio_messages:
            self.silence = self._why_silent()
        self._executor.shutdown()
        self._node.destroy_node()
        self._progress.end()
        if self.audio_messages:
            self._writer.close()

    def _why_silent(self) -> str:
        """Return where sound was expected, and where in the graph there is some."""
        from audio_interaction_ros.bags import STAMPED

        wanted = self._names[AUDIO_TOPIC]
        found = [name for name, kinds in self._node.get_topic_names_and_types() if STAMPED in kinds and name != wanted]
        heard = [name for name in sorted(found) if self._node.count_publishers(name)]
        if not heard:
            return (
                f'no audio message came on {wanted}; start audio_capture or an audio driver with the same ROS_DOMAIN_ID'
            )
        namespace, _, last = heard[0].rpartition('/')
        cure = (
            f'--namespace {namespace.strip("/")}'
            if namespace and last == AUDIO_TOPIC
            else f'--ros-args -r {AUDIO_TOPIC}:={heard[0]} -r {INFO_TOPIC}:={namespace}/{INFO_TOPIC}'
        )
        return f'no audio message came on {wanted}, but there is sound on {", ".join(heard)}; record it with {cure}'

    def _subscribe(self, topic: str) -> None:
        from audio_common_msgs.msg import AudioDataStamped, AudioInfo
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        from audio_interaction_ros.bag_writer import TopicQos

        offers = [publisher.qos_profile for publisher in self._node.get_publishers_info_by_topic(self._names[topic])]
        if not offers:
            return
        # The strictest that every publisher can serve.
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        self._qos[topic] = TopicQos(reliable, latched)
        qos = QoSProfile(
            depth=_QUEUE_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        if topic == AUDIO_TOPIC:
            self._node.create_subscription(AudioDataStamped, topic, self._on_audio, qos, raw=True)
        else:
            self._node.create_subscription(AudioInfo, topic, self._on_info, qos, raw=True)

    def _on_audio(self, raw: bytes) -> None:
        self._last_s = time.monotonic()
        if self._first_s is None:
            self._first_s = self._last_s
            self._open()
        self._write(AUDIO_TOPIC, raw)
        self._progress.heard(raw)
        self.audio_messages += 1

    def _on_info(self, raw: bytes) -> None:
        self._progress.described(raw)
        if self._first_s is None:
            self._info_before_audio = raw
        else:
            self._write(INFO_TOPIC, raw)

    def _open(self) -> None:
        from audio_interaction_ros.bag_writer import TopicQos
        from audio_interaction_ros.bags import INFO, STAMPED

        self._writer.open()
        for topic, kind in ((AUDIO_TOPIC, STAMPED), (INFO_TOPIC, INFO)):
            qos = self._qos.get(topic, TopicQos(latched=True))
            self._writer.add_topic(self._names[topic], kind, qos)
        if self._info_before_audio is not None:
            self._write(INFO_TOPIC, self._info_before_audio)
        say(f"writing sound from {self._names[AUDIO_TOPIC]} to '{self._writer.path.resolve()}'")

    def _write(self, topic: str, raw: bytes) -> None:
        self._writer.write(self._names[topic], time.time_ns(), raw)
