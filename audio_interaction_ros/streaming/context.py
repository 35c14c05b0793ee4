"""The digital context is what a robot knows beside what it hears, as JSON, checked (D_c of ProVoice-Bench).

Time, place, calendar, home and robot state have types of their own; other keys hold an application's state, whatever it
is. An object with `expires`, at any depth, counts until then.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

MAX_CHARACTERS, MAX_DEPTH, MAX_VALUES = 16_000, 8, 1_000
KNOWN = ('time', 'place', 'calendar', 'home', 'robot')  # in the order in which the model reads them; then all others
_EXPIRES = 'expires'
_MOMENTS = ('start', 'end')  # of a calendar entry


class ToldError(ValueError):
    """A `ToldError` says why the model cannot be told an instruction or a context, and what to change."""


@dataclass(frozen=True)
class DigitalContext:
    """A `DigitalContext` holds checked entries, known ones first; `{}` is none at all."""

    entries: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> DigitalContext:
        """Return the context that a JSON object says, nothing for an empty text.

        Raises ToldError, one sentence, for what is too long, too deep, too much, no JSON, or of the wrong type.
        """
        if len(text) > MAX_CHARACTERS:
            raise ToldError(
                f'a context of {len(text)} characters found, at most {MAX_CHARACTERS} expected; leave out what the '
                'model need not know'
            )
        if not text.strip():
            return cls()
        try:
            given = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        except RecursionError:
            _refuse_depth()
        except ToldError:
            raise
        except ValueError as error:
            raise ToldError(f'the context is not JSON ({error}); publish one JSON object') from error
        if not isinstance(given, dict):
            raise ToldError(f'the context is {_kind(given)}, an object expected; publish one such as {_EXAMPLE}')
        _require_bounded(given)
        _require_types(given)
        return cls({key: given[key] for key in (*KNOWN, *given) if key in given})

    def at(self, now_s: float) -> DigitalContext:
        """Return what of it counts still at a time in seconds since 1970."""
        kept = _unexpired(self.entries, now_s)
        return DigitalContext(kept if isinstance(kept, dict) else {})

    def next_expiry_s(self, now_s: float) -> float:
        """Return when the next of its entries is to be left out, in seconds since 1970; infinity where none is."""
        expiries = map(_expiry_s, _found(self.entries))
        return min((expiry for expiry in expiries if expiry > now_s), default=float('inf'))

    @property
    def text(self) -> str:
        """Return it as the model reads it: JSON in one line, the same for the same entries; '' where there are none."""
        shown = _without_expiries(self.entries)
        return json.dumps(shown, ensure_ascii=False) if shown else ''

    @property
    def behind(self) -> str:
        """Return what stands behind an instruction or a question where there is a context, '' where there is none."""
        return f'\nContext: {text}' if (text := self.text) else ''

    @property
    def outline(self) -> str:
        """Return what there is and how much of it, without a word of what it says, such as `time, calendar (2)`."""
        shown = _without_expiries(self.entries)
        sizes = {key: f' ({len(value)})' for key, value in shown.items() if isinstance(value, (dict, list))}
        parts = [f'{key}{sizes.get(key, "")}' for key in KNOWN if key in shown]
        if others := len(shown.keys() - set(KNOWN)):
            parts.append(f'{others} of other names')
        return ', '.join(parts) or 'nothing'


_EXAMPLE = '{"place": "kitchen"}'
_EXPECTED = {
    'time': 'an ISO 8601 time such as "2026-03-01T14:03:00+01:00"',
    'place': 'a text or an object such as {"room": "kitchen"}',
    'calendar': 'a list of objects such as {"title": "Dentist", "start": "2026-03-01T15:00:00+01:00"}',
    'home': 'an object such as {"oven": "on"}',
    'robot': 'an object such as {"battery": 0.8}',
}


def require_plain(text: str, what: str) -> None:
    """Raise ToldError where a text has a control character, or half of a character, in it; `what` names it."""
    for char in text:
        if unicodedata.category(char) in ('Cc', 'Cs') and char not in '\n\r\t':
            raise ToldError(f'{what} has the control character U+{ord(char):04X} in it; leave it out')


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ToldError(f'the context has {_short(twice)} twice in one object; give each key once')
    return found


def _no_number(name: str) -> None:
    raise ToldError(f'the context has {name}, which is no number of JSON; leave it out, or give null')


def _refuse_depth() -> NoReturn:
    raise ToldError(f'the context is nested too deep, at most {MAX_DEPTH} levels are expected; flatten it')


def _require_bounded(given: dict[str, Any]) -> None:
    """Look at every value without recursion: what is nested too deep is refused here."""
    values, left = 0, list[tuple[int, Any]]([(1, given)])
    while left:
        depth, each = left.pop()
        if depth > MAX_DEPTH:
            _refuse_depth()
        children: list[Any] = list(each.values() if isinstance(each, dict) else each)
        values += len(children)
        if values > MAX_VALUES:
            raise ToldError(f'the context has more than {MAX_VALUES} values; leave out what the model need not know')
        keys = each if isinstance(each, dict) else ()
        for text in (*keys, *(child for child in children if isinstance(child, str))):
            require_plain(text, 'the context')
        if any(isinstance(child, float) and child in (float('inf'), -float('inf')) for child in children):
            raise ToldError('the context has a number that is too large; give a smaller one')
        left += [(depth + 1, child) for child in children if isinstance(child, (dict, list))]


def _require_types(given: dict[str, Any]) -> None:
    for key, fits in (
        ('time', lambda value: _moment(value) is not None),
        ('place', lambda value: isinstance(value, (str, dict))),
        ('calendar', lambda value: isinstance(value, list) and all(_is_appointment(each) for each in value)),
        ('home', lambda value: isinstance(value, dict)),
        ('robot', lambda value: isinstance(value, dict)),
    ):
        if key in given and not fits(given[key]):
            raise ToldError(f"'{key}' is {_kind(given[key])}, {_EXPECTED[key]} expected; correct it or leave it out")
    for expires in _found(given):
        moment = _moment(expires)
        if moment is None or moment.tzinfo is None:
            raise ToldError(
                f"'{_EXPIRES}' is {_kind(expires)}, a time with its zone expected; give it as in "
                '"2026-03-01T15:00:00+01:00"'
            )


def _is_appointment(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get('title'), str):
        return False
    return all(_moment(value[name]) is not None for name in _MOMENTS if name in value)


def _moment(value: object) -> datetime | None:
    """Return what an ISO 8601 text says; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value[:-1] + '+00:00' if value.endswith('Z') else value)
    except ValueError:
        return None


