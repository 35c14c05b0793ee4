"""What a call may look like, byte by byte: an expression, and what is left of it after each byte (its derivative).

It is written as `json.dumps` writes it, a space after each colon and comma, the arguments in the order in which they
are declared. So a call of the light is `{"tool": "light", "state": "on"}`.

Brzozowski, "Derivatives of Regular Expressions", 1964; the numbers and the limits of texts count, instead of being
written out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from audio_interaction_ros.tool_use.numbers import NumberRange

_ESCAPED = frozenset(b'"\\/nt')  # what may stand behind a backslash; everything else stands for itself
_CONTINUED = (0x80, 0xBF)
# The ranges of the bytes that follow each first byte of a character in UTF-8; C1 control characters are left out.
_FOLLOWING: dict[int, tuple[tuple[int, int], ...]] = {
    0xC2: ((0xA0, 0xBF),),
    **{first: (_CONTINUED,) for first in range(0xC3, 0xE0)},
    0xE0: ((0xA0, 0xBF), _CONTINUED),
    **{first: (_CONTINUED, _CONTINUED) for first in range(0xE1, 0xF0)},
    0xED: ((0x80, 0x9F), _CONTINUED),
    0xF0: ((0x90, 0xBF), _CONTINUED, _CONTINUED),
    **{first: (_CONTINUED, _CONTINUED, _CONTINUED) for first in range(0xF1, 0xF4)},
    0xF4: ((0x80, 0x8F), _CONTINUED, _CONTINUED),
}
_MOST_KNOWN = 100_000  # expressions; they are forgotten then, and made anew

E = TypeVar('E', bound='Expression')


class Expression:
    """An `Expression` is what may still be written. Equal ones are one object: make them by `the`."""

    @property
    def whole(self) -> bool:
        """Return whether nothing more need be written."""
        raise NotImplementedError

    def after(self, byte: int) -> Expression:
        """Return what may be written after this byte; NOTHING where it may not be written itself."""
        raise NotImplementedError

    def far(self, span: int) -> Expression:
        """Return what allows the same within the next `span` characters, the same for as many as can be."""
        return self


@dataclass(frozen=True, eq=False)
class Literal(Expression):
    """A `Literal` is these bytes, and no others."""

    text: bytes

    @property
    def whole(self) -> bool:
        """Return whether nothing is left."""
        return not self.text

    def after(self, byte: int) -> Expression:
        """Return the rest, if it begins with this byte."""
        return literal(self.text[1:]) if self.text and self.text[0] == byte else NOTHING


@dataclass(frozen=True, eq=False)
class Either(Expression):
    """An `Either` is one of several, none of which is among the others."""

    options: tuple[Expression, ...]

    @property
    def whole(self) -> bool:
        """Return whether one is whole."""
        return any(option.whole for option in self.options)

    def after(self, byte: int) -> Expression:
        """Return what is left of those that allow the byte."""
        return either(*(after(option, byte) for option in self.options))

    def far(self, span: int) -> Expression:
        """Return the same of each."""
        return either(*(option.far(span) for option in self.options))


@dataclass(frozen=True, eq=False)
class Then(Expression):
    """A `Then` is one expression behind another."""

    first: Expression
    rest: Expression

    @property
    def whole(self) -> bool:
        """Return whether both are."""
        return self.first.whole and self.rest.whole

    def after(self, byte: int) -> Expression:
        """Return what is left of the first or, where that is whole, of the rest."""
        left = then(after(self.first, byte), self.rest)
        return either(left, after(self.rest, byte)) if self.first.whole else left

    def far(self, span: int) -> Expression:
        """Return the same of the first."""
        return then(self.first.far(span), self.rest)


@dataclass(frozen=True, eq=False)
class Text(Expression):
    """A `Text` is the inside of a JSON text, of so many more characters at least and at most; no quote ends it.

    `left`: the ranges of the bytes that must follow, in the middle of a character; `escaped`: after a backslash.
    """

    fewest: int
    most: int
    left: tuple[tuple[int, int], ...] = ()
    escaped: bool = False

    @property
    def whole(self) -> bool:
        """Return whether it may end here."""
        return self.fewest <= 0 and not self.left and not self.escaped

    def after(self, byte: int) -> Expression:
        """Return the rest of the text."""
        if self.left:
            low, high = self.left[0]
            return the(Text, self.fewest, self.most, self.left[1:]) if low <= byte <= high else NOTHING
        if self.escaped:
            return the(Text, self.fewest, self.most) if byte in _ESCAPED else NOTHING
        if self.most <= 0:
            return NOTHING
        limits = max(0, self.fewest - 1), self.most - 1
        if byte == 0x5C:
            return the(Text, *limits, (), True)
        if byte in _FOLLOWING:
            return the(Text, *limits, _FOLLOWING[byte])
        return the(Text, *limits) if 0x20 <= byte < 0x7F and byte != 0x22 else NOTHING

    def far(self, span: int) -> Expression:
        """Return one whose limits are as far away as `span` characters can tell."""
        return the(Text, min(self.fewest, span), min(self.most, span), self.left, self.escaped)


@dataclass(frozen=True, eq=False)
class Number(Expression):
    """A `Number` is a number of a range, of which `begun` is written."""

    range: NumberRange
    begun: str = ''

    @property
    def whole(self) -> bool:
        """Return whether what is written is a number of the range."""
        return self.range.is_whole(self.begun)

    def after(self, byte: int) -> Expression:
        """Return the number with one more character, where some number of the range begins so."""
        if byte not in b'-.0123456789':
            return NOTHING
        more = self.begun + chr(byte)
        return the(Number, self.range, more) if self.range.prefix_fits(more) else NOTHING


NOTHING = Either(())
END = Literal(b'')
_known: dict[tuple[Any, ...], Any] = {}
_after: dict[tuple[Expression, int], Expression] = {}


def the(kind: type[E], *fields: Any) -> E:
    """Return the expression of these fields, the same for the same."""
    key = (kind, *fields)
    if (known := _known.get(key)) is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()  # numbers are many; of those in use an equal one may be made again, which costs time only
        known = _known[key] = kind(*fields)
    return known


def literal(text: bytes) -> Literal:
    """Return these bytes."""
    return the(Literal, text) if text else END


def either(*options: Expression) -> Expression:
    """Return one of these, without what cannot be, and without an `Either` in an `Either`."""
    flat = [part for each in options for part in (each.options if isinstance(each, Either) else (each,))]
    found = tuple(dict.fromkeys(flat))
    return found[0] if len(found) == 1 else the(Either, found) if found else NOTHING


def then(*parts: Expression) -> Expression:
    """Return these, one behind the other."""
    found: Expression = END
    for part in reversed(parts):
        if part is NOTHING or found is NOTHING:
            return NOTHING
        if part is END:
            continue
        if found is END:
            found = part
        elif isinstance(part, Literal) and isinstance(found, Literal):
            found = literal(part.text + found.text)
        elif isinstance(part, Then):
            found = then(part.first, then(part.rest, found))
        else:
            found = the(Then, part, found)
    return found


def after(expression: Expression, byte: int) -> Expression:
    """Return what may be written of an expression after a byte."""
    key = expression, byte
    if (left := _after.get(key)) is None:
        if len(_after) >= _MOST_KNOWN:
            _after.clear()
        left = _after[key] = expression.after(byte)
    return left


def grammar_of_calls(schemas: Mapping[str, Mapping[str, Any]], key: str) -> Expression:
    """Return every call of tools, by name with their closed schemas; under `key` stands the name."""
    return either(
        *(
            then(literal(b'{' + _json(key) + b': ' + _json(name)), _properties(schema, begun=True), literal(b'}'))
            for name, schema in schemas.items()
        )
    )


def grammar_of(schema: Mapping[str, Any]) -> Expression:
    """Return every value of a closed schema."""
    if 'enum' in schema:
        return either(*(literal(_json(value)) for value in schema['enum']))
    if 'anyOf' in schema:
        return either(*map(grammar_of, schema['anyOf']))
    kind = schema['type']
    if kind == 'object':
        return then(literal(b'{'), _properties(schema), literal(b'}'))
    if kind == 'array':
        return then(literal(b'['), _items(grammar_of(schema['items']), schema['minItems'], schema['maxItems']))
    if kind == 'string':
        return then(literal(b'"'), the(Text, schema['minLength'], schema['maxLength']), literal(b'"'))
    if kind in ('integer', 'number'):
        return the(Number, NumberRange.of(schema))
    return either(*(literal(text) for text in ((b'true', b'false') if kind == 'boolean' else (b'null',))))


def _properties(schema: Mapping[str, Any], begun: bool = False) -> Expression:
    """The inside of an object, in the order of the schema; `begun`: something stands before them in it."""
    # From the last to the first: what may follow where nothing, or something, was written before.
    first: Expression = END
    later: Expression = END
    for name, part in reversed(schema['properties'].items()):
        value = then(literal(_json(name) + b': '), grammar_of(part))
        with_it = then(value, later), then(literal(b', '), value, later)
        if name in schema['required']:
            first, later = with_it
        else:
            first, later = either(with_it[0], first), either(with_it[1], later)
    return later if begun else first


def _items(item: Expression, fewest: int, most: int) -> Expression:
    """The items of a list and the bracket that closes it."""
    closed = literal(b']')
    if not most:
        return closed
    rest: Expression = closed  # behind `most` items
    for number in range(most - 1, 0, -1):  # behind so many
        more = then(literal(b', '), item, rest)
        rest = either(more, closed) if number >= fewest else more
    begun = then(item, rest)
    return begun if fewest else either(begun, closed)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
