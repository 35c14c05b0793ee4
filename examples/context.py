"""Tell the assistant where it is, what time it is and how full its battery is: what it knows beside what it hears.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py
    python3 examples/context.py kitchen

In a checkout: run `make demo`, and in another terminal `.venv/bin/python examples/context.py kitchen` with the settings
that stand in the demo's line "listen along:".
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from datetime import datetime, timedelta

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_msgs.msg import Float32, String

EVERY_S = 60.0  # the model reads all that it remembers anew for each change: not more often than it matters
_LOOK_EVERY_S = 0.1


class ContextPublisher(Node):
    """A `ContextPublisher` publishes the digital context once a minute, and hears what of it the assistant knows."""

    def __init__(self, place: str) -> None:
        super().__init__('context')
        self._place = place
        self._battery: dict[str, object] = {}
        # Latched: an assistant that starts later learns it too. It takes the newest and forgets those before.
        latched = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self._publisher = self.create_publisher(String, 'ai/context', latched)
        self.create_subscription(Float32, 'battery', self._on_battery, 1)  # your robot's own, from 0 to 1
        self.create_subscription(String, 'ai/told', self._on_told, latched)
        self.create_timer(EVERY_S, self._publish)
        self._publish()

    def _on_battery(self, level: Float32) -> None:
        # What nobody measures any more is not known any more: an entry that has expired is dropped by itself.
        expires = datetime.now().astimezone() + timedelta(seconds=3 * EVERY_S)
        known = bool(self._battery)
        self._battery = {'battery': f'{level.data:.0%}', 'expires': expires.isoformat(timespec='seconds')}
        if not known:
            self._publish()

    def _publish(self) -> None:
        context = {'time': datetime.now().astimezone().isoformat(timespec='minutes'), 'place': self._place}
        self._publisher.publish(String(data=json.dumps({**context, 'robot': self._battery})))

    def _on_told(self, told: String) -> None:
        self.get_logger().info(f'the assistant knows {json.loads(told.data)["context"]}')


def main() -> None:
    """Run the node until Ctrl-C."""
    parser = argparse.ArgumentParser(description='Tell the assistant where it is, the time, and its battery.')
    parser.add_argument('place', help='where the robot is, in words')
    given = parser.parse_args(remove_ros_args(sys.argv)[1:])
    # Ctrl-C only says that it is to end. Python's exception, and rclpy's leaving ROS from another thread, come in the
    # middle of whatever rclpy is doing, which then fails with errors of its own.
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: ended.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    publisher = ContextPublisher(given.place)
    while not ended:
        rclpy.spin_once(publisher, timeout_sec=_LOOK_EVERY_S)


if __name__ == '__main__':
    main()
