"""Sound between nodes, in whichever audio_common_msgs is installed.

Two packages have that name, so one machine has one of them: ros-drivers' (AudioDataStamped holds bytes, AudioInfo on a
topic of its own describes them) and a PortAudio wrapper's (AudioStamped holds an array by the kind of sample, and
describes it). They are told apart by their fields.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from threading import Event
from typing import Any, Protocol

import numpy as np
from audio_common_msgs import msg as installed
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, Samples
from audio_interaction_ros.audio.level_watch import LevelWatch
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of

SOUND_TOPIC, INFO_TOPIC = 'audio_stamped', 'audio_info'

_INT16 = 8
_LOOK_EVERY_S = 1.0
_ANOTHER_CLOCK_NS = 60 * NS_PER_S
_UNREAD_MESSAGES = 100  # without a format in a row; alarms outlast that
NO_FORMAT = 'no readable audio_info has come and sample_rate is not set; publish audio_info or set sample_rate'

DESCRIBES_ITSELF = 'int16_data' in installed.AudioData.get_fields_and_field_types()
SoundMessage = installed.AudioStamped if DESCRIBES_ITSELF else installed.AudioDataStamped


class FormatParameters(Protocol):
    """A `FormatParameters` says what sound is taken for until it is described; with a rate of 0, for nothing."""

    sample_rate: int
    channels: int
    sample_format: str


class SoundListener(Protocol):
    """A `SoundListener` is told of sound that is lost, and says what is wrong with the stamps."""

    @property
    def fault(self) -> StampFault | None:
        """Return what is wrong with the stamps just now; None where nothing is."""

    def note_loss(self, seconds: float = 0.0) -> None:
        """Note that sound is lost; its length where it is known."""


class SoundPublisher:
    """A `SoundPublisher` publishes 16-bit sound and its description."""

    def __init__(self, node: ManagedNode[Any], topic: str = SOUND_TOPIC, info_topic: str = INFO_TOPIC) -> None:
        """Make the topics; call in `setup`."""
        if not DESCRIBES_ITSELF:
            self._info = node.create_publisher(installed.AudioInfo, info_topic, qos.LATCHED)
        self._sound = node.create_publisher(SoundMessage, topic, qos.AUDIO)

    @property
    def topic(self) -> str:
        """Return the sound's topic, resolved."""
        return str(self._sound.topic_name)

    @property
    def listeners(self) -> int:
        """Return how many subscriptions the messages reach."""
        return int(self._sound.get_subscription_count())

    def describe(self, pcm: PcmFormat) -> None:
        """Publish the format, which is S16LE, before the first message and whenever it changes."""
        self._pcm = pcm
        if not DESCRIBES_ITSELF:
            bitrate = pcm.sample_rate_hz * pcm.frame_bytes * 8
            self._info.publish(
                installed.AudioInfo(
                    channels=pcm.channels, sample_rate=pcm.sample_rate_hz, sample_format=pcm.sample_format,
                    bitrate=bitrate, coding_format='wave',
                )
            )  # fmt: skip

    def publish(self, header: Header, data: bytes) -> None:
        """Publish frames in the format that was described."""
        message = SoundMessage(header=header)
        if DESCRIBES_ITSELF:
            info, frames = message.audio.info, len(data) // self._pcm.frame_bytes
            info.format, info.channels, info.rate, info.chunk = (
                _INT16, self._pcm.channels, self._pcm.sample_rate_hz, frames,
            )  # fmt: skip
            _data_of(message.audio).int16_data = array('h', data)
        else:
            message.audio.data = bytes_array(data)
        self._sound.publish(message)


