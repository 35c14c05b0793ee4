"""Tell somebody about every safety alert, then acknowledge it, so that it is not escalated any more.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py profile:=care
    python3 examples/acknowledge_alerts.py

In a checkout: run `make demo`, and in another terminal `.venv/bin/python examples/acknowledge_alerts.py` with the
settings that stand in the demo's line "listen along:".
"""

from __future__ import annotations

import signal

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from audio_interaction_ros.msg import SafetyAlert
from audio_interaction_ros.srv import AcknowledgeAlert

_LOOK_EVERY_S = 0.1


class AlertAcknowledger(Node):
    """An `AlertAcknowledger` acknowledges each open alert that nobody has acknowledged yet."""

    def __init__(self) -> None:
        super().__init__('acknowledge_alerts')
        # Alerts are latched: with transient local durability, those of before this node started arrive too.
        latched = QoSProfile(
            depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._told: set[str] = set()
        self._new: dict[str, SafetyAlert] = {}  # the newest message of each alert that has not been looked at
        self._acknowledge = self.create_client(AcknowledgeAlert, 'ai/acknowledge_alert')
        self.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, latched)
        self.create_timer(0.2, self._look)

    def _on_alert(self, alert: SafetyAlert) -> None:
        self._new[alert.id] = alert

    def _look(self) -> None:
        """Tell of what is open still. Of an alert of long ago, raised and cleared arrive at once: nothing to tell."""
        new, self._new = self._new, {}
        for alert in new.values():
            if alert.state == SafetyAlert.CLEARED:
                self._told.discard(alert.id)
            elif not alert.acknowledged and alert.id not in self._told:
                self._tell_and_acknowledge(alert)

    def _tell_and_acknowledge(self, alert: SafetyAlert) -> None:
        self._tell(alert)
        if not self._acknowledge.service_is_ready():
            self.get_logger().error(f'{alert.id} is not acknowledged: safety_alert does not answer')
            return
        # Not call(): it would wait here, in the callback, for an answer that only another callback can bring.
        self._told.add(alert.id)
        request = AcknowledgeAlert.Request(id=alert.id)
        self._acknowledge.call_async(request).add_done_callback(lambda answer: self._on_answer(alert.id, answer))

    def _tell(self, alert: SafetyAlert) -> None:
        """Tell a person. Put your light, your loudspeaker or your message here."""
        self.get_logger().warning(f'{alert.hazard}: {alert.message}')

    def _on_answer(self, alert_id: str, answer: Future) -> None:
        # Not a failure where there is no such open alert any more: it was cleared while we asked.
        self.get_logger().info(f'{alert_id}: {answer.result().message}')


def main() -> None:
    """Run the node until Ctrl-C."""
    # Ctrl-C only says that it is to end. Python's exception, and rclpy's leaving ROS from another thread, come in the
    # middle of whatever rclpy is doing, which then fails with errors of its own.
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: ended.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    acknowledger = AlertAcknowledger()
    while not ended:
        rclpy.spin_once(acknowledger, timeout_sec=_LOOK_EVERY_S)


if __name__ == '__main__':
    main()
