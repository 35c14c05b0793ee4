"""ai/instruction and ai/context: taken between two responses, remembered, shown on ai/told, refused in a sentence."""

from __future__ import annotations

import json

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header, String

from audio_interaction_ros.events.explain import explain
from audio_interaction_ros.msg import Decision, Response
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.event_log import EventLogNode
from tests.nodes.test_decoder import Talking
from tests.system.ros import ROSOUT

pytestmark = pytest.mark.system

KITCHEN = '{"place": "kitchen"}'


class Telling(Talking):
    """A decoder and whoever tells it something."""

    def __init__(self, in_process, checkpoint, half, monkeypatch):
        super().__init__(in_process, checkpoint, half, monkeypatch)
        self.half = half
        self.told = self.it.hear(String, 'ai/told', qos.SWITCH)  # none is missed
        self.log = self.it.hear(Log, '/rosout', ROSOUT)
        self.reports = self.it.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.instruction = self.it.talk(String, 'ai/instruction', qos.SWITCH)
        self.context = self.it.talk(String, 'ai/context', qos.SWITCH)
        self.it.until(lambda: self.told)

    def in_force(self):
        """What is read before the sound, and what the world is told of that."""
        session = self.it.node._sources[''].session
        return self.half.tokenizer.decode(session._prefix[4:-1]), json.loads(self.told[-1].data)

    def lines(self, part):
        return [line.msg for line in self.log if part in line.msg]

    def shown(self, key):
        """What diagnostics show of the decoder; `message` is its sentence."""
        of = [status for report in self.reports for status in report.status if status.name.endswith('decoder: status')]
        if key == 'message':
            return of[-1].message if of else ''
        return next((pair.value for status in of[-1:] for pair in status.values if pair.key == key), '')

    def set(self, **parameters):
        """Why it is refused, or nothing."""
        results = self.it.node.set_parameters([Parameter(name, value=value) for name, value in parameters.items()])
        return '; '.join(result.reason for result in results if not result.successful)


@pytest.fixture
def telling(in_process, tiny_checkpoint, decoder_half, monkeypatch):
    return Telling(in_process, tiny_checkpoint, decoder_half, monkeypatch)


def test_what_is_told_in_a_response_waits_for_its_end_and_outlasts_the_switch_and_a_deactivation(telling):
    decisions, responses, _ = telling.heard['']
    own = telling.half.config.streaming.instruction
    prefix, told = telling.in_force()
    assert (prefix, told) == (own, {'instruction': '', 'by': 'checkpoint', 'context': {}, 'tokens': len(own) + 5})
    index = telling.make_it_respond()
    telling.instruction.publish(String(data='Be brief.'))
    for number in range(5):
        telling.context.publish(String(data=f'{{"x": {number}}}'))
    telling.context.publish(String(data=KITCHEN))
    telling.it.until(lambda: telling.it.node._sources[''].told_topics.told.coalesced == 6)
    assert not responses[-1].final and len(telling.told) == 1
    telling.going.set()
    telling.feed(index + 1)
    telling.it.until(lambda: responses[-1].final and len(telling.told) == 2)
    expected = (
        f'Be brief.\nContext: {KITCHEN}',
        {'instruction': 'Be brief.', 'by': 'topic', 'context': {'place': 'kitchen'}, 'tokens': 44},
    )
    assert telling.in_force() == expected
    telling.it.until(lambda: telling.lines('decoder is told'))
    (line,) = telling.lines('decoder is told')
    assert line.startswith('decoder is told: instruction by topic (9 characters), context: place; 44 tokens')
    assert not telling.lines('brief') and not telling.lines('kitchen'), 'what is private is in the log'
    telling.it.until(lambda: telling.shown('told_changes') == '1')
    assert (telling.shown('told_coalesced'), telling.shown('told_refused')) == ('6', '0')
    assert float(telling.shown('told_ms_max')) >= float(telling.shown('told_ms')) > 0
    listening = telling.it.talk(Bool, 'ai/listening', qos.SWITCH)
    for on in (False, True):
        listening.publish(Bool(data=on))
        telling.it.until(lambda on=on: telling.it.node._sources['']._listening._said == on)
    telling.it.node.trigger_deactivate()
    telling.it.node.trigger_activate()
    count = len(decisions)
    telling.feed(0)
    telling.it.until(lambda: len(decisions) > count)
    assert (telling.in_force(), len(telling.told)) == (expected, 2)