class SoundSubscription:
    """A `SoundSubscription` takes sound from its topic and knows, or learns, what its bytes mean."""

    def __init__(
        self,
        node: ManagedNode[Any],
        given: FormatParameters,
        callback: Callable[[Any], None],
        consequence: str = '',
        reports_levels: bool = False,
    ) -> None:
        """Make the subscriptions; call in `setup`.

        `callback` gets every message. `consequence` is what follows from sound that cannot be read, for the log, such
        as ', so no alarm is heard'. `reports_levels`: what is wrong with `levels` is a condition of this node.
        """
        self._node, self._consequence, self._reports_levels = node, consequence, reports_levels
        self._unread_in_a_row = 0
        self.unread = 0  # messages that came before a format in which they can be read
        self._pcm: PcmFormat | None = None
        self.described = Event()
        self.levels = LevelWatch()
        self._other_clock = ''
        if given.sample_rate:
            self._pcm = PcmFormat(given.sample_rate, given.channels, given.sample_format.upper().replace('_', ''))
        if DESCRIBES_ITSELF or self._pcm is not None:
            self.described.set()
        if not DESCRIBES_ITSELF:
            node.create_subscription(installed.AudioInfo, INFO_TOPIC, self._on_info, qos.LATCHED, when_inactive=True)
        node.create_subscription(SoundMessage, SOUND_TOPIC, callback, qos.AUDIO)
        node.create_timer(_LOOK_EVERY_S, self._look_for_several)

    def take(self, message: Any, push: Callable[[Samples, PcmFormat, int], object], listener: SoundListener) -> None:
        """Read a message and give `push` its samples, float32 [frames, channels], their format and capture time (ns).

        One that cannot be read, or that `push` refuses by an AudioFormatError, is counted; the `listener`, to which
        `push` gives the sound, is told of one that cannot be read, and asked for its fault. From any thread.
        """
        try:
            samples, pcm = self._read(message)
        except AudioFormatError as error:
            listener.note_loss(self._seconds_of(message))
            self._refuse(error)
            return
        self._unread_in_a_row = 0
        self.levels.told(samples, pcm)
        stamp_ns = nanoseconds_of(message.header.stamp)
        self._report('clocks', self._of_another_clock(stamp_ns), useless=False)
        try:
            push(samples, pcm, stamp_ns)
        except AudioFormatError as error:
            self._refuse(error)
        stamps, level = listener.fault, self.levels.fault
        self._report('stamps', stamps.sentence if stamps else '', stamps is not None and stamps.unusable)
        if self._reports_levels:
            self._report('level', level.sentence if level else '', level is not None and level.deaf)

    def _report(self, kind: str, sentence: str, useless: bool) -> None:
        level = DiagnosticStatus.ERROR if useless else DiagnosticStatus.WARN
        self._node.diagnostics.condition(kind, sentence, level)

    def _of_another_clock(self, stamp_ns: int) -> str:
        """What to say where this node has simulated time and the sound has not; '' where both have the same."""
        if not self._node.get_parameter('use_sim_time').value:
            return ''
        now_ns = self._node.get_clock().now().nanoseconds
        if not now_ns or abs(now_ns - stamp_ns) < _ANOTHER_CLOCK_NS:
            self._other_clock = ''
        elif not self._other_clock:  # while it lasts it is said in the same words
            self._other_clock = (
                f'sound is stamped with {stamp_ns / NS_PER_S:.0f} s, but the simulated time here is '
                f'{now_ns / NS_PER_S:.0f} s, so no latency can be told; for a real microphone start these nodes '
                'without use_sim_time, and for a simulated one start its driver with it'
            )
        return self._other_clock

    def _refuse(self, error: AudioFormatError) -> None:
        self._node.diagnostics.trouble('refused_messages', f'audio refused{self._consequence}: {error}')

    def _seconds_of(self, message: Any) -> float:
        """How long a message would sound that cannot be read; 0 where nobody knows."""
        return 0.0 if DESCRIBES_ITSELF or self._pcm is None else self._pcm.seconds_of(len(message.audio.data))

    def _look_for_several(self) -> None:
        """Two publishers on one topic are a mistake that only the graph can name: their sounds follow each other."""
        several = []
        for topic in (SOUND_TOPIC,) if DESCRIBES_ITSELF else (SOUND_TOPIC, INFO_TOPIC):
            name = self._node.resolve_topic_name(topic)
            if self._node.count_publishers(name) > 1:
                nodes = sorted(
                    f'{other.node_namespace.rstrip("/")}/{other.node_name}'
                    for other in self._node.get_publishers_info_by_topic(name)
                )
                several.append(f"'{name}' has {len(nodes)} publishers ({', '.join(nodes)})")
        self._node.diagnostics.condition(
            'several_publishers',
            f'{" and ".join(several)}, whose sounds get mixed up; end all but one, or remap their topics'
            if several
            else '',
        )

    def awaits_format(self) -> bool:
        """Count a message that came before its format; False means that messages can be read.

        A format may come a little later than the sound; one that never comes is a fault, and reported as such.
        """
        if DESCRIBES_ITSELF or self._pcm is not None:
            return False
        self.unread += 1
        self._unread_in_a_row += 1
        if self._unread_in_a_row > _UNREAD_MESSAGES:
            self._node.diagnostics.trouble('refused_messages', f'audio refused{self._consequence}: {NO_FORMAT}')
        return True

    def _read(self, message: Any) -> tuple[Samples, PcmFormat]:
        if DESCRIBES_ITSELF:
            return read_self_described(message.audio)
        pcm = self._pcm
        if pcm is None:
            raise AudioFormatError('audio_info describes no readable format; publish one with a format that is read')
        return pcm.decode(message.audio.data), pcm

    def _on_info(self, info: Any) -> None:
        try:
            self._pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
        except AudioFormatError as error:
            # What follows is in a format that cannot be read: the old one must not be used on it.
            self._pcm = None
            self._node.diagnostics.trouble('refused_formats', f'audio_info refused{self._consequence}: {error}')
        self.described.set()


def read_self_described(audio: Any) -> tuple[Samples, PcmFormat]:
    """Return the samples, float32 [frames, channels], and the format of the PortAudio wrapper's Audio.

    Raises AudioFormatError.
    """
    field, pcm = PcmFormat.from_portaudio(audio.info.format, audio.info.channels, audio.info.rate)
    return pcm.decode(np.asarray(getattr(_data_of(audio), field)).view(np.uint8)), pcm


def _data_of(audio: Any) -> Any:
    # Releases of that package differ in the name of this one field.
    fields = audio.get_fields_and_field_types()
    return getattr(audio, next(name for name, kind in fields.items() if kind.endswith('/AudioData')))
