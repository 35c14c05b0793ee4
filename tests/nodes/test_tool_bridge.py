"""tool_bridge carries out what is declared, over DDS: a light, a service, an action, a timer; all else it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from std_srvs.srv import SetBool
from test_msgs.action import Fibonacci

from audio_interaction_ros.msg import ToolCall, ToolResult
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.tool_bridge import ToolBridgeNode
from audio_interaction_ros.srv import ConfirmTool, Say

pytestmark = pytest.mark.system

TOOLS = """
tools:
  - name: light
    description: d
    arguments: {type: object, properties: {state: {enum: [on, off]}}, required: [state]}
    does: {topic: light, type: std_msgs/msg/Bool, message: {data: {$map: state, values: {on: true, off: false}}}}
  - name: door
    description: d
    confirmation: yes
    question: Shall I open the door?
    arguments: {type: object, properties: {open: {type: boolean}}, required: [open]}
    does: {service: door, type: std_srvs/srv/SetBool, request: {data: "${open}"}}
  - {name: gate, description: d, timeout_s: 0.6, does: {service: gate, type: std_srvs/srv/SetBool}}
  - name: count
    description: d
    timeout_s: 1.5
    arguments: {type: object, properties: {to: {type: integer, minimum: 0, maximum: 9000000000}}, required: [to]}
    does: {action: count, type: test_msgs/action/Fibonacci, goal: {order: "${to}"}}
  - name: go
    description: d
    does: {action: navigate_to_pose, type: nav2_msgs_of_nobody/action/NavigateToPose, goal: {}}
  - name: egg
    description: d
    arguments: {type: object, properties: {seconds: {type: number, minimum: 0.1, maximum: 600}}, required: [seconds]}
    does: {timer: {seconds: "${seconds}"}, text: "The egg had ${seconds} seconds."}