@pytest.mark.cures('or clean up the node first')
def test_what_cannot_be_told_changes_nothing_and_live_parameters_count_at_once(telling):
    telling.context.publish(String(data=KITCHEN))
    telling.it.until(lambda: len(telling.told) == 2)
    before = telling.in_force()
    for publisher, bad, sentence in (
        (telling.instruction, 'a' * 5_000, 'ai/instruction is refused: an instruction of 5000 characters found'),
        (telling.context, f'{{"x": "{"a" * 1_000_000}"}}', 'ai/context is refused: a context of 1000009 characters'),
        (telling.context, '{"home": 1}', "ai/context is refused: 'home' is a number, an object"),
    ):
        publisher.publish(String(data=bad))
        telling.it.until(lambda sentence=sentence: sentence in telling.shown('message'))
    assert telling.in_force() == before
    telling.it.until(lambda: telling.shown('told_refused') == '3')
    telling.it.until(lambda: telling.lines('is refused'))  # /rosout comes after diagnostics at times
    assert {line.level for line in telling.log if 'is refused' in line.msg} == {30}
    assert 'tokens found, at most' in telling.set(instruction='a' * 200)
    node = telling.it.node
    source = node._sources['']
    assert 'leave room to listen' in telling.set(max_response_tokens=1000)
    assert telling.set(instruction='Name it.', max_response_tokens=5, seed=3, queue_max_chunks=2, max_questions=1) == ''
    telling.it.until(lambda: len(telling.told) == 3)
    assert telling.in_force()[0] == f'Name it.\nContext: {KITCHEN}'
    assert (telling.in_force()[1]['by'], source.session.settings.instructed) == ('parameter', True)
    assert (source.session.settings.max_response_tokens, source.session.settings.seed) == (5, 3)
    assert (source.queue._max_items, node._questions.max_open) == (2, 1)
    for text, read in (('Be brief.', 'Be brief.'), ('', 'Name it.')):
        count = len(telling.told)
        telling.instruction.publish(String(data=text))
        telling.it.until(lambda count=count: len(telling.told) > count)
        assert telling.in_force()[0] == f'{read}\nContext: {KITCHEN}'
    node.trigger_deactivate()
    node.trigger_cleanup()
    node.trigger_configure()  # what is latched comes again, though the node is not active
    telling.it.until(lambda: node._sources[''].told_topics.told.due() is not None)


@pytest.mark.cures('end all others that publish it')
def test_an_entry_of_the_event_log_has_what_the_model_was_told(in_process, tmp_path):
    it = in_process(EventLogNode, path=tmp_path / 'events.db')
    assert it.node.autostart()
    told = it.talk(String, 'ai/told', qos.SWITCH)
    decisions, responses = it.talk(Decision, 'ai/decision', qos.EVENTS), it.talk(Response, 'ai/response', qos.EVENTS)

    def entry(number):
        decisions.publish(Decision(header=Header(), stream_id=1, chunk_index=number, decision=Decision.RESPONSE))
        responses.publish(Response(id=f'1-{number}', stream_id=1, trigger_chunk=number, text='Hot!', final=True))
        newest = []

        def whole():
            newest[:] = it.node._log.newest(1)
            return it.node._log.count == number and newest[0].evidence.keys() >= {'emotion', 'level_dbfs'}

        it.until(whole)
        return newest[0]

    told.publish(String(data='{"instruction": "Warn me.", "by": "topic", "context": {"home": {}, "place": "bath"}}'))
    it.until(lambda: it.node._told)
    first = entry(1)
    assert (first.evidence['told'], first.evidence['context']) == ('Warn me.', 'home, place')
    assert 'told to "Warn me.", knowing home, place' in explain(first)
    assert 'bath' not in explain(first) + json.dumps(first.evidence)
    for bad in ('nonsense', '[]', '{"instruction": "x"}', '{"instruction": "", "context": 7}'):
        told.publish(String(data=bad))
    told.publish(String(data='{"instruction": "", "by": "checkpoint", "context": {}}'))
    it.until(lambda: not it.node._told)
    second = entry(2)
    assert 'told' not in second.evidence and 'told' not in explain(second)
