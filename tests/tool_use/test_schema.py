"""A tools file is read strictly: whatever is wrong with it, one sentence says so."""

from __future__ import annotations

import json

import pytest

from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.errors import CallError, ToolsError
from audio_interaction_ros.tool_use.schema import closed_schema

LIGHT = {
    'name': 'light',
    'description': 'Turn the light on or off.',
    'arguments': {'type': 'object', 'properties': {'state': {'enum': ['on', 'off']}}, 'required': ['state']},
}


def declared(*tools, **changes):
    """The tools of a file with these, or the light with changes."""
    return Tools.parse(json.dumps({'tools': list(tools) or [{**LIGHT, **changes}]}))


def argument(**schema):
    return {'type': 'object', 'properties': {'x': schema}}


def test_a_declared_tool_is_called_with_what_it_declares():
    tools = declared()
    call = tools.call_of('{"tool": "light", "state": "on"}')
    assert (call.tool.name, call.arguments_text) == ('light', '{"state": "on"}')
    assert not call.tool.needs_confirmation(call.arguments)
    assert tools.behind == (
        '\nTools: [{"tool": "light", "description": "Turn the light on or off.", '
        '"arguments": {"state": {"enum": ["on", "off"]}}}]'
    )


def test_words_that_old_yaml_takes_for_true_and_false_are_words():
    tools = Tools.parse(
        'tools: [{name: light, description: d, confirmation: no, '
        'arguments: {type: object, properties: {state: {enum: [on, off]}}}}]'
    )
    assert tools.call_of('{"tool": "light", "state": "off"}').arguments == {'state': 'off'}


@pytest.mark.parametrize(
    ('confirmation', 'state', 'needs'),
    [
        ('yes', 'on', True),
        ('no', 'on', False),
        ({'when': {'properties': {'state': {'const': 'off'}}, 'required': ['state']}}, 'off', True),
        ({'when': {'properties': {'state': {'const': 'off'}}, 'required': ['state']}}, 'on', False),
    ],
)
def test_a_call_needs_a_yes_always_never_or_by_its_arguments(confirmation, state, needs):
    tools = declared(confirmation=confirmation)
    call = tools.call('light', {'state': state})
    assert call.tool.needs_confirmation(call.arguments) == needs
    assert ('confirm' in tools.schemas) == (confirmation != 'no'), 'the model can say what it heard'


def test_references_are_filled_in_and_everything_has_a_limit():
    schema = {
        'type': 'object',
        'properties': {'rooms': {'type': 'array', 'items': {'$ref': '#/$defs/room'}}},
        '$defs': {'room': {'type': 'string', 'minLength': 2}},
    }
    assert closed_schema(schema, 'it') == {
        'type': 'object',
        'properties': {
            'rooms': {
                'type': 'array',
                'items': {'type': 'string', 'minLength': 2, 'maxLength': 200},
                'minItems': 0,
                'maxItems': 16,
            }
        },
        'required': [],
        'additionalProperties': False,
    }


DOUBLING = {f'd{n}': {'type': 'array', 'items': {'$ref': f'#/$defs/d{n + 1}'}} for n in range(20)}
MANY = {f'd{n}': {'anyOf': [{'$ref': f'#/$defs/d{n + 1}'}] * 8} for n in range(8)} | {'d8': {'type': 'null'}}


