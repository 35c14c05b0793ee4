"""Tell somebody about every safety alert, then acknowledge it, so that it is not escalated any more.

ros2 launch audio_interaction_ros assistant.launch.py profile:=care
python3 examples/acknowledge_alerts.py
"""

from __future__ import annotations

from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future

from audio_interaction_ros.msg import SafetyAlert
from audio_interaction_ros.srv import AcknowledgeAlert


class AlertAcknowledger(Node):
    """An `AlertAcknowledger` acknowledges each open alert that nobody has acknowledged yet."""

    def __init__(self) -> None:
        super().__init__('acknowledge_alerts')
        # Alerts are latched: with transient local durability, those of before this node started arrive too.
        latched = QoSProfile(
            depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._told: set[str] = set()
        self._acknowledge = self.create_client(AcknowledgeAlert, 'ai/acknowledge_alert')
        self.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, latched)

    def _on_alert(self, alert: SafetyAlert) -> None:
        if alert.state == SafetyAlert.CLEARED:
            self._told.discard(alert.id)
        if alert.acknowledged or alert.state == SafetyAlert.CLEARED or alert.id in self._told:
            return
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
        self.get_logger().info(f'{alert_id}: {answer.result().message}')
        if not answer.result().success:
            self._told.discard(alert_id)


def main() -> None:
    """Run the node until Ctrl-C."""
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(AlertAcknowledger())


if __name__ == '__main__':
    main()
