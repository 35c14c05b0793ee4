"""safety_alert: urgent responses, and alarms heard on the raw sound → alerts, raised once, updated, and cleared.

The second path needs neither encoder nor decoder: it hears what audio_capture publishes, in this process, which loads
no model. Whoever hears a hazard, it becomes one alert on ai/safety_alert that says who heard it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from audio_common_msgs.msg import AudioDataStamped, AudioInfo
from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.msg import Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import alert_message, nanoseconds_of, stamp_of
from audio_interaction_ros.nodes.parameters import SafetyAlertParameters
from audio_interaction_ros.safety.alarm_listener import AlarmListener
from audio_interaction_ros.safety.alarm_signatures import Evidence
from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path
from audio_interaction_ros.safety.policy import Alert, AlertPolicy, HeardBy

# Sound may arrive before its format does. An alarm outlasts that; a format that never comes is a fault.
_UNREADABLE_MESSAGES = 100


class SafetyAlertNode(ManagedNode[SafetyAlertParameters]):
    """Takes final urgent responses: the text that names the hazard is complete some 100 ms after it begins."""

    NAME = 'safety_alert'

    def setup(self) -> None:
        given = self.parameters
        path = Path(given.hazards_file).expanduser() if given.hazards_file else default_taxonomy_path()
        self._taxonomy = HazardTaxonomy.load(path)
        self._pcm: PcmFormat | None = None
        if given.sample_rate:
            self._pcm = PcmFormat(given.sample_rate, given.channels, given.sample_format.upper())
        self._publisher = self.publish_on('ai/safety_alert', SafetyAlert, qos.ALERTS)
        self._listening = Listening(self, self._forget)
        self.listen_to('ai/response', Response, self._on_response, qos.EVENTS)
        if given.alarm_signatures:
            self.listen_to('audio_info', AudioInfo, self._on_info, qos.LATCHED, when_inactive=True)
            self.listen_to('audio_stamped', AudioDataStamped, self._on_audio, qos.AUDIO)
        self.every(0.5, self._clear_quiet)

    def start(self) -> None:
        self._policy = AlertPolicy(self.parameters.cooldown_s, self.parameters.clear_after_s)
        self._headers: dict[str, Header] = {}
        self._alarms = AlarmListener()
        self._unreadable = 0

    def stop(self) -> None:
        for alert in self._policy.clear_all():
            self._publish(alert)

    def measurements(self) -> Mapping[str, object]:
        return {
            'open_alerts': self._policy.open_alerts,
            'gaps': self._alarms.gaps,
            'listening': self._listening.on,
        }

    def _forget(self) -> None:
        """Silence is wanted now, and no trouble. Open alerts stay until quiet clears them, as ever."""
        if self.active:
            self._alarms.end_stream()
            self._unreadable = 0

    def _on_response(self, response: Response) -> None:
        if not (response.urgent and response.final) or response.cancelled:
            return
        hazard = self._taxonomy.hazard_of(response.text)
        alert = self._policy.heard(hazard, response.text, response.probability, response.id, self._now_s())
        self._raise(alert, response.header)

    def _on_info(self, info: AudioInfo) -> None:
        try:
            self._pcm = PcmFormat.from_info(info.sample_rate, info.channels, info.sample_format, info.coding_format)
        except AudioFormatError as error:
            # What follows is in a format that cannot be read: the old one must not be used on it.
            self._pcm = None
            self.diagnostics.trouble('refused_formats', f'audio_info refused, so no alarm is heard: {error}')

    def _on_audio(self, message: AudioDataStamped) -> None:
        """At most one chunk is looked at, in some 3 ms: not worth a thread."""
        if not self._listening.on:
            return
        if self._pcm is None:
            self._unreadable += 1
            if self._unreadable > _UNREADABLE_MESSAGES:
                why = (
                    'no readable audio_info has come and sample_rate is not set; publish audio_info or set sample_rate'
                )
                self.diagnostics.trouble('refused_messages', f'no alarm is heard: {why}')
            return
        try:
            samples = self._pcm.decode(message.audio.data)
            for evidence, stamp_ns in self._alarms.push(samples, self._pcm, nanoseconds_of(message.header.stamp)):
                self._on_signature(evidence, Header(stamp=stamp_of(stamp_ns), frame_id=message.header.frame_id))
        except AudioFormatError as error:
            self._alarms.note_loss()
            self.diagnostics.trouble('refused_messages', f'audio refused: {error}')

    def _on_signature(self, evidence: Evidence, header: Header) -> None:
        hazard = self._taxonomy.hazard_of_signature(evidence.signature)
        alert = self._policy.heard(hazard, evidence.sentence, evidence.confidence, '', self._now_s(), HeardBy.SIGNATURE)
        self._raise(alert, header)

    def _clear_quiet(self) -> None:
        for alert in self._policy.clear_quiet(self._now_s()):
            self._publish(alert)

    def _raise(self, alert: Alert, header: Header) -> None:
        self._headers[alert.hazard] = header
        self._publish(alert)

    def _publish(self, alert: Alert) -> None:
        self._publisher.publish(alert_message(alert, self._headers[alert.hazard]))
        who = f'{alert.severity.name}, heard by {alert.heard_by.name}'
        self.get_logger().warning(f'{alert.state.name} {alert.hazard} ({who}): {alert.message}')

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    return run(args, SafetyAlertNode)


if __name__ == '__main__':
    sys.exit(main())
