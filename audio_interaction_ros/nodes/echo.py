"""What the loudspeaker plays, with its clock, on ai/echo_reference: from the node that speaks to the one that hears.

Its stamps are of this computer's clock, as those of the microphone are, also where the time is simulated.
"""

from __future__ import annotations

import time
from typing import Any

from audio_common_msgs import msg as installed
from std_msgs.msg import Header

from audio_interaction_ros.audio.echo import Reference
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, Samples, encode_s16le
from audio_interaction_ros.audio.resample import MonoResampler
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode
from audio_interaction_ros.nodes.messages import nanoseconds_of, stamp_of
from audio_interaction_ros.nodes.sound import DESCRIBES_ITSELF, SoundMessage, SoundPublisher, read_self_described

TOPIC, INFO_TOPIC = 'ai/echo_reference', 'ai/echo_reference_info'
FREE_TOPIC = 'ai/echo_free'  # is the microphone's sound without the assistant's own voice?
VOICE_TOPIC = 'ai/voice'  # does somebody talk while the assistant speaks?
_CONTIGUOUS_NS = 50_000_000


class ReferencePublisher:
    """A `ReferencePublisher` tells what is played, a moment before it sounds."""

    def __init__(self, node: ManagedNode[Any]) -> None:
        """Make the topics; call in `setup`."""
        self._frame_id = node.parameters.frame_id
        self._publisher = SoundPublisher(node, TOPIC, INFO_TOPIC)
        self._rate_hz = 0

    def plays(self, samples: Samples, rate_hz: int, in_s: float) -> None:
        """Publish float32 samples [n] that begin to sound in so many seconds."""
        stamp_ns = time.time_ns() + int(in_s * NS_PER_S)
        if rate_hz != self._rate_hz:
            self._rate_hz = rate_hz
            self._publisher.describe(PcmFormat(rate_hz, 1, 'S16LE'))
        if self._publisher.listeners:
            self._publisher.publish(Header(stamp=stamp_of(stamp_ns), frame_id=self._frame_id), encode_s16le(samples))


class ReferenceSubscription:
    """A `ReferenceSubscription` fills a `Reference` with what is played."""

    def __init__(self, node: ManagedNode[Any], reference: Reference) -> None:
        """Make the subscriptions; call in `setup`."""
        self._node, self._reference = node, reference
        self._pcm: PcmFormat | None = None
        self._resampler: MonoResampler | None = None
        self._held_ns = self._next_ns = 0
        self.came = False
        if not DESCRIBES_ITSELF:
            node.create_subscription(installed.AudioInfo, INFO_TOPIC, self._on_info, qos.LATCHED, when_inactive=True)
        node.create_subscription(SoundMessage, TOPIC, self._on_sound, qos.AUDIO)

    def _on_info(self, info: Any) -> None:
        try:
            pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
        except AudioFormatError as error:
            self._node.diagnostics.trouble('refused_formats', f'{INFO_TOPIC} refused: {error}')
        else:
            self._take_for(pcm)

    def _on_sound(self, message: Any) -> None:
        try:
            if DESCRIBES_ITSELF:
                samples, pcm = read_self_described(message.audio)
                self._take_for(pcm)
            elif self._pcm is None:
                return  # its format is on its way
            else:
                samples = self._pcm.decode(message.audio.data)
        except AudioFormatError as error:
            self._node.diagnostics.trouble('refused_messages', f'{TOPIC} refused: {error}')
            return
        self.came = True
        self._add(samples, nanoseconds_of(message.header.stamp))

    def _take_for(self, pcm: PcmFormat) -> None:
        if pcm != self._pcm:
            self._pcm, self._resampler = pcm, None

    def _add(self, samples: Samples, stamp_ns: int) -> None:
        assert self._pcm is not None  # or nothing is decoded
        rate_hz = self._pcm.sample_rate_hz
        if self._resampler is None or abs(stamp_ns - self._next_ns) > _CONTIGUOUS_NS:
            self._resampler, self._held_ns = MonoResampler(rate_hz), 0
        self._next_ns = stamp_ns + len(samples) * NS_PER_S // rate_hz
        resampled = self._resampler.push(samples)
        if len(resampled):
            self._reference.add(resampled, stamp_ns - self._held_ns)
        self._held_ns += len(samples) * NS_PER_S // rate_hz - len(resampled) * NS_PER_SAMPLE
