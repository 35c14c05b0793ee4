"""The decoder publishes whole calls that fit, says none of them as text, and tells the model what became of them."""

from __future__ import annotations

import json

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from audio_interaction_ros.msg import ToolCall, ToolResult
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.decoder import DecoderNode
from tests.nodes.test_decoder import Talking

pytestmark = pytest.mark.system

TOOLS = (
    'tools: [{name: t, description: d, confirmation: yes, '
    'arguments: {type: object, properties: {x: {type: boolean}}, required: [x]}}]'
)


class Calling(Talking):
    """A decoder of random weights whose every response begins as a call."""

    def __init__(self, in_process, checkpoint, half, monkeypatch, tools):
        def with_tools(cls, **parameters):
            return in_process(cls, tools_file=tools, max_response_tokens=200, **parameters)

        super().__init__(with_tools, checkpoint, half, monkeypatch)
        self.half, self.session = half, self.it.node._sources[''].session
        opening, choose = half.tokenizer.encode('{').ids[0], self.session._choose

        def urgent_call(logits):
            begun = len(self.session._turns[-1].tokens)
            return half.protocol.emotions['urgent'] if begun == 1 else opening if begun == 2 else choose(logits)

        monkeypatch.setattr(self.session, '_choose', urgent_call)
        self.calls = self.it.hear(ToolCall, 'ai/tool_call', qos.EVENTS)
        self.texts = self.it.hear(String, 'ai/response_text', qos.EVENTS)
        self.reports = self.it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.results = self.it.talk(ToolResult, 'ai/tool_result', qos.EVENTS)
        self.it.until(lambda: self.it.node.count_subscribers('/ai/tool_call'))

    def read(self):
        return self.half.tokenizer.decode(self.session._prefix[4:-1])

    def shown(self, key):
        pairs = [pair for report in self.reports[-1:] for pair in report.status[0].values]
        return next((pair.value for pair in pairs if pair.key == key), '0')


@pytest.fixture
def calling(in_process, tiny_checkpoint, decoder_half, monkeypatch, tmp_path):
    (tmp_path / 'tools.yaml').write_text(TOOLS)
    return Calling(in_process, tiny_checkpoint, decoder_half, monkeypatch, tmp_path / 'tools.yaml')


def test_a_call_is_published_once_and_whole_and_never_as_words(calling):
    decisions, responses, _ = calling.heard['']
    for index in range(30):
        calling.feed(index)
        calling.it.until(lambda index=index: len(decisions) > index)
        if decisions[-1].decision == 1:
            calling.it.until(lambda: responses and responses[-1].final)
        if calling.calls:
            break
    call = calling.calls[0]
    assert call.tool in ('t', 'confirm') and isinstance(json.loads(call.arguments), dict)
    assert (call.id, call.needs_confirmation) == (f'call-{call.response_id}', call.tool == 't')
    assert call.response_id in {response.id for response in responses}
    assert not any(response.text for response in responses) and not calling.texts
    assert not any(response.urgent for response in responses if response.final), 'a call warns of nothing'
    calling.it.until(lambda: calling.shown('tool_calls') == str(len(calling.calls)))


def test_the_model_reads_its_tools_and_what_became_of_its_calls(calling):
    calling.feed(0)
    calling.it.until(lambda: 'Tools: [{"tool": "t"' in calling.read())
    calling.results.publish(ToolResult(id='call-1', tool='t', state=ToolResult.ASKED, text='Shall I?'))
    calling.it.until(lambda: calling.read().endswith('\nTool results: [{"tool": "t", "asks": "Shall I?"}]'))
    calling.results.publish(ToolResult(id='call-1', tool='t', state=ToolResult.DONE, text='ok'))
    calling.it.until(lambda: calling.read().endswith('\nTool results: [{"tool": "t", "done": "ok"}]'))
    before = calling.read()
    for bad in (
        ToolResult(id='2', tool='oven', state=1, text='no such tool'),
        ToolResult(id='2', tool='t', state=9, text='no such state'),
        ToolResult(id='', tool='t', state=1, text='no id'),
        ToolResult(id='2', tool='t', state=1, text='x' * 2_000),
        ToolResult(id='2', tool='t', state=1, text='\x07'),
    ):
        calling.results.publish(bad)
    calling.it.until(lambda: calling.shown('refused_tool_result') == '5')
    assert calling.read() == before


def test_a_model_that_was_trained_without_a_list_of_tools_need_not_read_one(
    in_process, tiny_checkpoint, decoder_half, tmp_path
):
    (tmp_path / 'tools.yaml').write_text(TOOLS)
    it = in_process(DecoderNode, checkpoint=tiny_checkpoint, tools_file=tmp_path / 'tools.yaml', tell_tools=False)
    assert it.node.autostart()
    told = it.node._sources[''].told_topics.told
    assert told.due() is None
    told.give_result('1', 't', 'done', 'ok')
    assert told.due().wording.behind == '\nTool results: [{"tool": "t", "done": "ok"}]'


def test_a_tools_file_that_is_none_keeps_the_decoder_from_starting(in_process, tiny_checkpoint, tmp_path, capfd):
    it = in_process(DecoderNode, checkpoint=tiny_checkpoint, tools_file=tmp_path / 'none.yaml')
    assert not it.node.autostart()
    assert 'is no tools file that can be read' in capfd.readouterr().err
