"""safety_alert: urgent responses, and alarms heard on the raw sound → alerts, raised once, updated, and cleared.

The second path needs neither encoder nor decoder: it hears what audio_capture publishes, in this process, which loads
no model. Whoever hears a hazard, it becomes one alert on ai/safety_alert that says who heard it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from std_msgs.msg import Header

from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.msg import AudioEmbedding, Decision, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.health import Health
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import alert_message, stamp_of
from audio_interaction_ros.nodes.parameters import SafetyAlertParameters
from audio_interaction_ros.nodes.sound import SoundSubscription
from audio_interaction_ros.safety.alarm_listener import AlarmListener
from audio_interaction_ros.safety.alarm_signatures import Evidence
from audio_interaction_ros.safety.hazards import Hazard, HazardTaxonomy, default_taxonomy_path
from audio_interaction_ros.safety.policy import Alert, AlertPolicy, HeardBy
from audio_interaction_ros.safety.supervision import Supervisor
from audio_interaction_ros.srv import AcknowledgeAlert

_LOOK_EVERY_S = 0.25


class SafetyAlertNode(ManagedNode[SafetyAlertParameters]):
    """A `SafetyAlertNode` makes alerts of final urgent responses and of alarms in the raw sound.

    Final ones, because the text that names the hazard is complete some 100 ms after it begins.
    """

    NAME = 'safety_alert'

    def setup(self) -> None:
        """Read the hazard taxonomy and make the topics of both paths."""
        given = self.parameters
        path = Path(given.hazards_file).expanduser() if given.hazards_file else default_taxonomy_path()
        self._taxonomy = HazardTaxonomy.load(path, given.profile)
        self._publisher = self.create_publisher(SafetyAlert, 'ai/safety_alert', qos.ALERTS)
        self._listening = Listening(self, self._forget)
        self.create_subscription(Response, 'ai/response', self._on_response, qos.EVENTS)
        self._sound: SoundSubscription | None = None
        if given.alarm_signatures or given.supervise:
            self._sound = SoundSubscription(self, given, self._on_audio, ', so no alarm is heard')
        if given.supervise:
            self.create_subscription(AudioEmbedding, 'ai/embeddings', self._on_embedding, qos.EMBEDDINGS)
            self.create_subscription(Decision, 'ai/decision', self._on_decision, qos.EVENTS)
            self.create_subscription(Header, 'audio_end', self._on_end, qos.LATCHED)
            self._health = Health(self, self.steady_s)
        self.create_service(AcknowledgeAlert, 'ai/acknowledge_alert', self._on_acknowledge)
        self.create_timer(_LOOK_EVERY_S, self._look)

    def start(self) -> None:
        """Begin with nothing heard and no alert."""
        self._policy = AlertPolicy(self.parameters.cooldown_s, self.parameters.clear_after_s)
        self._headers: dict[str, Header] = {}
        self._alarms = AlarmListener()
        self._supervisor = Supervisor(self.steady_s())
        self._deaf: str | None = None
        self._was_on = True
        self._ignored = 0

    def apply(self) -> None:
        """Take the live parameters, also for alerts that are open."""
        if self.active:
            self._policy.cooldown_s = self.parameters.cooldown_s
            self._policy.clear_after_s = self.parameters.clear_after_s

    def stop(self) -> None:
        """Clear every open alert, because nobody listens any more."""
        for alert in self._policy.clear_all():
            self._publish(alert)

    def measurements(self) -> Mapping[str, object]:
        """Return how many alerts are open, and what was not listened to."""
        return {
            'open_alerts': self._policy.open_alerts,
            'gaps': self._alarms.gaps,
            'listening': self._listening.on,
            'ignored_by_profile': self._ignored,
            'unread_messages': self._sound.unread if self._sound is not None else 0,
        }

    def problem(self) -> str:
        """Return why the assistant is deaf; empty while it is not."""
        return self._deaf or ''

    def _forget(self) -> None:
        """Silence is wanted now, and no trouble. Open alerts stay until quiet clears them, as ever."""
        if self.active:
            self._alarms.end_stream()

    def _on_response(self, response: Response) -> None:
        self._supervisor.spoke(self.steady_s())
        if not (response.urgent and response.final) or response.cancelled:
            return
        hazard = self._taxonomy.hazard_of(response.text)
        self._heard(hazard, response.text, response.probability, response.id, HeardBy.MODEL, response.header)

    def _on_audio(self, message: Any) -> None:
        """At most one chunk is looked at, in some 3 ms: not worth a thread."""
        sound = self._sound
        if sound is None or not self._listening.on or sound.awaits_format():
            return

        def look(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> None:
            fault = sound.levels.fault
            self._supervisor.sound(self.steady_s(), fault.sentence if fault and fault.deaf else '')
            if not self.parameters.alarm_signatures:
                return
            for evidence, began_ns in self._alarms.push(samples, pcm, stamp_ns, time.monotonic_ns()):
                self._on_signature(evidence, Header(stamp=stamp_of(began_ns), frame_id=message.header.frame_id))

        sound.take(message, look, self._alarms)

    def _on_signature(self, evidence: Evidence, header: Header) -> None:
        hazard = self._taxonomy.hazard_of_signature(evidence.signature)
        self._heard(hazard, evidence.sentence, evidence.confidence, '', HeardBy.SIGNATURE, header)

    def _on_embedding(self, message: AudioEmbedding) -> None:
        self._supervisor.encoded(self.steady_s())

    def _on_decision(self, message: Decision) -> None:
        self._supervisor.decided(self.steady_s())

    def _on_end(self, message: Header) -> None:
        self._supervisor.over()

    def _on_acknowledge(
        self, request: AcknowledgeAlert.Request, response: AcknowledgeAlert.Response
    ) -> AcknowledgeAlert.Response:
        found = self._policy.acknowledge(request.id) if self.active else []
        for alert in found:
            self._publish(alert)
        response.success = bool(found)
        response.message = f'{len(found)} acknowledged' if found else 'there is no such open alert'
        return response

    def _look(self) -> None:
        now_s = self.steady_s()
        for alert in (*self._policy.clear_quiet(now_s), *self._policy.escalate(now_s)):
            self._publish(alert)
        if self.parameters.supervise:
            self._supervise()

    def _supervise(self) -> None:
        """Deafness is an alert of its own: raised when it begins, cleared when sound is decided on again."""
        on = self._listening.on
        if on and not self._was_on:
            self._supervisor = Supervisor(self.steady_s())
        self._was_on = on
        problem = self._supervisor.problem(self.steady_s()) if on else None
        deafness = self._taxonomy.listening_lost
        if problem and problem != self._deaf:
            header = Header(stamp=self.get_clock().now().to_msg())
            self._heard(deafness, problem, 1.0, '', HeardBy.SUPERVISION, header)
        elif self._deaf and not problem:
            self._publish(self._policy.clear(deafness.name))
        self._deaf = problem
        self._health.publish(on, self._supervisor.begun, problem)

    def _heard(
        self, hazard: Hazard, message: str, confidence: float, response_id: str, heard_by: HeardBy, header: Header
    ) -> None:
        if hazard.ignored:
            self._ignored += 1
            return
        message = hazard.messages.get(self.parameters.language, message)
        alert = self._policy.heard(hazard, message, confidence, response_id, self.steady_s(), heard_by)
        self._headers[alert.hazard] = header
        self._publish(alert)

    def _publish(self, alert: Alert) -> None:
        self._publisher.publish(alert_message(alert, self._headers[alert.hazard]))
        who = f'{alert.severity.name}, heard by {alert.heard_by.name}'
        self.get_logger().warning(f'{alert.state.name} {alert.hazard} ({who}): {alert.message}')


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, SafetyAlertNode)


if __name__ == '__main__':
    sys.exit(main())
