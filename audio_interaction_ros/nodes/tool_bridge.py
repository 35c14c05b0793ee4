"""tool_bridge: the model's calls of tools, carried out as ROS topics, services, actions and timers; off by default.

It believes nobody: every call is held against its own tools file, whatever published it. No callback waits for a tool.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.task import Future

from audio_interaction_ros.msg import ToolCall, ToolResult
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.messages import wire_text
from audio_interaction_ros.nodes.parameters import ToolBridgeParameters
from audio_interaction_ros.nodes.ros_types import MissingTypeError, message_of, require_fitting, type_of
from audio_interaction_ros.srv import ConfirmTool, Say
from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.desk import Case, Due, Outcome, Result, ToolDesk, filled
from audio_interaction_ros.tool_use.doing import Doing, doing_of
from audio_interaction_ros.tool_use.errors import CallError, ToolsError

_LOOK_EVERY_S = 0.1
_MAX_TIMERS = 16
_MAX_TEXT = 1_000  # characters of a result
_MAX_SPOKEN = 1_000  # that ai/say takes
_ENDED = {GoalStatus.STATUS_CANCELED: 'was cancelled', GoalStatus.STATUS_ABORTED: 'was given up'}


class ToolBridgeNode(ManagedNode[ToolBridgeParameters]):
    """A `ToolBridgeNode` carries out the calls that are as declared, and tells what became of every call."""

    NAME = 'tool_bridge'

    def setup(self) -> None:
        """Read the tools file, and make a publisher or a client for every tool."""
        path = self.parameters.tools_file
        self._tools = Tools.load(Path(path)) if path else Tools([])
        self._desk = self._new_desk()  # first: making publishers calls `apply`
        self._running: list[tuple[float, Case, str]] = []
        self._goals: dict[str, Any] = {}
        self._called: list[Any] = []
        self._missing: dict[str, str] = {}
        self._doers: dict[str, Callable[[Case], None]] = {}
        for name, tool in self._tools.declared.items():
            doing = doing_of(tool)
            try:
                self._doers[name] = self._doer_of(doing)
            except MissingTypeError as error:
                self._missing[name] = str(error)
                self.get_logger().warning(f"the tool '{name}' will be refused: {error}")
            except ToolsError as error:
                raise ToolsError(f"'{path}': 'does' of tool '{name}': {error}") from error
        self._say = self._client(self.create_client(Say, 'ai/say'))
        self._results = self.create_publisher(ToolResult, 'ai/tool_result', qos.EVENTS)
        self.create_subscription(ToolCall, 'ai/tool_call', self._on_call, qos.EVENTS)
        self.create_service(ConfirmTool, 'ai/tool_confirm', self._on_confirm)
        self.create_timer(_LOOK_EVERY_S, self._look)

    def teardown(self) -> None:
        """Let go of the clients."""
        for client in getattr(self, '_called', ()):
            client.destroy()
        self.let_go('_called', '_doers', '_say')

    def start(self) -> None:
        """Begin without calls."""
        self._desk = self._new_desk()
        self._goals, self._running = {}, []

    def stop(self) -> None:
        """Refuse what is open, stop what moves, and forget the timers."""
        for goal in self._goals.values():
            goal.cancel_goal_async()
        self._goals, self._running = {}, []
        self._tell(self._desk.close())

    def apply(self) -> None:
        """Take the live parameters, from the next call on."""
        self._desk.confirm_within_s = self.parameters.confirm_within_s
        self._desk.repeat_after_s = self.parameters.repeat_after_s

    def measurements(self) -> Mapping[str, object]:
        """Return how many calls are open, what waits for a yes, and how many ended how."""
        waiting = self._desk.waiting
        return {
            'queue_depth': self._desk.open,
            'waits_for_yes': waiting.call.tool.name if waiting else '',
            'timers': len(self._running),
            'calls_done': self._desk.counts['done'],
            'calls_declined': self._desk.counts['declined'],
        }

    def _new_desk(self) -> ToolDesk:
        given = self.parameters
        return ToolDesk(
            self._tools, given.queue_max_calls, given.confirm_within_s, given.repeat_after_s, given.confirm_by_voice
        )

    def _doer_of(self, doing: Doing) -> Callable[[Case], None]:
        """Return what carries out a call; raise ToolsError where the tools file does not fit the type."""
        if doing.kind == 'timer':
            return lambda case: self._set_timer(case, doing)
        cls = type_of(doing.type)
        filled_in = {'topic': cls, 'service': getattr(cls, 'Request', None), 'action': getattr(cls, 'Goal', None)}
        of = filled_in[doing.kind]
        require_fitting(of, doing.fields)
        if doing.kind == 'topic':
            publisher = self.create_publisher(cls, doing.name, qos.EVENTS)

            def publish(case: Case) -> None:
                publisher.publish(message_of(of, doing.values(case.call.arguments)))
                if publisher.get_subscription_count():
                    self._done(case, 'it was sent')
                else:
                    self._failed(case, f"nobody listens on '{doing.name}'")

            return publish
        if doing.kind == 'service':
            client = self._client(self.create_client(cls, doing.name))
            return lambda case: self._request(case, client, message_of(of, doing.values(case.call.arguments)))
        action = self._client(ActionClient(self, cls, doing.name))
        return lambda case: self._send_goal(case, action, message_of(of, doing.values(case.call.arguments)))

    def _client(self, client: Any) -> Any:
        self._called.append(client)
        return client

    def _on_call(self, call: ToolCall) -> None:
        self._do(self._desk.take(call.id, call.tool, call.arguments, call.response_id, time.monotonic()))

    def _on_confirm(self, request: ConfirmTool.Request, response: ConfirmTool.Response) -> ConfirmTool.Response:
        if not self.active:
            response.message = 'tool_bridge is not active, so nothing is done; activate it'
            return response
        success, message, due = self._desk.confirm(request.id, request.answer, time.monotonic())
        response.success, response.message = success, message
        self._do(due)
        return response

    def _look(self) -> None:
        now_s = time.monotonic()
        due = self._desk.due(now_s)
        for result in due.results:
            if (goal := self._goals.pop(result.id, None)) is not None:
                goal.cancel_goal_async()  # nobody knows of it any more
        self._do(due)
        over = [timer for timer in self._running if timer[0] <= now_s]
        self._running = [timer for timer in self._running if timer[0] > now_s]
        for _, case, text in over:
            self._speak(text)
            self._publish(Result(case.id, case.call.tool.name, Outcome.DONE, text))

    def _do(self, due: Due) -> None:
        self._tell(due.results)
        for case in due.begin:
            name = case.call.tool.name
            if name in self._missing:
                self._failed(case, self._missing[name])
                continue
            try:
                self._doers[name](case)
            except (CallError, ToolsError) as error:
                self._failed(case, str(error))

    def _set_timer(self, case: Case, doing: Doing) -> None:
        arguments = case.call.arguments
        seconds = doing.seconds(arguments)
        if len(self._running) >= _MAX_TIMERS:
            raise CallError('queue_full', f'{_MAX_TIMERS} timers run already; wait for one')
        text = filled(doing.text, arguments) or f'{case.call.tool.name.replace("_", " ")} is over.'
        self._running.append((time.monotonic() + seconds, case, text))
        self._done(case, f'it runs for {seconds:g} s')

    def _request(self, case: Case, client: Any, request: Any) -> None:
        if not client.service_is_ready():
            self._failed(case, f"nobody offers the service '{client.srv_name}'")
            return

        def answered(future: Future) -> None:
            response = future.result()
            success = getattr(response, 'success', getattr(response, 'accepted', True))
            message = str(getattr(response, 'message', '')) or ('it was done' if success else 'it was not done')
            (self._done if success else self._failed)(case, message)

        self._when_done(client.call_async(request), case, answered)

    def _send_goal(self, case: Case, action: Any, goal: Any) -> None:
        if not action.server_is_ready():
            self._failed(case, f"nobody offers the action of '{case.call.tool.name}'")
            return

        def taken(future: Future) -> None:
            handle = future.result()
            if not handle.accepted:
                self._failed(case, 'the goal was refused')
            elif not self.active or self._desk.case(case.id) is None:
                handle.cancel_goal_async()  # too late
            else:
                self._goals[case.id] = handle
                self._when_done(handle.get_result_async(), case, ended)

        def ended(future: Future) -> None:
            self._goals.pop(case.id, None)
            status = future.result().status
            if status == GoalStatus.STATUS_SUCCEEDED:
                self._done(case, 'the goal was reached')
            else:
                self._failed(case, f'the goal {_ENDED.get(status, "was not reached")}')

        self._when_done(action.send_goal_async(goal), case, taken)

    def _when_done(self, future: Future, case: Case, then: Callable[[Future], None]) -> None:
        def call(future: Future) -> None:
            if (error := future.exception()) is not None:
                self._failed(case, f'it failed: {" ".join(str(error).split())[:200]}')
            else:
                then(future)

        future.add_done_callback(call)

    def _done(self, case: Case, text: str) -> None:
        self._tell_one(self._desk.done(case.id, text))

    def _failed(self, case: Case, text: str) -> None:
        self._tell_one(self._desk.failed(case.id, text))

    def _tell_one(self, result: Result | None) -> None:
        if result is not None:
            self._tell([result])

    def _tell(self, results: list[Result]) -> None:
        for result in results:
            if result.outcome is Outcome.ASKED and self.parameters.ask_aloud:
                self._speak(result.text)
            if result.outcome is Outcome.REFUSED and result.kind not in ('declined', 'closed'):
                self.diagnostics.trouble(
                    f'refused_{result.kind}',
                    f"a call of '{result.tool[:40]}' is refused: {result.text}; see docs/tools.md",
                )
            elif result.outcome is Outcome.FAILED:
                self.diagnostics.trouble(
                    'timed_out' if result.kind == 'timed_out' else 'failed',
                    f"a call of '{result.tool}' failed: {result.text}; look at what carries it out",
                )
            self._publish(result)

    def _publish(self, result: Result) -> None:
        message = ToolResult(
            id=wire_text(result.id), tool=wire_text(result.tool), state=int(result.outcome),
            text=wire_text(result.text)[:_MAX_TEXT],
        )  # fmt: skip
        message.header.stamp = self.get_clock().now().to_msg()
        self._results.publish(message)

    def _speak(self, text: str) -> None:
        if self._say.service_is_ready():
            self._say.call_async(Say.Request(text=wire_text(text)[:_MAX_SPOKEN], urgency=1))


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, ToolBridgeNode)


if __name__ == '__main__':
    sys.exit(main())
