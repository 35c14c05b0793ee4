"""Speech on ai/speech, in real time, for a driver of the robot's own: an output as a loudspeaker is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import PcmFormat, Samples, encode_s16le
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import stamp_of
from audio_interaction_ros.nodes.sound import SoundPublisher
from audio_interaction_ros.voice.loudspeaker import Listener

TOPIC, INFO_TOPIC = 'ai/speech', 'ai/speech_info'
_BLOCK_S = 0.02
_AHEAD_S = 0.06  # before it is to be played: enough for a driver, and soon silent when it is broken off
_POLL_S = 0.01


class SpeechMessages:
    """A `SpeechMessages` publishes blocks of 20 ms a little before they are due, each stamped with when that is."""

    def __init__(self, node: ManagedNode[Any], rate_hz: int, frame_id: str, listener: Listener | None = None) -> None:
        """Make the topics; call in `setup`. `listener` is told of all that is published."""
        self._listener = listener
        self._node, self._rate_hz, self._frame_id = node, rate_hz, frame_id
        self._publisher = SoundPublisher(node, TOPIC, INFO_TOPIC)
        self._waiting = np.empty(0, np.float32)
        self._due_s = 0.0

    def open(self) -> None:
        """Describe what will come."""
        self._publisher.describe(PcmFormat(self._rate_hz, 1, 'S16LE'))

    def close(self) -> None:
        """Forget what was not published."""
        self.drop()

    def play(self, samples: Samples, unwanted: Callable[[], bool]) -> None:
        """Publish float32 samples [n] after those before, each block in its time, until they are `unwanted`."""
        self._waiting = np.concatenate([self._waiting, samples])
        frames = int(_BLOCK_S * self._rate_hz)
        while len(self._waiting) >= frames and self._publish(frames, unwanted):
            pass

    def finish(self, unwanted: Callable[[], bool]) -> None:
        """Publish what is left, and return when it was to be played, or when that is `unwanted`."""
        if len(self._waiting):
            self._publish(len(self._waiting), unwanted)
        self._wait_until(self._due_s, unwanted)

    @property
    def unplayed_s(self) -> float:
        """Return how many seconds of what it was given are not due yet."""
        return len(self._waiting) / self._rate_hz + max(0.0, self._due_s - time.monotonic())

    def drop(self) -> None:
        """Forget what was not published."""
        self._waiting = np.empty(0, np.float32)
        self._due_s = 0.0

    def _publish(self, frames: int, unwanted: Callable[[], bool]) -> bool:
        """Publish so many of what waits; False where they are unwanted before it is time to."""
        if not self._wait_until(self._due_s - _AHEAD_S, unwanted):
            return False
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s)  # after silence it begins now
        block, self._waiting = self._waiting[:frames], self._waiting[frames:]
        if self._listener is not None:
            self._listener(block, self._rate_hz, self._due_s - now_s)
        due_ns = self._node.get_clock().now().nanoseconds + int((self._due_s - now_s) * NS_PER_S)
        self._publisher.publish(Header(stamp=stamp_of(due_ns), frame_id=self._frame_id), encode_s16le(block))
        self._due_s += frames / self._rate_hz
        return True

    def _wait_until(self, time_s: float, unwanted: Callable[[], bool]) -> bool:
        while not unwanted():
            left_s = time_s - time.monotonic()
            if left_s <= 0:
                return True
            time.sleep(min(left_s, _POLL_S))
        return False
