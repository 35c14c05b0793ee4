"""JSON schemas of arguments: those of which every value can be written token by token, and no others.

A schema is read strictly: what it asks for is what a call must have, and what this module does not know is refused by
name. Read, it is closed: nothing may be given that it does not name, and every text, list and number has a limit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from audio_interaction_ros.tool_use.errors import ToolsError
from audio_interaction_ros.tool_use.numbers import NumberRange

MAX_DEPTH, MAX_VALUES, MAX_SCHEMA = 8, 500, 8_000  # levels; parts; characters of one schema
MAX_TEXT, MAX_ITEMS = 200, 16  # characters and items where the schema has no limit of its own
LONGEST_TEXT, MOST_ITEMS = 1_000, 64  # that it may have

_SAID = {'title', 'description', 'default', 'examples', '$comment'}  # for people: they allow and forbid nothing
_KEYWORDS = {
    'object': {'properties', 'required', 'additionalProperties'},
    'array': {'items', 'minItems', 'maxItems'},
    'string': {'minLength', 'maxLength'},
    'integer': {'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'},
    'number': {'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'},
    'boolean': set[str](),
    'null': set[str](),
}
_ANYWHERE = {'type', 'enum', 'const', 'anyOf', '$ref', '$defs'}


def closed_schema(schema: Any, where: str) -> dict[str, Any]:
    """Return an equal schema without references, in which everything is closed and bounded; `where` names it.

    Every part of it is an `enum`, an `anyOf`, or of one `type`. Raises ToolsError, one sentence, for what is no JSON
    schema, too long or too deep, refers to itself or to what is not there, or asks for what cannot be written.
    """
    require_bounded(schema, where)
    if not isinstance(schema, dict):
        raise ToolsError(f'{where} is {kind_of(schema)}, a JSON schema expected; give an object with "type: object"')
    if len(text := json.dumps(schema)) > MAX_SCHEMA:
        raise ToolsError(f'{where} has {len(text)} characters, at most {MAX_SCHEMA} expected; make it simpler')
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = '/'.join(map(str, error.absolute_path)) or 'its beginning'
        raise ToolsError(
            f'{where} is no JSON schema: at {place}, {error.message.splitlines()[0][:200]}; correct it'
        ) from error
    definitions = schema.get('$defs', {})
    return _Reader(where, definitions).read(schema, '', ())


def validator_of(closed: Mapping[str, Any]) -> Draft202012Validator:
    """Return what tells whether a value fits a schema; nothing of it is looked up anywhere else."""
    return Draft202012Validator(closed)


def kind_of(value: object) -> str:
    """Name a value's type, as JSON has it."""
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true or false'
    names = {dict: 'an object', list: 'a list', str: 'a text', int: 'a number', float: 'a number'}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f'a {type(value).__name__}')


