"""The demo's own node: waits for the others to be active, and takes down when what they publish arrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.cli.scoring import HeardAlert, HeardDecision, HeardResponse, scene_start_s
from audio_interaction_ros.cli.timeline_view import TimelineView
from audio_interaction_ros.msg import Decision, Response, SafetyAlert
from audio_interaction_ros.safety.policy import AlertState, HeardBy

_STATES = {SafetyAlert.RAISED: 'raised', SafetyAlert.UPDATED: 'updated', SafetyAlert.CLEARED: 'cleared'}
_SEVERITIES = {SafetyAlert.INFO: 'info', SafetyAlert.WARNING: 'warning', SafetyAlert.DANGER: 'danger'}
_CAPTURE = 'audio_capture'
_QOS = QoSProfile(depth=1000)


class Observer:
    """An `Observer` keeps decisions, responses and alerts in the order of arrival, and shows them on the timeline."""

    def __init__(self, view: TimelineView) -> None:
        """Make the node; rclpy must have been initialised."""
        self.decisions: list[HeardDecision] = []
        self.alerts: list[HeardAlert] = []
        self.last_event_s = time.monotonic()
        self._view = view
        self._open_responses: set[str] = set()
        self._responses: dict[str, HeardResponse] = {}
        self._start_s: float | None = None
        self._held: list[Callable[[], None]] | None = None
        self._capture: dict[str, str] = {}
        self._capture_trouble = ''
        self._node = rclpy.create_node('demo')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._node.create_subscription(Decision, 'ai/decision', self._on_decision, _QOS)
        self._node.create_subscription(Response, 'ai/response', self._on_response, _QOS)
        self._node.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, _QOS)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, _QOS)

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self._node.destroy_node()

    @property
    def responses(self) -> list[HeardResponse]:
        """Return the responses so far, each with the newest of its text."""
        return list(self._responses.values())

    @property
    def speaking(self) -> bool:
        """Return True while a response is being written."""
        return bool(self._open_responses)

    def spin(self, seconds: float) -> None:
        """Handle what arrives during this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait_active(self, name: str, timeout_s: float, check: Callable[[], None]) -> None:
        """Wait until the lifecycle node is active. `check` is called meanwhile and may raise.

        Raises CommandError when the node is not active in time.
        """
        client = self._node.create_client(GetState, f'{name}/get_state')
        deadline = time.monotonic() + timeout_s
        state = 'not there'
        try:
            while time.monotonic() < deadline:
                check()
                self.spin(0.1)
                if not client.service_is_ready():
                    continue
                answer = client.call_async(GetState.Request())
                # A node that loads its model answers only afterwards.
                self._executor.spin_until_future_complete(answer, timeout_sec=1.0)
                if not answer.done():
                    continue
                state = answer.result().current_state.label
                if answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                    return
        finally:
            self._node.destroy_client(client)
        raise CommandError(
            f'{name} is {state} after {timeout_s:.0f} s, active expected; end what else keeps this machine busy'
        )

    def hold(self) -> None:
        """Show nothing until `release`, which shows what came meanwhile."""
        self._held = []

    def release(self) -> None:
        """Show what was held back, and from now on everything as it comes."""
        held, self._held = self._held or [], None
        for show in held:
            show()

    def wait_sound(self, timeout_s: float, check: Callable[[], None]) -> str:
        """Wait until sound comes from the microphone and is decided on, and return how it was opened.

        `check` is called meanwhile and may raise. Raises CommandError when no sound comes in time.
        """
        deadline = time.monotonic() + timeout_s
        while not (self.decisions and self._capture.get('sound_since')):
            check()
            if time.monotonic() > deadline:
                why = self._capture_trouble or (
                    'sound came and was not decided on' if self._capture.get('sound_since') else 'the device is silent'
                )
                raise CommandError(
                    f'no sound was heard within {timeout_s:.0f} s: {why}; `audio-interaction devices` lists others'
                )
            self.spin(0.1)
        words = self._capture
        channels = f'{words["channels_opened"]} channel' + ('s' if words['channels_opened'] != '1' else '')
        return f'{words["sample_rate"]} Hz, {channels}, latency {words["latency_ms"]} ms'

    def _show(self, show: Callable[[], None]) -> None:
        if self._held is None:
            show()
        else:
            self._held.append(show)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if not status.name.endswith(f'/{_CAPTURE}: status'):
                continue
            self._capture = {pair.key: pair.value for pair in status.values}
            trouble = status.message if status.level == DiagnosticStatus.ERROR else ''
            if trouble != self._capture_trouble:
                self._capture_trouble = trouble
                self._view.note(trouble or f'sound comes again from {self._capture.get("device", "the microphone")}')

    def _on_decision(self, message: Any) -> None:
        received_s = time.time()
        decision = HeardDecision(
            _stamp_s(message.header.stamp),
            received_s,
            message.stream_id,
            message.chunk_index,
            message.chunks_drained,
            message.decision == Decision.RESPONSE,
            message.chunks_lost,
        )
        self.decisions.append(decision)
        self.last_event_s = time.monotonic()
        if self._start_s is None:
            self._start_s = scene_start_s(self.decisions)
        t_s = decision.stamp_s + CHUNK_S - self._start_s
        self._show(
            lambda: self._view.decision(
                t_s, message.level_dbfs, decision.respond, message.probability, decision.chunks_drained
            )
        )

    def _on_response(self, message: Any) -> None:
        received_s = time.time()
        self.last_event_s = time.monotonic()
        if message.id in self._responses:
            self._responses[message.id] = replace(self._responses[message.id], text=message.text)
        else:
            self._open_responses.add(message.id)
            self._responses[message.id] = HeardResponse(_stamp_s(message.header.stamp), received_s, message.text)
        if message.final:
            self._open_responses.discard(message.id)
        self._show(lambda: self._view.response(message.text, message.emotion, message.latency_s, message.final))

    def _on_alert(self, message: Any) -> None:
        received_s = time.time()
        self.last_event_s = time.monotonic()
        self.alerts.append(
            HeardAlert(
                _stamp_s(message.header.stamp),
                received_s,
                message.id,
                message.hazard,
                HeardBy(message.heard_by),
                message.message,
                message.response_id,
                AlertState(message.state),
            )
        )
        self._show(
            lambda: self._view.alert(
                _STATES.get(message.state, '?'),
                _SEVERITIES.get(message.severity, '?'),
                message.hazard,
                message.message,
            )
        )


def _stamp_s(stamp: Any) -> float:
    seconds: float = stamp.sec + stamp.nanosec * 1e-9
    return seconds
