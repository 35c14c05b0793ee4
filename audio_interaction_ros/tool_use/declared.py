"""The tools file: which tools there are, what may be given to them, and what of that somebody has to confirm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from audio_interaction_ros.tool_use.errors import CallError, ToolsError
from audio_interaction_ros.tool_use.schema import (
    closed_schema,
    kind_of,
    require_bounded,
    require_writable,
    validator_of,
)

MAX_FILE, MAX_TOOLS, MAX_DESCRIPTION, MAX_CALL = 100_000, 32, 300, 4_000  # bytes; tools; characters; characters
CONFIRM = 'confirm'  # the tool that answers for another one
TOOL = 'tool'  # the key of a call under which its tool's name is
_NAME = re.compile(r'[a-z][a-z0-9_]{0,31}', re.ASCII)
_KEYS = {'name', 'description', 'arguments', 'confirmation', 'question', 'timeout_s', 'does'}
_NO_ARGUMENTS = {'type': 'object', 'properties': {}}
_ANSWER = {'type': 'object', 'properties': {'answer': {'enum': ['yes', 'no']}}, 'required': ['answer']}
_LONGEST_TIMEOUT_S = 3_600.0


@dataclass(frozen=True)
class Tool:
    """A `Tool` is declared: what the model reads of it, what it may be given, and what it does.

    `schema` is the closed one of its arguments. `confirmed`: whether every call needs a yes, or those whose arguments
    fit this schema. `question`: what is asked then, with `${…}` for arguments. `does` is for whoever carries it out.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    confirmed: bool | Draft202012Validator = False
    question: str = ''
    timeout_s: float = 10.0
    does: Mapping[str, Any] = field(default_factory=dict)

    def needs_confirmation(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether somebody has to say yes to a call with these arguments."""
        if isinstance(self.confirmed, bool):
            return self.confirmed
        return bool(self.confirmed.is_valid(arguments))

    def require_valid(self, arguments: Any) -> None:
        """Raise CallError where arguments do not fit the schema: which, and what was expected."""
        error = next(iter(sorted(validator_of(self.schema).iter_errors(arguments), key=lambda one: one.path)), None)
        if error is not None:
            place = '/'.join(map(str, error.absolute_path)) or 'its arguments'
            said = ' '.join(error.message.split())[:200]
            raise CallError('invalid', f"'{self.name}' cannot be called so: at {place}, {said}; give what it declares")


@dataclass(frozen=True)
class Call:
    """A `Call` is a tool and arguments that fit it."""

    tool: Tool
    arguments: Mapping[str, Any]

    @property
    def arguments_text(self) -> str:
        """Return the arguments as JSON in one line."""
        return json.dumps(self.arguments, ensure_ascii=False)


class Tools:
    """`Tools` are all that are declared, by name, in the order of the file.

    Where one of them may need a yes, there is `confirm` beside them, by which the model says that it heard one.
    """

    def __init__(self, declared: Sequence[Tool]) -> None:
        self.declared = {tool.name: tool for tool in declared}
        self._all = dict(self.declared)
        if any(tool.confirmed is not False for tool in declared):
            self._all[CONFIRM] = Tool(
                CONFIRM, 'Answer for the call that waits for a yes, by what was heard.', closed_schema(_ANSWER, CONFIRM)
            )

    @classmethod
    def load(cls, path: Path) -> Tools:
        """Read a tools file. Raises ToolsError, one sentence, for whatever is wrong with it."""
        try:
            if path.stat().st_size > MAX_FILE:
                raise ToolsError(f"'{path}' has more than {MAX_FILE} bytes; declare fewer tools, or shorter ones")
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolsError(f"'{path}' is no tools file that can be read ({error}); correct the path") from error
        try:
            return cls.parse(text)
        except ToolsError as error:
            raise ToolsError(f"'{path}': {error}") from error

    @classmethod
    def parse(cls, text: str) -> Tools:
        """Return the tools that YAML declares; raise ToolsError as `load`."""
        try:
            given = yaml.load(text, _Loader)
        except RecursionError as error:
            raise ToolsError('the file is nested too deep; flatten it') from error
        except ToolsError:
            raise
        except (yaml.YAMLError, ValueError) as error:
            where = ' '.join(str(error).split())[:200]
            raise ToolsError(f'it is no YAML ({where}); correct it') from error
        require_bounded(given, 'the file', most=20 * MAX_TOOLS * 10)
        if not isinstance(given, dict) or set(given) != {'tools'} or not isinstance(given['tools'], list):
            raise ToolsError('a tools file is an object with a list under tools; give one such as config/tools.yaml')
        rows = given['tools']
        if not 0 < len(rows) <= MAX_TOOLS:
            raise ToolsError(f'{len(rows)} tools found, 1 to {MAX_TOOLS} expected; declare others, or no file')
        tools = [_tool(row, number) for number, row in enumerate(rows, 1)]
        names = [tool.name for tool in tools]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ToolsError(f"the tool '{twice}' is declared twice; give each a name of its own")
        return cls(tools)

    @property
    def schemas(self) -> dict[str, Mapping[str, Any]]:
        """Return the closed schema of every tool that the model may call, by name."""
        return {name: tool.schema for name, tool in self._all.items()}

    @property
    def behind(self) -> str:
        """Return what stands behind the instruction: JSON in one line, in the form in which a call is written."""
        shown = [
            {TOOL: tool.name, 'description': tool.description, 'arguments': _shown(tool.schema)}
            for tool in self._all.values()
        ]
        return f'\nTools: {json.dumps(shown, ensure_ascii=False)}'

    def call_of(self, text: str) -> Call:
        """Return the call that the model wrote: an object of `tool` and, beside it, the arguments.

        Raises CallError for anything else.
        """
        given = object_of(text)
        name = given.pop(TOOL, None)
        if not isinstance(name, str):
            raise CallError('malformed', f"a call without a text under '{TOOL}' found; train the model on such calls")
        return self.call(name, given)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Call:
        """Return the call of a tool by its name; raise CallError for one that is not declared or does not fit."""
        tool = self._all.get(name)
        if tool is None:
            known = ', '.join(self._all)
            raise CallError('undeclared', f"there is no tool '{name[:40]}'; take one of {known[:200]}")
        tool.require_valid(arguments)
        return Call(tool, arguments)


def object_of(text: str) -> dict[str, Any]:
    """Return the JSON object that a text says; raise CallError where it is none, or too long, deep or much."""
    if len(text) > MAX_CALL:
        raise CallError('malformed', f'{len(text)} characters found, at most {MAX_CALL} expected; give less')
    try:
        given = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        require_bounded(given, 'a call')
        require_writable(json.dumps(given, ensure_ascii=False), 'a call')
    except CallError:
        raise
    except (ValueError, RecursionError) as error:
        said = 'nested too deep' if isinstance(error, RecursionError) else str(error).partition(';')[0]
        raise CallError('malformed', f'a call is no JSON that is expected ({said}); give one object') from error
    if not isinstance(given, dict):
        raise CallError('malformed', f'a call is {kind_of(given)}, an object expected; give one')
    return given


def _tool(row: Any, number: int) -> Tool:
    if not isinstance(row, dict) or not isinstance(row.get('name'), str):
        raise ToolsError(f'tool {number} has no name; give it one, such as light')
    name = row['name']
    if not _NAME.fullmatch(name) or name == CONFIRM:
        raise ToolsError(
            f"a tool is called '{name[:40]}'; take at most 32 small letters, digits and _, a letter first, and not "
            f"'{CONFIRM}'"
        )
    where = f"tool '{name}'"
    if unknown := sorted(set(row) - _KEYS):
        known = ', '.join(sorted(_KEYS))
        raise ToolsError(f"{where} has '{unknown[0][:40]}', which is not known; take some of {known}")
    description = row.get('description')
    if not isinstance(description, str) or not 0 < len(description.strip()) <= MAX_DESCRIPTION:
        raise ToolsError(f'{where} has no description of 1 to {MAX_DESCRIPTION} characters; say what it does')
    require_writable(description, where)
    schema = closed_schema(row.get('arguments', _NO_ARGUMENTS), f'the schema of {where}')
    if schema.get('type') != 'object':
        raise ToolsError(f'the schema of {where} is not of type object; name each argument under properties')
    if TOOL in schema['properties']:
        raise ToolsError(f"{where} has an argument '{TOOL}', under which its own name stands; rename it")
    timeout_s = row.get('timeout_s', 10.0)
    if not isinstance(timeout_s, (int, float)) or timeout_s is True or not 0 < timeout_s <= _LONGEST_TIMEOUT_S:
        raise ToolsError(f'timeout_s of {where} is {str(timeout_s)[:20]}; give seconds, to {_LONGEST_TIMEOUT_S:.0f}')
    does = row.get('does', {})
    if not isinstance(does, dict):
        raise ToolsError(f"'does' of {where} is {kind_of(does)}, an object expected; say what it does in ROS")
    question = row.get('question', '')
    if not isinstance(question, str) or len(question) > MAX_DESCRIPTION:
        raise ToolsError(f"'question' of {where} is no text of at most {MAX_DESCRIPTION} characters; shorten it")
    confirmed = _confirmed(row.get('confirmation', 'no'), where)
    return Tool(name, description.strip(), schema, confirmed, question, float(timeout_s), does)


def _confirmed(given: Any, where: str) -> bool | Draft202012Validator:
    if given in ('yes', 'no', True, False):
        return given in ('yes', True)
    if not isinstance(given, dict) or set(given) != {'when'}:
        raise ToolsError(f'confirmation of {where} is neither yes, no nor {{when: SCHEMA}}; give one of them')
    condition = given['when']
    # It is only asked, never written: any schema will do that looks at nothing outside itself.
    if not isinstance(condition, dict) or '$ref' in json.dumps(condition):
        raise ToolsError(f"'when' of {where} is no schema without references; write out which arguments it means")
    try:
        Draft202012Validator.check_schema(condition)
    except SchemaError as error:
        said = error.message.splitlines()[0][:200]
        raise ToolsError(f"'when' of {where} is no JSON schema ({said}); correct it") from error
    return validator_of(condition)


def _shown(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as short as they can be said, by name; the optional ones say so."""
    return {
        name: part if name in schema['required'] else {**part, 'optional': True}
        for name, part in schema['properties'].items()
    }


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CallError('malformed', 'a call has a key twice in one object; give each once')
    return found


def _no_number(name: str) -> None:
    raise CallError('malformed', f'a call has {name}, which is no number of JSON; leave it out')


class _Loader(yaml.SafeLoader):
    """YAML as its newest version has it: `yes`, `no`, `on` and `off` are words; a key stands once, and is text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if isinstance(key, (dict, list)) or key in keys[:number]:
                raise ToolsError(f"the key '{str(key)[:40]}' stands twice in one object, or is no text; correct it")
        return super().construct_mapping(node, deep)


_OTHERWISE = ('tag:yaml.org,2002:bool', 'tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:merge')
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERWISE]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver('tag:yaml.org,2002:bool', re.compile('true|false'), list('tf'))
