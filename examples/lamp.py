r"""A lamp that the assistant may switch, and somebody at its terminal who says yes or no where a tool asks.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py tools:=$PWD/config/tools.yaml
    python3 examples/lamp.py

Without a word to the microphone, a call may be published as the model would:

    ros2 topic pub --once /ai/tool_call audio_interaction_ros/msg/ToolCall \
        "{id: '1', tool: light, arguments: '{\"state\": \"on\"}'}"
"""

from __future__ import annotations

import signal
import sys
import threading

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool

from audio_interaction_ros.msg import ToolResult
from audio_interaction_ros.srv import ConfirmTool

_LOOK_EVERY_S = 0.1


class Lamp(Node):
    """A `Lamp` is on or off as the topic `light` says, and shows what became of every call."""

    def __init__(self) -> None:
        super().__init__('lamp')
        events = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        self._confirm = self.create_client(ConfirmTool, 'ai/tool_confirm')
        self.create_subscription(Bool, 'light', self._on_light, events)
        self.create_subscription(ToolResult, 'ai/tool_result', self._on_result, events)
        threading.Thread(target=self._read, daemon=True).start()

    def _on_light(self, light: Bool) -> None:
        print('the lamp is on' if light.data else 'the lamp is off', flush=True)

    def _on_result(self, result: ToolResult) -> None:
        states = {ToolResult.ASKED: 'asks', ToolResult.DONE: 'done', ToolResult.FAILED: 'failed'}
        print(f'{result.tool} {states.get(result.state, "refused")}: {result.text}', flush=True)

    def _read(self) -> None:
        """Take every line that is typed for the answer to what was asked last."""
        for line in sys.stdin:
            if self._confirm.wait_for_service(timeout_sec=5.0):
                self._confirm.call_async(ConfirmTool.Request(answer=line.strip())).add_done_callback(
                    lambda future: print(future.result().message, flush=True)
                )


def main() -> None:
    """Run the lamp until Ctrl-C."""
    # Ctrl-C only says that it is to end. Python's exception, and rclpy's leaving ROS from another thread, come in the
    # middle of whatever rclpy is doing, which then fails with errors of its own.
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: ended.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    lamp = Lamp()
    while not ended:
        rclpy.spin_once(lamp, timeout_sec=_LOOK_EVERY_S)


if __name__ == '__main__':
    main()
