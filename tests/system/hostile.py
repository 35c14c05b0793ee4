"""Messages that no honest node sends, `hostile(Response, rng)`: what the types allow, and none of it makes sense."""

from __future__ import annotations

import array
import importlib
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from rosidl_parser.definition import AbstractNestedType, AbstractString, Array, BasicType, NamespacedType

T = TypeVar('T')

TEXTS = (
    '', ' ', '; rm -rf / #', '$(reboot)', '`id`', "'; DROP TABLE events; --", '" OR 1=1 --', '../../../etc/passwd',
    '%s%n%x', '\x1b[2J\x1b]0;owned\x07', '\x01\x02\x7f\r\n\t', '<script>alert(1)</script>', '\u202efdp.exe',
    '𝔉𝔦𝔯𝔢 🔥' * 50, 'urgent', 'Fire! Leave the building.', 'listening_lost', 'NaN', '-1', '9' * 400,
    '{"a": {"a": {"a": []}}}', '{}' * 500,
)  # fmt: skip
_LONG_TEXT, _LONG_SHARE = 1_000_000, 0.004
_FLOATS = (0.0, -0.0, math.nan, math.inf, -math.inf, 1e-300, 3e38, -1.0, 0.5, 2.0)


def hostile(message_type: type[Any], rng: np.random.Generator) -> Any:
    """A message, or a service's request, whose fields are extremes of their types."""
    message = message_type()
    for (name, _), kind in zip(message_type.get_fields_and_field_types().items(), message_type.SLOT_TYPES, strict=True):
        setattr(message, name, _value(kind, rng))
    return message


def _value(kind: Any, rng: np.random.Generator) -> Any:
    if isinstance(kind, AbstractNestedType):
        return _values(kind, rng)
    if isinstance(kind, AbstractString):
        return 'A' * _LONG_TEXT if rng.random() < _LONG_SHARE else _one_of(TEXTS, rng)
    if isinstance(kind, NamespacedType):
        return hostile(getattr(importlib.import_module('.'.join(kind.namespaces)), kind.name), rng)
    assert isinstance(kind, BasicType)
    if kind.typename == 'boolean':
        return bool(rng.integers(2))
    if kind.typename == 'octet':
        return rng.bytes(1)
    if kind.typename == 'float':
        return float(np.float32(_one_of(_FLOATS, rng)))
    if kind.typename == 'double':
        return _one_of(_FLOATS, rng)
    bounds = np.iinfo(kind.typename)
    return _one_of([bounds.min, bounds.max, 0, 1, bounds.max // 2, int(rng.integers(100))], rng)


def _one_of(values: Sequence[T], rng: np.random.Generator) -> T:
    # Not rng.choice, which makes one array of them and so one type.
    return values[int(rng.integers(len(values)))]


def _values(kind: Any, rng: np.random.Generator) -> Any:
    count = kind.size if isinstance(kind, Array) else _one_of([0, 1, 3, 40], rng)
    if isinstance(kind.value_type, BasicType) and kind.value_type.typename == 'uint8':
        return array.array('B', rng.bytes(count if isinstance(kind, Array) else _one_of([0, 1, 639, 640, 70_000], rng)))
    return [_value(kind.value_type, rng) for _ in range(count)]
