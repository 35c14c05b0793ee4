"""safety_alert: urgent responses → alerts that are raised once, updated, and cleared, on ai/safety_alert."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from std_msgs.msg import Header

from audio_interaction_ros.msg import Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.messages import alert_message
from audio_interaction_ros.nodes.parameters import SafetyAlertParameters
from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path
from audio_interaction_ros.safety.policy import Alert, AlertPolicy


class SafetyAlertNode(ManagedNode[SafetyAlertParameters]):
    """Takes final urgent responses: the text that names the hazard is complete some 100 ms after it begins."""

    NAME = 'safety_alert'

    def setup(self) -> None:
        given = self.parameters
        path = Path(given.hazards_file).expanduser() if given.hazards_file else default_taxonomy_path()
        self._taxonomy = HazardTaxonomy.load(path)
        self._publisher = self.publish_on('ai/safety_alert', SafetyAlert, qos.ALERTS)
        self.listen_to('ai/response', Response, self._on_response, qos.EVENTS)
        self.every(0.5, self._clear_quiet)

    def start(self) -> None:
        self._policy = AlertPolicy(self.parameters.cooldown_s, self.parameters.clear_after_s)
        self._headers: dict[str, Header] = {}

    def stop(self) -> None:
        for alert in self._policy.clear_all():
            self._publish(alert)

    def measurements(self) -> Mapping[str, object]:
        return {'open_alerts': self._policy.open_alerts}

    def _on_response(self, response: Response) -> None:
        if not (response.urgent and response.final):
            return
        hazard = self._taxonomy.hazard_of(response.text)
        self._headers[hazard.name] = response.header
        self._publish(self._policy.heard(hazard, response.text, response.probability, response.id, self._now_s()))

    def _clear_quiet(self) -> None:
        for alert in self._policy.clear_quiet(self._now_s()):
            self._publish(alert)

    def _publish(self, alert: Alert) -> None:
        self._publisher.publish(alert_message(alert, self._headers[alert.hazard]))
        self.get_logger().warning(f'{alert.state.name} {alert.hazard} ({alert.severity.name}): {alert.message}')

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main(args: list[str] | None = None) -> int:
    return run(args, SafetyAlertNode)


if __name__ == '__main__':
    sys.exit(main())
