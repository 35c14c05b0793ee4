"""Publish a microphone of your own: raw 16-bit samples from standard input, in place of the node audio_capture.

Whatever writes samples to a pipe can be the microphone (arecord, ffmpeg, an array's own driver):

    arecord -q -t raw -f S16_LE -r 48000 -c 2 | python3 examples/microphone.py --rate 48000 --channels 2

In a checkout after `make setup`, write `.venv/bin/python` for `python3`.
The rate and the number of channels are up to you: the other nodes convert. Start those one by one
(`ros2 run audio_interaction_ros chunk_encoder`, then decoder and safety_alert), because the launch file starts
audio_capture as well.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress

import rclpy
from audio_common_msgs.msg import AudioData, AudioDataStamped, AudioInfo
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from audio_interaction_ros.audio.timeline import CaptureClock

BLOCK_S = 0.04
NS_PER_S = 1_000_000_000


class MicrophoneNode(Node):
    """A `MicrophoneNode` publishes blocks of sound, and once, latched, what their bytes mean."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        super().__init__('microphone')
        self._rate_hz, self._frame_bytes = rate_hz, 2 * channels
        # A stamp is when the first sample of its block was captured. The clock counts samples, so that a block which
        # is read late is not taken for sound that is missing.
        self._clock = CaptureClock(rate_hz)
        latched = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._info = self.create_publisher(AudioInfo, 'audio_info', latched)
        self._sound = self.create_publisher(AudioDataStamped, 'audio_stamped', 250)
        self._info.publish(
            AudioInfo(channels=channels, sample_rate=rate_hz, sample_format='S16LE', coding_format='wave')
        )

    @property
    def block_bytes(self) -> int:
        """Return the size of a block."""
        return round(self._rate_hz * BLOCK_S) * self._frame_bytes

    def publish(self, block: bytes) -> None:
        """Publish one block, whose last sample was captured just now."""
        frames = len(block) // self._frame_bytes
        stamp_ns = self._clock.stamp_ns(time.time_ns() - frames * NS_PER_S // self._rate_hz, frames)
        stamp = Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)
        # array, not bytes or list: rclpy then copies the samples without looking at each.
        sound = AudioData(data=array('B', block[: frames * self._frame_bytes]))
        self._sound.publish(AudioDataStamped(header=Header(stamp=stamp, frame_id='my_microphone'), audio=sound))


def main(argv: Sequence[str] | None = None) -> None:
    """Publish until standard input ends, or until Ctrl-C."""
    parser = argparse.ArgumentParser(description='Publish raw 16-bit little-endian samples from standard input.')
    parser.add_argument('--rate', type=int, default=16_000, metavar='HZ', help='sample rate (default: 16000)')
    parser.add_argument('--channels', type=int, default=1, metavar='N', help='interleaved channels (default: 1)')
    given = parser.parse_args(argv)
    reading = ended = False

    def end(*_: object) -> None:
        """Ctrl-C ends the waiting for sound; in the middle of rclpy's work an exception would become another one."""
        nonlocal reading, ended
        waits, reading, ended = reading, False, True
        if waits:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, end)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    microphone = MicrophoneNode(given.rate, given.channels)
    with suppress(KeyboardInterrupt):
        while not ended:
            reading = True
            block = sys.stdin.buffer.read(microphone.block_bytes)
            reading = False
            if not block:
                break
            microphone.publish(block)
    microphone.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
