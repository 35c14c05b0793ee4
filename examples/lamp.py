r"""A lamp that the assistant may switch, and somebody at its terminal who says yes or no where a tool asks.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py tools:=$PWD/config/tools.yaml
    python3 examples/lamp.py

Without a word to the microphone, a call may be published as the model would:

    ros2 topic pub --once /ai/tool_call audio_interaction_ros/msg/ToolCall \
        "{id: '1', tool: light, arguments: '{\"state\": \"on\"}'}"
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from audio_interaction_ros.msg import ToolResult
from audio_interaction_ros.srv import ConfirmTool


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
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Lamp())


if __name__ == '__main__':
    main()