@pytest.mark.parametrize(
    ('schema', 'words'),
    [
        (7, 'is a number, a JSON schema expected'),
        ({'type': 'objekt'}, 'is no JSON schema: at type'),
        ({'type': 'string'}, 'is not of type object'),
        ({'type': 'object', 'properties': {'x': {}}}, 'at properties/x has no type'),
        (argument(type='string', pattern='a*'), "the keyword 'pattern', which is not supported"),
        (argument(type='string', minimum=3), "the keyword 'minimum', which is not for string"),
        (argument(type='string', maxLength=5_000), 'has minLength 0 and maxLength 5000'),
        (argument(type='integer', minimum=3, maximum=2), 'allows no number that can be written'),
        (argument(type='integer', enum=['a']), 'allows no value at all'),
        (argument(type='array'), 'is a list of anything'),
        (argument(type='array', items={'type': 'null'}, maxItems=1_000), 'has minItems 0 and maxItems 1000'),
        (argument(type='object', additionalProperties=True), 'allows properties that it does not name'),
        ({'type': 'object', 'required': ['x']}, "requires 'x', which it does not describe"),
        (argument(enum=['\x07']), 'the control character U+0007'),
        (argument(enum=[{'a': 1}]), 'lists objects or lists'),
        (
            {**argument(**{'$ref': '#/$defs/x'}), '$defs': {'x': {'$ref': '#/$defs/x'}}},
            'refers to itself by',
        ),
        (argument(**{'$ref': 'https://example.org/x'}), "refers to 'https://example.org/x', which is not there"),
        ({**argument(**{'$ref': '#/$defs/d0'}), '$defs': DOUBLING}, 'is too much with its references filled in'),
        ({**argument(**{'$ref': '#/$defs/d0'}), '$defs': MANY}, 'is too much with its references filled in'),
        (argument(anyOf=[{'type': 'null'}], maxLength=3), "has 'maxLength' beside anyOf"),
        ({'type': 'object', 'properties': {'tool': {'type': 'null'}}}, "an argument 'tool'"),
        ({'type': 'object', 'description': 'a' * 9_000}, 'has 9037 characters, at most 8000 expected'),
        ({'type': 'object', 'title': 'x', 'examples': list(range(600))}, 'has more than 500 values'),
    ],
)
def test_a_schema_that_is_none_or_cannot_be_written_is_refused_in_a_sentence(schema, words):
    with pytest.raises(ToolsError) as caught:
        declared(arguments=schema)
    assert words in str(caught.value)
    assert '; ' in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'is an object with a list under tools'),
        ('tools: []', '0 tools found, 1 to 32 expected'),
        ('tools: [{name: light, name: light}]', "the key 'name' stands twice"),
        ('tools: &a [*a]', 'nested too deep, or within itself'),
        ('[' * 3_000, 'the file is nested too deep'),
        ('tools: [{name: 2024-13-45}]', 'is called'),
        ('!!python/object:os.system []', 'it is no YAML'),
        (json.dumps({'tools': [LIGHT, LIGHT]}), "the tool 'light' is declared twice"),
        (json.dumps({'tools': [{**LIGHT, 'name': f'l{n}'} for n in range(33)]}), '33 tools found'),
    ],
)
def test_a_file_that_declares_no_tools_is_refused_in_a_sentence(text, words, tmp_path):
    path = tmp_path / 'tools.yaml'
    path.write_text(text)
    with pytest.raises(ToolsError) as caught:
        Tools.load(path)
    assert words in str(caught.value) and str(caught.value).startswith(f"'{path}': ")


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(ToolsError, match='correct the path'):
        Tools.load(tmp_path / 'none.yaml')
    (tmp_path / 'large.yaml').write_text(' ' * 200_000)
    with pytest.raises(ToolsError, match='more than 100000 bytes'):
        Tools.load(tmp_path / 'large.yaml')


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'name': 'Light'}, 'is called'),
        ({'name': 'confirm'}, "not 'confirm'"),
        ({'description': ''}, 'no description'),
        ({'descripton': ''}, "has 'descripton', which is not known"),
        ({'confirmation': 'perhaps'}, 'neither yes, no nor'),
        ({'confirmation': {'when': {'type': 'objekt'}}}, "'when' of tool 'light' is no JSON schema"),
        ({'timeout_s': 0}, 'timeout_s'),
        ({'does': []}, "'does' of tool 'light' is a list"),
        ({'question': 7}, "'question' of tool 'light'"),
    ],
)
def test_a_tool_with_something_wrong_is_refused_by_its_name(changes, words):
    with pytest.raises(ToolsError) as caught:
        declared(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'kind', 'words'),
    [
        ('{"tool": "light", "state": "on"', 'malformed', 'no JSON that is expected'),
        ('["light"]', 'malformed', 'a call is a list'),
        ('{"state": "on"}', 'malformed', "without a text under 'tool'"),
        ('{"tool": "light", "state": "on", "state": "off"}', 'malformed', 'twice'),
        ('{"tool": "light", "state": NaN}', 'malformed', 'NaN'),
        ('{"tool": "light", "state": "\\ud800"}', 'malformed', 'U+D800'),
        ('[' * 3_000, 'malformed', 'nested too deep'),
        ('{"tool": "light", "state": "' + 'a' * 5_000 + '"}', 'malformed', 'at most 4000'),
        ('{"tool": "oven", "state": "on"}', 'undeclared', "no tool 'oven'"),
        ('{"tool": "light"}', 'invalid', "'state' is a required property"),
        ('{"tool": "light", "state": "on", "room": "bath"}', 'invalid', "'room' was unexpected"),
        ('{"tool": "light", "state": true}', 'invalid', 'at state'),
    ],
)
def test_a_call_that_is_none_is_refused_by_kind(text, kind, words):
    with pytest.raises(CallError) as caught:
        declared().call_of(text)
    assert caught.value.kind == kind
    assert words in str(caught.value) and '; ' in str(caught.value)
