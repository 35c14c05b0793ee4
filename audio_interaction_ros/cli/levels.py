"""`audio-interaction levels`: how loud the sound is that the model gets, live, and what to do about it."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.nodes.signals import EndRequest, on_signals

if TYPE_CHECKING:
    from audio_interaction_ros.audio.level_watch import Levels

_EVERY_S = 1.0
_PATIENCE_S = 15.0
_BAR_WIDTH, _BAR_FLOOR_DBFS = 24, -72.0

_EPILOG = """\
One line a second of what comes on audio_stamped, mixed to mono and without what is below 40 Hz, as the health of the
robot is judged by it: level (of the last 2 s), loudest and floor (100 ms, of the last 30 s), peak, DC, how many
samples are clipped, and what to do. Speak, clap, and let the alarm sound that the robot should hear: the loudest
sounds should lie between -45 and -10 dBFS. Ends on Ctrl-C or after --duration; the last line is a JSON summary.

examples:
  audio-interaction levels
  audio-interaction levels --duration 20
  audio-interaction levels --namespace robot1
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'levels',
        'how loud the microphone is, live, with advice',
        'Show how loud the sound on audio_stamped is, and what to do about it.',
        _EPILOG,
    )
    parser.add_argument(
        '--namespace', metavar='NS', help='namespace of the topics, as given to the launch file (default: none)'
    )
    parser.add_argument('--duration', type=float, metavar='S', help='end after S seconds (default: on Ctrl-C)')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show levels until the end and return 0; raises CommandError when no sound came."""
    try:
        import rclpy
    except ImportError as error:
        raise CommandError(f'levels needs ROS 2 ({error}); run `make setup` or source a ROS 2 setup file') from error
    from audio_interaction_ros.nodes.joining import JoinError, in_namespace, join

    ended = EndRequest()
    on_signals(ended.set)  # no exception: it would come in the middle of what rclpy does
    with reported(JoinError):
        join(['levels', '--ros-args', *in_namespace(arguments.namespace)])
    meter = _Meter()
    try:
        meter.run(arguments.duration, ended)
    finally:
        meter.close()
        rclpy.try_shutdown()
    return meter.report()


class _Meter:
    """A `_Meter` listens as the nodes do, with whatever quality of service the publishers offer."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from audio_interaction_ros.audio.formats import PcmFormat
        from audio_interaction_ros.audio.level_watch import LevelWatch

        self._watch = LevelWatch()
        self._pcm: PcmFormat | None = None
        self._refused = ''
        self._subscribed: set[str] = set()
        self._node = rclpy.create_node('audio_levels')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def run(self, duration_s: float | None, ended: EndRequest) -> None:
        """Print a line a second until `ended`, or for so long after the first sound.

        Raises CommandError where none comes.
        """
        from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, INFO_TOPIC, SOUND_TOPIC

        topics = (SOUND_TOPIC,) if DESCRIBES_ITSELF else (INFO_TOPIC, SOUND_TOPIC)
        began_s = said_s = time.monotonic()
        heard_s: float | None = None
        while not ended.is_set() and (duration_s is None or heard_s is None or time.monotonic() - heard_s < duration_s):
            for topic in topics:
                self._subscribe(topic)
            self._executor.spin_once(timeout_sec=0.1)
            now_s = time.monotonic()
            if heard_s is None and self._watch.levels is not None:
                heard_s = said_s = now_s
            if heard_s is None and now_s - began_s > _PATIENCE_S:
                raise CommandError(self._refused or self._silence())
            if heard_s is not None and now_s - said_s >= _EVERY_S:
                said_s += _EVERY_S
                self._print()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()

    def report(self) -> int:
        """Print the summary and return the exit code."""
        from dataclasses import asdict

        levels = self._watch.levels
        if levels is None:
            return 1
        measured = {name: round(value, 4) for name, value in asdict(levels).items()}
        faults = [fault.kind for fault in self._watch.faults.values()]
        print(json.dumps({**measured, 'faults': faults}), flush=True)
        return 0

    def _subscribe(self, topic: str) -> None:
        from audio_common_msgs import msg as installed
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        from audio_interaction_ros.nodes.sound import SOUND_TOPIC, SoundMessage

        offers = [publisher.qos_profile for publisher in self._node.get_publishers_info_by_topic(topic)]
        if topic in self._subscribed or not offers:
            return
        self._subscribed.add(topic)
        latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        qos = QoSProfile(
            depth=50,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        if topic == SOUND_TOPIC:
            self._node.create_subscription(SoundMessage, topic, self._on_sound, qos)
        else:
            self._node.create_subscription(installed.AudioInfo, topic, self._on_info, qos)

    def _on_info(self, info: Any) -> None:
        from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat

        try:
            self._pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
        except AudioFormatError as error:
            self._pcm, self._refused = None, f'audio_info refused: {error}'

    def _on_sound(self, message: Any) -> None:
        from audio_interaction_ros.audio.formats import AudioFormatError
        from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, read_self_described

        try:
            if DESCRIBES_ITSELF:
                samples, pcm = read_self_described(message.audio)
            elif (pcm := self._pcm) is not None:  # type: ignore[assignment]
                samples = pcm.decode(message.audio.data)
            else:
                return
        except AudioFormatError as error:
            self._refused = f'audio refused: {error}'
            return
        self._watch.told(samples, pcm)

    def _silence(self) -> str:
        from audio_interaction_ros.nodes.sound import SOUND_TOPIC

        topic = self._node.resolve_topic_name(SOUND_TOPIC)
        if self._node.count_publishers(topic):
            return (
                f'no sound could be read from {topic}: no audio_info describes it; start the audio driver again, or '
                'let it publish audio_info'
            )
        return (
            f'no sound comes on {topic}; start audio_capture or an audio driver with the same ROS_DOMAIN_ID, '
            'or give its --namespace'
        )

    def _print(self) -> None:
        levels = self._watch.levels
        assert levels is not None
        fault = self._watch.fault
        print(f'{line_of(levels)}  {fault.sentence if fault else _advice(levels)}', flush=True)


def line_of(levels: Levels) -> str:
    """Return the measurements in one line, with a bar."""
    filled = round(_BAR_WIDTH * min(1.0, max(0.0, 1.0 - levels.level_dbfs / _BAR_FLOOR_DBFS)))
    return (
        f'{"█" * filled}{"·" * (_BAR_WIDTH - filled)} {levels.level_dbfs:6.1f} dBFS  '
        f'loudest {levels.loudest_dbfs:6.1f}  floor {levels.floor_dbfs:6.1f}  peak {levels.peak_dbfs:6.1f}  '
        f'DC {levels.dc_dbfs:6.1f}  '
        f'clipped {levels.clipped_share:.1%}'
    )


def _advice(levels: Levels) -> str:
    from audio_interaction_ros.audio.level_watch import USABLE_DBFS

    low, high = USABLE_DBFS
    if levels.loudest_dbfs < low:
        return f'quiet so far: make a loud sound; if it stays below {low:.0f} dBFS, raise the gain (alsamixer)'
    return 'good' if levels.loudest_dbfs <= high else 'loud: lower the gain (alsamixer) before it is clipped'