def _found(value: Any) -> Iterator[Any]:
    """Yield what is given as `expires` at any depth."""
    if isinstance(value, dict):
        if _EXPIRES in value:
            yield value[_EXPIRES]
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _found(each)


def _expiry_s(expires: object) -> float:
    moment = _moment(expires)
    return float('inf') if moment is None else moment.timestamp()


def _unexpired(value: Any, now_s: float) -> Any:
    """Return a copy without the objects whose time is over; None where that is the value itself."""
    if isinstance(value, dict):
        if _expiry_s(value.get(_EXPIRES)) <= now_s:
            return None
        kept = {key: (each, _unexpired(each, now_s)) for key, each in value.items()}
        return {key: new for key, (old, new) in kept.items() if new is not None or old is None}
    if isinstance(value, list):
        pairs = [(each, _unexpired(each, now_s)) for each in value]
        return [new for old, new in pairs if new is not None or old is None]
    return value


def _without_expiries(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_expiries(each) for key, each in value.items() if key != _EXPIRES}
    return [_without_expiries(each) for each in value] if isinstance(value, list) else value


def _kind(value: object) -> str:
    """Name a value's type, as JSON has it, and no more: what it says may be private."""
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'true or false'
    names = {dict: 'an object', list: 'a list', str: 'a text', int: 'a number', float: 'a number'}
    return next(name for kind, name in names.items() if isinstance(value, kind))


def _short(key: str) -> str:
    return f"'{key}'" if key in KNOWN or len(key) <= 20 else 'a key'
