"""What breaks in a chaos run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import numpy as np
from audio_common_msgs.msg import AudioDataStamped

from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from tests.system.chaos.keeper import NODES, Keeper
from tests.system.pulse import plug_in, unplug
from tests.system.ros import Ros

FROZEN_S = 5.0
UNPLUGGED_S = 5.0
STEP_S = 3_600.0  # of the clock
_FLOOD = 300
_LOST = 40  # messages of sound, some of them more than a chunk


class Microphone:
    """Stands between audio_capture and those who listen to it; loses messages, and has a clock that can be set."""

    REMAPPED = ('-r', 'audio_stamped:=captured')  # of audio_capture

    def __init__(self, ros: Ros) -> None:
        self.lose = 0
        self.ahead_s = 0.0
        self.audio = ros.node.create_publisher(AudioDataStamped, 'audio_stamped', qos.AUDIO)
        ros.node.create_subscription(AudioDataStamped, 'captured', self._pass_on, qos.AUDIO)

    def _pass_on(self, message: AudioDataStamped) -> None:
        if self.lose:
            self.lose -= 1
            return
        message.header.stamp = stamp_of(nanoseconds_of(message.header.stamp) + round(self.ahead_s * 1e9))
        self.audio.publish(message)


class Faults:
    """By name; each is a generator: what comes before a `yield` breaks, what comes after it mends."""

    def __init__(self, ros: Ros, keeper: Keeper, microphone: Microphone, environment: dict[str, str]) -> None:
        self._keeper, self._microphone, self._environment = keeper, microphone, environment
        self._embeddings = ros.node.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._heard: list[AudioEmbedding] = []
        ros.node.create_subscription(AudioEmbedding, 'ai/embeddings', self._remember, qos.EMBEDDINGS)
        self.kinds: dict[str, Callable[[], Iterator[float]]] = {
            'unplug': self._unplug, 'clock': self._set_clock, 'lose': self._lose, 'repeat': self._repeat,
            'reorder': self._reorder, 'flood': self._flood,
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
        unplug(self._environment)
        yield UNPLUGGED_S
        plug_in(self._environment)

    def _set_clock(self) -> Iterator[float]:
        """An hour ahead, and the next time back."""
        self._microphone.ahead_s = STEP_S - self._microphone.ahead_s
        yield 0.0

    def _lose(self) -> Iterator[float]:
        self._microphone.lose = _LOST
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
            self._microphone.audio.publish(audio)
        yield 0.0