"""


class Bridge:
    """A bridge, and whatever its tools are for."""

    def __init__(self, in_process, path, text=TOOLS, **parameters):
        path.write_text(text)
        self.it = it = in_process(ToolBridgeNode, tools_file=path, **parameters)
        assert it.node.autostart()
        self.results = it.hear(ToolResult, 'ai/tool_result', qos.EVENTS)
        self.light = it.hear(Bool, 'light', qos.EVENTS)
        self.reports = it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.spoken, self.opened, self.door_answers = [], [], True
        it.beside.create_service(Say, 'ai/say', self._on_say)
        it.beside.create_service(SetBool, 'door', self._on_door)
        self.confirm_client = it.beside.create_client(ConfirmTool, 'ai/tool_confirm')
        self.calls = it.talk(ToolCall, 'ai/tool_call', qos.EVENTS)
        node = it.node
        it.until(lambda: node.count_publishers('/ai/tool_result') and self.confirm_client.service_is_ready())
        it.until(lambda: node._say.service_is_ready() and node.count_subscribers('/light'))
        it.until(lambda: all(client.service_is_ready() for client in node._called[:1]))
        it.until(lambda: it.beside.count_publishers('/ai/tool_result'))
        self.number = 0

    def _on_say(self, request, response):
        self.spoken.append(request.text)
        response.success = True
        return response

    def _on_door(self, request, response):
        self.opened.append(request.data)
        response.success, response.message = True, 'it is open'
        return response

    def call(self, tool, id='', response_id='r', **arguments):
        """Its id."""
        self.number += 1
        id = id or f'c{self.number}'
        text = arguments.pop('text', None) or json.dumps(arguments)
        self.calls.publish(ToolCall(id=id, tool=tool, arguments=text, response_id=response_id))
        return id

    def result(self, id, state):
        """Its text, once it is there."""

        def found():
            return [one.text for one in self.results if (one.id, one.state) == (id, state)]

        self.it.until(found)
        return found()[-1]

    def confirm(self, answer, id=''):
        future = self.confirm_client.call_async(ConfirmTool.Request(id=id, answer=answer))
        self.it.until(future.done)
        return future.result()

    def counted(self, key):
        pairs = [pair for report in self.reports[-1:] for pair in report.status[0].values]
        return next((int(pair.value) for pair in pairs if pair.key == key), 0)


@pytest.fixture
def bridge(in_process, tmp_path):
    return Bridge(in_process, tmp_path / 'tools.yaml')


def test_the_light_goes_on_and_off(bridge):
    for state in ('on', 'off'):
        assert bridge.result(bridge.call('light', state=state), ToolResult.DONE) == 'it was sent'
    bridge.it.until(lambda: len(bridge.light) == 2)
    assert [message.data for message in bridge.light] == [True, False]


@pytest.mark.cures('see docs/tools.md')
def test_what_is_malformed_undeclared_invalid_or_repeated_is_refused_and_counted(bridge):
    bridge.result(bridge.call('light', state='on'), ToolResult.DONE)
    for tool, given, kind, words in (
        ('light', {'state': 'on'}, 'repeated', 'just now'),
        ('light', {'state': 'dim'}, 'invalid', "'dim' is not one of"),
        ('light', {'text': '{"state":'}, 'malformed', 'no JSON'),
        ('oven', {}, 'undeclared', "no tool 'oven'"),
        ('confirm', {'answer': 'yes'}, 'unconfirmed', 'no call waits'),
    ):
        assert words in bridge.result(bridge.call(tool, **given), ToolResult.REFUSED)
        bridge.it.until(lambda kind=kind: bridge.counted(f'refused_{kind}') == 1)
    assert len(bridge.light) == 1


def test_a_call_that_needs_a_yes_waits_for_it_and_is_asked_aloud(bridge):
    id = bridge.call('door', open=True)
    assert bridge.result(id, ToolResult.ASKED) == 'Shall I open the door?'
    bridge.it.until(lambda: bridge.spoken == ['Shall I open the door?'])
    assert bridge.confirm('what door?').message == 'the answer is neither a yes nor a no; say one of the two'
    assert not bridge.opened
    assert bridge.confirm('Yes, please.').success
    assert bridge.result(id, ToolResult.DONE) == 'it is open' and bridge.opened == [True]
    assert not bridge.confirm('yes').success


def test_a_no_and_a_silence_do_nothing(bridge):
    id = bridge.call('door', open=True)
    bridge.result(id, ToolResult.ASKED)
    assert bridge.confirm('no', id).success
    assert 'somebody said no' in bridge.result(id, ToolResult.REFUSED)
    bridge.it.node.set_parameters([Parameter('confirm_within_s', value=0.3)])
    id = bridge.call('door', open=False)
    assert 'nobody said yes' in bridge.result(id, ToolResult.REFUSED)
    assert not bridge.opened


def test_the_model_says_that_it_heard_a_yes(bridge):
    id = bridge.call('door', open=True)
    bridge.result(id, ToolResult.ASKED)
    early = bridge.call('confirm', response_id='r2', answer='yes')
    assert 'nobody can have answered so soon' in bridge.result(early, ToolResult.REFUSED)
    bridge.it.spin(0.9)
    bridge.call('confirm', response_id='r3', answer='yes')
    bridge.result(id, ToolResult.DONE)


@pytest.mark.cures('look at what carries it out')
def test_a_tool_that_never_answers_times_out_with_a_sentence(bridge):
    silent = rclpy.create_node('silent')  # nobody spins it
    silent.create_service(SetBool, 'gate', lambda request, response: response)
    (gate,) = [each for each in bridge.it.node._called if getattr(each, 'srv_name', '').endswith('gate')]
    bridge.it.until(gate.service_is_ready)
    id = bridge.call('gate')
    assert bridge.result(id, ToolResult.FAILED) == "the tool 'gate' did not answer within 0.6 s"
    bridge.it.until(lambda: bridge.counted('timed_out') == 1)
    silent.destroy_node()


def test_a_tool_that_nobody_offers_or_whose_type_is_not_installed_fails_in_a_sentence(bridge):
    assert 'nobody offers the action' in bridge.result(bridge.call('count', to=3), ToolResult.FAILED)
    assert 'nav2_msgs_of_nobody' in bridge.result(bridge.call('go'), ToolResult.FAILED)
    assert 'cannot be' in bridge.result(bridge.call('count', to=9_000_000_000), ToolResult.FAILED)


def test_a_goal_is_reached_refused_or_called_off_when_it_takes_too_long(bridge):
    called_off = []

    async def execute(goal):
        if goal.request.order == 7:
            goal.succeed()
        else:
            goal.abort()
        return Fibonacci.Result(sequence=[0, 1])

    server = ActionServer(
        bridge.it.beside,
        Fibonacci,
        'count',
        execute,
        goal_callback=lambda request: GoalResponse.REJECT if request.order == 5 else GoalResponse.ACCEPT,
        handle_accepted_callback=lambda goal: goal.execute() if goal.request.order != 9 else None,
        cancel_callback=lambda goal: called_off.append(goal) or CancelResponse.ACCEPT,
    )
    (action,) = [client for client in bridge.it.node._called if hasattr(client, 'server_is_ready')]
    bridge.it.until(action.server_is_ready)
    assert bridge.result(bridge.call('count', to=7), ToolResult.DONE) == 'the goal was reached'
    assert bridge.result(bridge.call('count', to=6), ToolResult.FAILED) == 'the goal was given up'
    assert bridge.result(bridge.call('count', to=5), ToolResult.FAILED) == 'the goal was refused'
    assert 'did not answer within' in bridge.result(bridge.call('count', to=9), ToolResult.FAILED)
    bridge.it.until(lambda: called_off)
    server.destroy()


def test_a_timer_says_when_it_is_over(bridge):
    id = bridge.call('egg', seconds=0.4)
    assert bridge.result(id, ToolResult.DONE) == 'it runs for 0.4 s'
    bridge.it.until(lambda: bridge.spoken == ['The egg had 0.4 seconds.'])
    bridge.it.until(lambda: bridge.results[-1].text == 'The egg had 0.4 seconds.')


def test_a_bridge_that_is_deactivated_refuses_what_is_open_and_forgets_the_timers(bridge):
    id = bridge.call('door', open=True)
    bridge.result(id, ToolResult.ASKED)
    bridge.result(bridge.call('egg', seconds=0.5), ToolResult.DONE)
    bridge.it.node.trigger_deactivate()
    assert bridge.result(id, ToolResult.REFUSED) == 'the tools were switched off'
    assert bridge.confirm('yes').message == 'tool_bridge is not active, so nothing is done; activate it'
    bridge.it.node.trigger_activate()
    bridge.it.spin(0.7)
    assert not [text for text in bridge.spoken if 'egg' in text]
    bridge.it.node.trigger_deactivate()
    assert bridge.it.node.trigger_cleanup() and not hasattr(bridge.it.node, '_called')


@pytest.mark.parametrize(
    ('does', 'words'),
    [
        ('{}', 'has 0 of topic, service, action and timer'),
        (
            '{topic: light, type: std_msgs/msg/Bool, message: {date: true}}',
            "Bool has no field 'date'; take one of data",
        ),
        ('{topic: light, type: std_msgs/msg/Bool, message: {data: 3}}', "'data' of Bool cannot be 3"),
        ('{topic: light, type: std_msgs.Bool, message: {}}', "has the type 'std_msgs.Bool'"),
        ('{topic: "a b", type: std_msgs/msg/Bool}', "has the name 'a b'"),
        ('{topic: light, type: std_msgs/msg/Bool, message: {data: "${on}"}}', "uses 'on', which is no argument"),
        (
            '{topic: l, type: std_msgs/msg/Bool, message: {data: {$map: state, values: {on: true}}}}',
            "has no value for state 'off'",
        ),
        ('{topic: l, type: std_msgs/msg/Bool, message: {data: {$map: state}}}', 'has a $map that is not'),
        ('{topic: l, type: std_msgs/msg/Bool, request: {}}', "has 'request', which is not for a topic"),
        ('{timer: {years: 3}}', 'is a timer without seconds, minutes, hours'),
    ],
)
def test_a_tools_file_that_does_not_fit_ros_fails_to_configure_in_a_sentence(in_process, tmp_path, does, words, capfd):
    path = tmp_path / 'tools.yaml'
    schema = '{type: object, properties: {state: {enum: [on, off]}}}'
    path.write_text(f'tools: [{{name: light, description: d, arguments: {schema}, does: {does}}}]')
    it = in_process(ToolBridgeNode, tools_file=path)
    assert not it.node.autostart()
    assert words in capfd.readouterr().err
    assert it.state == 'unconfigured'


def test_random_calls_over_dds_end_no_process_and_none_gets_through_that_is_not_declared(bridge):
    rng = np.random.default_rng(7)
    texts = [
        '{"state": "on"}',
        '{"state": 1}',
        '[]',
        '{',
        '{"open": true}',
        '{"to": 1e400}',
        '{"seconds": 0}',
        'null',
        '',
    ]
    for number in range(200):
        tool = str(rng.choice(['light', 'door', 'count', 'go', 'confirm', 'egg', 'oven', 'é' * 50]))
        bridge.calls.publish(ToolCall(id=f'x{number}', tool=tool, arguments=str(rng.choice(texts))))
        if number % 20 == 19:  # fewer than are kept for who is slow
            expected = {f'x{each}' for each in range(number + 1)}
            bridge.it.until(lambda expected=expected: expected <= {one.id for one in bridge.results})
    assert bridge.result(bridge.call('light', state='off'), ToolResult.DONE)
    assert {message.data for message in bridge.light} <= {True, False} and not bridge.opened
