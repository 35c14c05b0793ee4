"""audio_capture: a microphone, or a file in real time, on audio_stamped with its format on audio_info.

It holds the off switch, ai/set_listening, because it is the only one that holds the device.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from threading import Event
from typing import Any

from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.channels import Averaging, ChannelChoice
from audio_interaction_ros.audio.devices import DeviceError
from audio_interaction_ros.audio.echo import EchoCanceller, EchoLibraryError, Reference
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.own_voice import PUBLISHED, OwnVoiceFilter
from audio_interaction_ros.audio.sound_server import ServerSource
from audio_interaction_ros.audio.sources import Block, DeviceLost, FileSource, Microphone
from audio_interaction_ros.audio.switch import ListeningSwitch, SwitchError
from audio_interaction_ros.audio.talk_over import TalkOver, require_libraries
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.nodes import listening, qos
from audio_interaction_ros.nodes.echo import FREE_TOPIC, VOICE_TOPIC, ReferenceSubscription
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.messages import stamp_of
from audio_interaction_ros.nodes.parameters import AudioCaptureParameters
from audio_interaction_ros.nodes.sound import SOUND_TOPIC, SoundPublisher
from audio_interaction_ros.nodes.worker import WorkerError

_POLL_S = 0.05
_OTHERS_S = 30.0
_SETTLE_S = 3.0  # a listener finds us later than we find it, by seconds on a loaded machine, and nobody says when
_SAFETY_ALERT = 'safety_alert'
_PAIR = 2
_FIRST_RETRY_S, _MAX_RETRY_S = 0.25, 2.0  # looking for a device again takes some 50 ms


class AudioCaptureNode(ManagedNode[AudioCaptureParameters]):
    """An `AudioCaptureNode` publishes blocks, in a thread, as the source delivers them.

    Inactive, or switched off, the microphone is closed.
    """

    NAME = 'audio_capture'

    def setup(self) -> None:
        """Make the topics and the off switch, and find the source of the sound, which stays closed."""
        given = self.parameters
        self._lost, self._reported = '', (0, 0)
        self._sound_since_ns: int | None = None
        self._silent_since_s: float | None = None  # of a microphone that was lost
        self._server_source: ServerSource | None = None
        self._cancelling = ''
        self._switch = ListeningSwitch(given.listening, given.listening_file)
        self._source = self._find_source()
        self._audio = SoundPublisher(self)
        self._reference = Reference()
        self._played = ReferenceSubscription(self, self._reference)
        self._why_echo = self._why_it_stays()
        self._canceller: EchoCanceller | None = None  # made when the loudspeaker is first to be heard
        self._talk_over: TalkOver | None = None
        self._own_voice: OwnVoiceFilter | None = None  # of the microphone that is open
        self._echo_free = self.create_publisher(Bool, FREE_TOPIC, qos.LATCHED)
        self._voice = self.create_publisher(Bool, VOICE_TOPIC, qos.EVENTS)
        self._talks = self._said_why = False
        self._frequency = self.diagnostics.frequency_of(SOUND_TOPIC)
        # A file's end, stamped with it, so that a listener knows that no more will come.
        self._end = self.create_publisher(Header, 'audio_end', qos.LATCHED)
        self._listening = self.create_publisher(Bool, listening.TOPIC, qos.LATCHED)
        self._say_listening(False)
        self.create_service(SetBool, 'ai/set_listening', self._on_set_listening)

    def start(self) -> None:
        """Open the source, unless it is switched off."""
        if self._switch.on:
            self._listen()

    def stop(self) -> None:
        """Close the source."""
        self._close()

    def hardware_id(self) -> str:
        """Return the microphone's name; 'none' while a file is played."""
        return self._source.device.name if isinstance(self._source, Microphone) else 'none'

    def measurements(self) -> Mapping[str, object]:
        """Return what is listened to, how it was opened, since when sound comes, and what averaging takes from it."""
        source, picker = self._source, self._source.picker
        facts: dict[str, object] = {'file': self.parameters.file}
        if isinstance(source, Microphone):
            facts = {
                'device': source.device.name,
                'host_api': source.device.host_api,
                'device_index': source.device.index,
                'server_source': server.name if (server := source.server_source) else '',
                'latency_ms': f'{1e3 * source.latency_s:.0f}',
                'channels_opened': source.opened.channels,
            }
        published = self._published
        facts |= {'sample_rate': published.sample_rate_hz, 'channels': published.channels}
        facts['echo_cancelled'] = self._cancels
        if picker.loss_db is not None:
            facts['average_loss_db'] = f'{picker.loss_db:.1f}'
        since_ns = self._sound_since_ns
        return {**facts, 'listening': self._listens, 'sound_since': '' if since_ns is None else _utc(since_ns)}

    def problem(self) -> str:
        """Return why the device is lost; empty while it is not."""
        return self._lost

    def _on_set_listening(self, request: Any, response: Any) -> Any:
        """Off is done when this returns: the device is closed, and nothing more is published."""
        try:
            self._switch_on() if request.data else self._switch_off()
        except (DeviceError, AudioFormatError, SwitchError, WorkerError) as error:
            self.get_logger().error(str(error))
            response.success, response.message = False, str(error)
            return response
        response.success = True
        response.message = 'listening' if self._listens else 'not listening, the microphone is closed'
        if request.data and not self.active:
            response.message += '; it will be opened when audio_capture is activated'
        self.get_logger().info(response.message)
        return response

    def _switch_on(self) -> None:
        if self.active and not self._listens:
            self._listen()
        self._switch.set(True)

    def _switch_off(self) -> None:
        """Remembered whatever happens, so that a process that has to be ended does not listen again."""
        try:
            if self.active and self._listens:
                self._close()
        finally:
            self._switch.set(False)

    def _listen(self) -> None:
        """Raises DeviceError."""
        if isinstance(self._source, Microphone):
            self._open_again(self._source)
        else:
            self._audio.describe(self._source.pcm)
            self._echo_free.publish(Bool(data=True))  # in a recording nobody hears the loudspeaker
        self._say_listening(True)
        self.work(self._capture_until)

    def _close(self) -> None:
        try:
            self.rest()
        finally:
            if isinstance(self._source, Microphone):
                self._report_losses(self._source)
                self._source.close()
            self._lost, self._sound_since_ns, self._silent_since_s = '', None, None
            self._say_who_talks(False)
            self._say_listening(False)

    def _say_listening(self, listens: bool) -> None:
        self._listens = listens
        self._listening.publish(Bool(data=listens))

    def _find_source(self) -> Microphone | FileSource:
        given = self.parameters
        channels = ChannelChoice.parse(given.channels)
        if given.file:
            return FileSource(given.file, given.block_ms, channels)
        microphone = Microphone(given.device, given.block_ms, given.queue_max_blocks, channels)
        if microphone.device.index == _index(given.device):
            self.get_logger().warning(
                f'device {given.device} is {microphone.device} now; an index may mean another microphone at the next '
                f"start: set device to '{microphone.word}'"
            )
        return microphone

    def _open_again(self, microphone: Microphone) -> None:
        """Open the same device, found anew, and say how. Raises DeviceError, AudioFormatError."""
        self._source = source = microphone.again()
        source.open()
        self._reported = (0, 0)
        self._own_voice = None
        if self._canceller is not None and source.pcm.channels == 1:
            self._own_voice = OwnVoiceFilter(source.pcm, self._canceller, self._talk_over)
        self._audio.describe(self._published)
        self._echo_free.publish(Bool(data=self._cancels or self.parameters.echo == 'cancelled'))
        self._server_source, self._cancelling = source.server_source, ''
        self.get_logger().info(f'opened microphone {source}')
        if self.parameters.channels == '' and source.pcm.channels > _PAIR:
            self.get_logger().warning(
                f"{source.device} gives {source.pcm.channels} channels, which listeners average; some of an array's "
                'may be empty, or what the loudspeaker plays: set channels to those to hear, such as 0'
            )
        elif self.parameters.channels != '' and source.device.converts:
            self.get_logger().warning(
                f'{source.device} is no sound card, so the sound server decides which channel is which; for the '
                "channels of an array itself set device to the card's own name (`audio-interaction devices`)"
            )

    def _capture_until(self, stop: Event) -> None:
        if isinstance(self._source, FileSource):
            self._play(self._source, stop)
            return
        while not stop.is_set():
            try:
                for block in self._source.blocks(stop):
                    self._lost = ''
                    if self._sound_since_ns is None:
                        self._say_that_sound_comes(self._source, block)
                    if self._source.server_source != self._server_source:
                        self._say_that_it_moved(self._source)
                    self._publish(block)
                    self._report_losses(self._source)
            except DeviceLost as error:
                self._sound_since_ns, self._lost = None, str(error)
                if self._silent_since_s is None:
                    self._silent_since_s = time.monotonic()
                self._report_losses(self._source)
                self.diagnostics.trouble(
                    'device_losses', f'{error}. Trying again, at least every {_MAX_RETRY_S:.0f} s.'
                )
                self._reopen(self._source, stop)

    def _say_that_sound_comes(self, microphone: Microphone, block: Block) -> None:
        self._sound_since_ns = block.stamp_ns
        words = f'sound comes from microphone {microphone.device}'
        if self._silent_since_s is not None:
            words += f' again, after {time.monotonic() - self._silent_since_s:.1f} s without'
        self._silent_since_s = None
        self.get_logger().info(words)

    def _say_that_it_moved(self, microphone: Microphone) -> None:
        """Only where which microphone it is was left to the system."""
        before, now = self._server_source, microphone.server_source
        self._server_source = now
        if before is not None and now is not None:
            self.get_logger().warning(
                f"the sound server has moved {microphone.device} from '{before.name}' to '{now.name}'; to hear one "
                'microphone and no other set device to its own name (`audio-interaction devices`)'
            )

    def _reopen(self, lost: Microphone, stop: Event) -> None:
        """Look for the same device until it opens, or until `stop`."""
        lost.close()
        retry_s = _FIRST_RETRY_S
        while not stop.wait(retry_s):
            try:
                self._open_again(lost)
                return
            except (DeviceError, AudioFormatError) as error:
                if str(error) != self._lost:  # not at every try
                    self.get_logger().error(str(error))
                self._lost = str(error)
            retry_s = min(2 * retry_s, _MAX_RETRY_S)

    def _play(self, file: FileSource, stop: Event) -> None:
        waited_s = 0.0
        while not self._audience(waited_s):  # or nobody would hear the beginning
            if stop.wait(_POLL_S):
                return
            waited_s += _POLL_S if self._audio.listeners else 0.0
        if stop.wait(_SETTLE_S):
            return
        length = '' if file.duration_s is None else f', {file.duration_s:.1f} s'
        self.get_logger().info(f"playing '{self.parameters.file}'{length}")
        try:
            for block in file.blocks(stop):
                self._publish(block)
        except AudioFormatError as error:
            self.diagnostics.trouble('file_errors', str(error))
        if not stop.is_set():
            self._end.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id=self.parameters.frame_id))
            self.get_logger().info(f"'{self.parameters.file}' has ended")

    def _audience(self, waited_s: float) -> bool:
        """safety_alert listens within a second of its start; the others, who load a model, are waited for a while."""
        matched = self._audio.listeners
        if waited_s >= _OTHERS_S:
            return matched > 0
        # A listener is in the graph before samples reach it, and one of another QoS never gets any.
        listeners = self.get_subscriptions_info_by_topic(self._audio.topic)
        return matched >= len(listeners) and any(listener.node_name != _SAFETY_ALERT for listener in listeners)

    def _why_it_stays(self) -> str:
        """Return why the own voice could not be taken out of the sound; '' where it could, or is not to be.

        Raises EchoLibraryError where it was asked for and cannot be.
        """
        if self.parameters.echo in ('auto', 'cancel'):
            try:
                require_libraries()
            except EchoLibraryError as error:
                if self.parameters.echo == 'cancel':
                    raise
                return str(error)
        return ''

    @property
    def _cancels(self) -> bool:
        """Whether the own voice is taken out of the sound as soon as there is one."""
        wanted = self.parameters.echo in ('auto', 'cancel') and not self._why_echo
        return wanted and isinstance(self._source, Microphone) and self._source.pcm.channels == 1

    @property
    def _published(self) -> PcmFormat:
        return self._source.pcm if self._own_voice is None else PUBLISHED

    def _say_who_talks(self, talks: bool) -> None:
        if talks != self._talks:
            self._talks = talks
            self._voice.publish(Bool(data=talks))

    def _without_own_voice(self, block: Block) -> Block | None:
        if self._own_voice is None and self._played.came:
            if self._cancels:
                self._begin_to_cancel()
            elif self._why_echo and not self._said_why:
                self._said_why = True
                self.get_logger().warning(
                    'the assistant speaks, and its voice stays in the sound, so that meanwhile only what is urgent is '
                    f"answered; pip install 'audio_interaction_ros[echo]' takes it out ({self._why_echo})"
                )
        if self._own_voice is None:
            return block
        heard = self._own_voice.push(block)
        self._say_who_talks(self._own_voice.talks)
        return heard

    def _begin_to_cancel(self) -> None:
        self._canceller, self._talk_over = EchoCanceller(self._reference), TalkOver()
        self._own_voice = OwnVoiceFilter(self._source.pcm, self._canceller, self._talk_over)
        if self._source.pcm != PUBLISHED:
            self._audio.describe(PUBLISHED)

    def _publish(self, captured: Block) -> None:
        block = self._without_own_voice(captured)
        if block is None:
            return
        header = Header(stamp=stamp_of(block.stamp_ns), frame_id=self.parameters.frame_id)
        self._audio.publish(header, block.data)
        self._frequency.tick()
        self._report_cancelling(self._source.picker.cancellation)

    def _report_cancelling(self, found: Averaging | None) -> None:
        if found is None and not self._cancelling:
            return
        if found is not None and not self._cancelling:  # with the levels of when it began, so that it is said once
            self._cancelling = found.sentence
        self.diagnostics.condition('cancelling_channels', self._cancelling if found else '')
        if found is None:
            self._cancelling = ''

    def _report_losses(self, microphone: Microphone) -> None:
        overflows, dropped = microphone.overflows - self._reported[0], microphone.dropped - self._reported[1]
        self._reported = (microphone.overflows, microphone.dropped)
        if overflows:
            self.diagnostics.trouble('overflows', 'the sound card lost sound; use a larger block_ms', overflows)
        if dropped:
            sentence = 'captured sound was dropped; end what else keeps this machine busy, or raise queue_max_blocks'
            self.diagnostics.trouble('dropped_blocks', sentence, dropped)


def _index(device: str | int) -> int | None:
    """Return the index that a device was asked for by; None for a name."""
    return int(device) if str(device).strip().isdecimal() else None


def _utc(time_ns: int) -> str:
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time_ns // NS_PER_S))


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, AudioCaptureNode)


if __name__ == '__main__':
    sys.exit(main())
