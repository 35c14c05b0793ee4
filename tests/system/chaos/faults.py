"""What breaks in a chaos run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import numpy as np
from audio_common_msgs.msg import AudioData, AudioDataStamped
from rclpy.publisher import Publisher

from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from tests.system.chaos.keeper import NODES, Keeper
from tests.system.pulse import Microphones
from tests.system.ros import Ros

FROZEN_S = 5.0
UNPLUGGED_S = 5.0
ODD_S = 6.0  # of a driver that sends in bursts, or of two of them
MICROPHONE, OTHER = 'robot', 'stranger'
STEP_S = 3_600.0  # of the clock
_FLOOD = 300
_LOST = 40  # messages of sound, some of them more than a chunk
_BURST_NS, _LATE_NS = 160_000_000, 3_000_000_000
_STOPS_S = 1.0  # what was captured before may still come


class Driver:
    """Stands between audio_capture and those who listen to it, as another audio driver would.

    It loses messages, has a clock that can be set, sends in bursts, and is joined by a second one.
    """

    REMAPPED = ('-r', 'audio_stamped:=captured')  # of audio_capture

    def __init__(self, ros: Ros) -> None:
        self.lose = self.captured = 0
        self.ahead_s = 0.0
        self.bursts = False
        self._ros, self._gathered = ros, list[AudioDataStamped]()
        self._second: Publisher | None = None
        self.audio = ros.node.create_publisher(AudioDataStamped, 'audio_stamped', qos.AUDIO)
        ros.node.create_subscription(AudioDataStamped, 'captured', self._pass_on, qos.AUDIO)

    def be_two(self, wanted: bool) -> None:
        """Have a second driver send noise on the same topic, by a clock that is late; or have it gone."""
        if wanted:
            self._second = self._ros.node.create_publisher(AudioDataStamped, 'audio_stamped', qos.AUDIO)
        elif self._second is not None:
            self._ros.node.destroy_publisher(self._second)
            self._second = None

    def _pass_on(self, message: AudioDataStamped) -> None:
        self.captured += 1
        if self.lose:
            self.lose -= 1
            return
        stamp_ns = nanoseconds_of(message.header.stamp) + round(self.ahead_s * 1e9)
        message.header.stamp = stamp_of(stamp_ns)
        self._gathered.append(message)
        if self.bursts and stamp_ns - nanoseconds_of(self._gathered[0].header.stamp) < _BURST_NS:
            return
        for one in self._gathered:
            one.header.stamp = message.header.stamp  # of a burst all have that of its arrival
            self.audio.publish(one)
        self._gathered.clear()
        if self._second is not None:
            data = np.random.default_rng(self.captured).bytes(len(message.audio.data))
            other = AudioDataStamped(audio=AudioData(data=bytes_array(data)))
            other.header.stamp = stamp_of(stamp_ns - _LATE_NS)
            self._second.publish(other)


class Faults:
    """By name; each is a generator of how many seconds to wait: the last part of it mends what the others broke."""

    def __init__(self, ros: Ros, keeper: Keeper, driver: Driver, microphones: Microphones) -> None:
        self._keeper, self._driver, self._microphones = keeper, driver, microphones
        self.from_a_stranger = 0  # messages from another microphone than the one that audio_capture is told
        self._embeddings = ros.node.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._heard: list[AudioEmbedding] = []
        ros.node.create_subscription(AudioEmbedding, 'ai/embeddings', self._remember, qos.EMBEDDINGS)
        self.kinds: dict[str, Callable[[], Iterator[float]]] = {
            'unplug': self._unplug, 'clock': self._set_clock, 'lose': self._lose, 'repeat': self._repeat,
            'reorder': self._reorder, 'flood': self._flood, 'swap': self._swap, 'bursts': self._bursts,
            'second': self._second,
        }  # fmt: skip
        for name in NODES:
            self.kinds |= {
                f'kill {name}': lambda name=name: self._signal(name, signal.SIGKILL),
                f'restart {name}': lambda name=name: self._signal(name, signal.SIGINT),
                f'freeze {name}': lambda name=name: self._freeze(name),
            }

    def _remember(self, message: AudioEmbedding) -> None:
        self._heard = [*self._heard[-20:], message]

    def _node(self, name: str) -> subprocess.Popen[bytes]:
        node = self._keeper.node(name)
        assert node, f'{name} has not come back since it was last broken'
        return node.popen

    def _signal(self, name: str, number: int) -> Iterator[float]:
        self._node(name).send_signal(number)
        yield 0.0

    def _freeze(self, name: str) -> Iterator[float]:
        process = self._node(name)
        process.send_signal(signal.SIGSTOP)
        yield FROZEN_S
        process.send_signal(signal.SIGCONT)

    def _unplug(self) -> Iterator[float]:
        self._microphones.unplug(MICROPHONE)
        yield UNPLUGGED_S
        self._microphones.plug_in(MICROPHONE)

    def _swap(self) -> Iterator[float]:
        """Another microphone in the place of the one that was asked for, and then that one again."""
        self._microphones.unplug(MICROPHONE)
        self._microphones.plug_in(OTHER)
        self._microphones.make_default(OTHER)
        yield _STOPS_S
        before = self._driver.captured
        yield UNPLUGGED_S
        self.from_a_stranger += self._driver.captured - before
        self._microphones.unplug(OTHER)
        self._microphones.plug_in(MICROPHONE)

    def _bursts(self) -> Iterator[float]:
        self._driver.bursts = True
        yield ODD_S
        self._driver.bursts = False

    def _second(self) -> Iterator[float]:
        self._driver.be_two(True)
        yield ODD_S
        self._driver.be_two(False)

    def _set_clock(self) -> Iterator[float]:
        """An hour ahead, and the next time back."""
        self._driver.ahead_s = STEP_S - self._driver.ahead_s
        yield 0.0

    def _lose(self) -> Iterator[float]:
        self._driver.lose = _LOST
        yield 0.0

    def _repeat(self) -> Iterator[float]:
        for message in self._heard[-5:]:
            self._embeddings.publish(message)
        yield 0.0

    def _reorder(self) -> Iterator[float]:
        for message in reversed(self._heard[-5:]):
            self._embeddings.publish(message)
        yield 0.0

    def _flood(self) -> Iterator[float]:
        rng = np.random.default_rng(len(self._heard))
        for _ in range(_FLOOD):
            noise = rng.bytes(int(rng.integers(0, 4_000)))
            self._embeddings.publish(AudioEmbedding(dtype='float32', tokens=10, dim=7, data=bytes_array(noise)))
            audio = AudioDataStamped()
            audio.audio.data = bytes_array(noise)
            self._driver.audio.publish(audio)
        yield 0.0