class _Reader:
    """A `_Reader` closes the parts of one schema."""

    def __init__(self, where: str, definitions: Mapping[str, Any]) -> None:
        self._where, self._definitions = where, definitions
        self._parts = 0

    def read(self, schema: Any, place: str, within: tuple[str, ...]) -> dict[str, Any]:
        """`place`: where it is in the whole; `within`: the references that led here."""
        self._parts += 1
        if self._parts > MAX_VALUES or place.count('/') > 2 * MAX_DEPTH:
            self._refuse(place, 'is too much with its references filled in', 'make it simpler')
        if not isinstance(schema, dict):
            self._refuse(place, f'is {kind_of(schema)}, an object expected', 'say what is allowed there')
        if unknown := sorted(set(schema) - _SAID - _ANYWHERE - set().union(*_KEYWORDS.values())):
            self._refuse(place, f"has the keyword '{unknown[0]}', which is not supported", 'leave it out')
        if '$ref' in schema:
            return self._referred(schema, place, within)
        if 'anyOf' in schema:
            self._alone(schema, 'anyOf', place)
            parts = [self.read(each, f'{place}/anyOf/{number}', within) for number, each in enumerate(schema['anyOf'])]
            return {'anyOf': parts}
        if 'enum' in schema or 'const' in schema:
            return self._listed(schema, place)
        types = schema.get('type')
        if types is None:
            self._refuse(place, 'has no type', f'give one of {", ".join(_KEYWORDS)}, or an enum')
        if isinstance(types, list):
            own = [{**self._without_others(schema, each), 'type': each} for each in types]
            return {'anyOf': [self.read(each, place, within) for each in own]}
        if others := sorted(set(schema) - _SAID - {'type', '$defs'} - _KEYWORDS[types]):
            self._refuse(place, f"has the keyword '{others[0]}', which is not for {types}", 'leave it out')
        closing = {'object': self._object, 'array': self._array, 'string': self._string}
        return closing.get(types, self._number if types in ('integer', 'number') else self._plain)(
            schema, place, within
        )

    def _referred(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        self._alone(schema, '$ref', place)
        name = str(schema['$ref'])
        if name in within:
            self._refuse(place, f"refers to itself by '{name[:60]}'", 'write out how deep it may be')
        head, _, key = name.rpartition('/')
        if head != '#/$defs' or key not in self._definitions:
            self._refuse(place, f"refers to '{name[:60]}', which is not there", 'define it under $defs of this schema')
        return self.read(self._definitions[key], place, (*within, name))

    def _listed(self, schema: dict[str, Any], place: str) -> dict[str, Any]:
        values = schema['enum'] if 'enum' in schema else [schema['const']]
        if any(isinstance(value, (dict, list)) for value in values):
            self._refuse(place, 'lists objects or lists', 'list texts, numbers, true, false or null')
        rest = {key: value for key, value in schema.items() if key not in _SAID | {'$defs'}}
        whole = Draft202012Validator(rest)
        fitting = [value for value in values if whole.is_valid(value)]
        if not fitting:
            self._refuse(place, 'allows no value at all', 'correct it')
        for value in fitting:
            if isinstance(value, str):
                require_writable(value, f'{self._where}{_at(place)}')
        return {'enum': fitting}

    def _object(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        properties, required = schema.get('properties', {}), schema.get('required', [])
        if schema.get('additionalProperties', False) is not False:
            self._refuse(place, 'allows properties that it does not name', 'name them all under properties')
        if unknown := sorted(set(required) - set(properties)):
            self._refuse(place, f"requires '{unknown[0]}', which it does not describe", 'add it under properties')
        for name in properties:
            require_writable(name, f'{self._where}{_at(place)}')
        parts = {
            name: self.read(each, f'{place}/properties/{name.replace("/", "~1")}', within)
            for name, each in properties.items()
        }
        return {'type': 'object', 'properties': parts, 'required': list(required), 'additionalProperties': False}

    def _array(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        if 'items' not in schema:
            self._refuse(place, 'is a list of anything', 'describe its items')
        fewest, most = self._limits(schema, place, 'Items', MAX_ITEMS, MOST_ITEMS)
        items = self.read(schema['items'], f'{place}/items', within)
        return {'type': 'array', 'items': items, 'minItems': fewest, 'maxItems': most}

    def _string(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        shortest, longest = self._limits(schema, place, 'Length', MAX_TEXT, LONGEST_TEXT)
        return {'type': 'string', 'minLength': shortest, 'maxLength': longest}

    def _limits(self, schema: dict[str, Any], place: str, of: str, most: int, limit: int) -> tuple[int, int]:
        low = int(schema.get(f'min{of}', 0))
        high = int(schema.get(f'max{of}', max(low, most)))
        if not low <= high <= limit:
            self._refuse(place, f'has min{of} {low} and max{of} {high}', f'give at most {limit}, the smaller first')
        return low, high

    def _number(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        closed = {key: schema[key] for key in ('type', *sorted(_KEYWORDS['number'])) if key in schema}
        if not NumberRange.of(closed).prefix_fits(''):
            self._refuse(place, 'allows no number that can be written', 'correct its limits')
        return closed

    def _plain(self, schema: dict[str, Any], place: str, within: tuple[str, ...]) -> dict[str, Any]:
        return {'type': schema['type']}

    @staticmethod
    def _without_others(schema: dict[str, Any], own: str) -> dict[str, Any]:
        others = set().union(*(words for kind, words in _KEYWORDS.items() if kind in schema['type'])) - _KEYWORDS[own]
        return {key: value for key, value in schema.items() if key not in others}

    def _alone(self, schema: dict[str, Any], keyword: str, place: str) -> None:
        if others := sorted(set(schema) - _SAID - {keyword, '$defs'}):
            self._refuse(place, f"has '{others[0]}' beside {keyword}", f'put it into what {keyword} means')

    def _refuse(self, place: str, what: str, cure: str) -> Any:
        raise ToolsError(f'{self._where}{_at(place)} {what}; {cure}')


def require_writable(text: str, where: str) -> None:
    """Raise ToolsError for a text with a control character, or half of a character, which no call can have."""
    for char in text:
        if (ord(char) < 0x20 and char not in '\n\t') or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000:
            raise ToolsError(f'{where} has the control character U+{ord(char):04X} in it; leave it out')


def _at(place: str) -> str:
    return f' at {place[1:]}' if place else ''


def require_bounded(given: Any, where: str, most: int = MAX_VALUES) -> None:
    """Raise ToolsError for what is nested too deep or within itself, has more than `most` values, or is not JSON.

    Every value is looked at, without recursion.
    """
    values, left = 0, [(1, given)]
    while left:
        depth, each = left.pop()
        if depth > 3 * MAX_DEPTH:
            raise ToolsError(f'{where} is nested too deep, or within itself; flatten it')
        if isinstance(each, float) and each - each != 0.0:
            raise ToolsError(f'{where} has {each}, which is no number of JSON; leave it out')
        if not isinstance(each, (dict, list, str, int, float, bool, type(None))):
            raise ToolsError(f"{where} has '{str(each)[:40]}', which YAML takes for {kind_of(each)}; put it in quotes")
        if isinstance(each, dict) and (odd := [key for key in each if not isinstance(key, str)]):
            raise ToolsError(f"{where} has the key '{str(odd[0])[:40]}', which is no text; put it in quotes")
        children: list[Any] = list(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        values += len(children)
        if values > most:
            raise ToolsError(f'{where} has more than {most} values; make it simpler')
        left += [(depth + 1, child) for child in children]
