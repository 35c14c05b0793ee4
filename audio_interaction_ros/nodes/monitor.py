"""monitor: a page for a browser with what the assistant hears, decides and says just now. Off by default; looks only.

It is a process of its own that only subscribes, so whatever a viewer does, no chunk is lost by it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_srvs.srv import SetBool

from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.model.checkpoint import CheckpointConfig, find_checkpoint
from audio_interaction_ros.monitor.state import MonitorState, ShownAlert, ShownNode, ShownResponse
from audio_interaction_ros.msg import Decision, Health, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import nanoseconds_of
from audio_interaction_ros.nodes.parameters import MonitorParameters
from audio_interaction_ros.nodes.sound import SoundSubscription
from audio_interaction_ros.srv import AcknowledgeAlert

if TYPE_CHECKING:
    from threading import Event

    from bokeh.document import Document

    from audio_interaction_ros.audio.stamp_watch import StampFault

_HEALTH = {
    Health.STARTING: 'starting',
    Health.HEARING: 'hearing',
    Health.DEGRADED: 'degraded',
    Health.DEAF: 'deaf',
    Health.SWITCHED_OFF: 'switched off',
}
_SEVERITY = {SafetyAlert.INFO: 'info', SafetyAlert.WARNING: 'warning', SafetyAlert.DANGER: 'danger'}
_STATE = {SafetyAlert.RAISED: 'raised', SafetyAlert.UPDATED: 'heard again', SafetyAlert.CLEARED: 'cleared'}
_LEVEL = {
    DiagnosticStatus.OK: 'ok',
    DiagnosticStatus.WARN: 'warning',
    DiagnosticStatus.ERROR: 'error',
    DiagnosticStatus.STALE: 'stale',
}


class MonitorNode(ManagedNode[MonitorParameters]):
    """A `MonitorNode` keeps the last minute of what is published, and serves it as a page."""

    NAME = 'monitor'

    def setup(self) -> None:
        """Subscribe to everything that is shown, and see that the page can be served."""
        given = self.parameters
        self._access = _access(given)
        self._thresholds = sorted(
            {each.at_once for each in CheckpointConfig.load(find_checkpoint(given.checkpoint)).streaming.table.values()}
        )
        self._state = MonitorState()
        self._sound = SoundSubscription(self, given, self._on_audio, ', so no sound is shown')
        self._listening = Listening(self, self._state.forget_sound)
        self.create_subscription(Decision, 'ai/decision', self._on_decision, qos.EVENTS)
        self.create_subscription(Response, 'ai/response', self._on_response, qos.EVENTS)
        self.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, qos.ALERTS, when_inactive=True)
        self.create_subscription(Health, 'ai/health', self._on_health, qos.EVENTS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS)
        self._switch = self.create_client(SetBool, 'ai/set_listening')
        self._acknowledge = self.create_client(AcknowledgeAlert, 'ai/acknowledge_alert')

    def start(self) -> None:
        """Serve the page."""
        self.work(self._serve)
        self.get_logger().info(f'the page is at {self._access.url}{"?token=…" if self.parameters.token else ""}')

    def teardown(self) -> None:
        """Forget what was shown."""
        for name in ('_switch', '_acknowledge'):
            if (client := getattr(self, name, None)) is not None:
                self.destroy_client(client)
        self.let_go('_switch', '_acknowledge', '_state', '_sound', '_listening')

    def measurements(self) -> Mapping[str, object]:
        """Return where the page is, and what could not be shown."""
        return {'page': self._access.url, 'unread_messages': self._sound.unread}

    def _serve(self, stop: Event) -> None:
        from audio_interaction_ros.monitor.page import LivePage
        from audio_interaction_ros.monitor.server import serve

        def fill(document: Document) -> None:
            LivePage(document, self._state, self._thresholds, *self._controls())

        serve(self._access, fill, stop)

    def _controls(self) -> tuple[Any, ...]:
        """What the buttons do: they ask and do not wait, and what came of it is seen on the page."""
        if not self.parameters.control:
            return ()
        switch, acknowledge = self._switch, self._acknowledge
        return (
            lambda on: switch.call_async(SetBool.Request(data=on)),
            lambda: acknowledge.call_async(AcknowledgeAlert.Request(id='')),
        )

    def _on_audio(self, message: Any) -> None:
        self._state.listening = self._listening.on
        if not self._listening.on or self._sound.awaits_format():
            return

        def show(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> None:
            self._state.sound(samples, pcm)

        self._sound.take(message, show, _Unconcerned())

    def _on_decision(self, message: Decision) -> None:
        self._state.decision(message.probability, message.decision == Decision.RESPONSE)

    def _on_response(self, message: Response) -> None:
        self._state.response(
            ShownResponse(
                message.id, _clock(message.header), message.text, message.urgent, message.final, message.cancelled,
                message.probability,
            )
        )  # fmt: skip

    def _on_alert(self, message: SafetyAlert) -> None:
        state = _STATE.get(message.state, str(message.state))
        if message.acknowledged and message.state != SafetyAlert.CLEARED:
            state = 'acknowledged'
        severity = _SEVERITY.get(message.severity, str(message.severity))
        self._state.alert(
            ShownAlert(message.id, _clock(message.header), message.hazard, severity, state, message.message)
        )

    def _on_health(self, message: Health) -> None:
        self._state.listening = self._listening.on
        self._state.health(_HEALTH.get(message.state, str(message.state)), tuple(message.reasons))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = tuple((pair.key, pair.value) for pair in status.values)
            self._state.node(ShownNode(status.name, _LEVEL.get(status.level, 'unknown'), status.message, values))


class _Unconcerned:
    """What is lost or wrongly stamped is the encoder's to report, not a viewer's."""

    fault: StampFault | None = None

    def note_loss(self, seconds: float = 0.0) -> None:
        return


def _access(given: MonitorParameters) -> Any:
    """Where the page is served. Raises MonitorError, also where what serves it is not installed."""
    try:
        from audio_interaction_ros.monitor.server import Access, require_free
    except ImportError as error:
        raise ValueError(
            f'{error.name} is not installed and the page is served by it; install it with: pip install bokeh'
        ) from None
    access = Access(given.address, given.port, given.token, given.certificate, given.key, given.viewers_max)
    require_free(access)
    return access


def _clock(header: Any) -> str:
    return time.strftime('%H:%M:%S', time.localtime(nanoseconds_of(header.stamp) * 1e-9))


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, MonitorNode)


if __name__ == '__main__':
    sys.exit(main())
