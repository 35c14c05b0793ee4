"""Print what the assistant says, while it says it.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py
    python3 examples/subscriber.py

In a checkout: run `make demo`, and type in another terminal the line that it prints after "listen along:"
(`.venv/bin/python examples/subscriber.py` with the demo's ROS_DOMAIN_ID).
"""

from __future__ import annotations

import signal

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.msg import Response

_LOOK_EVERY_S = 0.1


class Subscriber(Node):
    """A `Subscriber` prints every response: its text as it grows, then the whole of it with its tag."""

    def __init__(self) -> None:
        super().__init__('subscriber')
        # The last ten messages are kept for a callback that is late; reliable is the default.
        self.create_subscription(Response, 'ai/response', self._on_response, 10)

    def _on_response(self, response: Response) -> None:
        if not response.text:
            return  # it has just begun, or was cut short before the first word
        if not response.final:
            print(f'  {response.text} …', flush=True)  # each message replaces the one before it
            return
        ending = ', cut short' if response.cancelled else ''
        print(f'{response.text}  [{response.emotion}, p {response.probability:.2f}{ending}]', flush=True)


def main() -> None:
    """Run the node until Ctrl-C."""
    # Ctrl-C only says that it is to end. Python's exception, and rclpy's leaving ROS from another thread, come in the
    # middle of whatever rclpy is doing, which then fails with errors of its own.
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: ended.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    subscriber = Subscriber()
    while not ended:
        rclpy.spin_once(subscriber, timeout_sec=_LOOK_EVERY_S)


if __name__ == '__main__':
    main()
