"""Which numbers lie in a range, told by their first characters: so a number is written digit by digit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any

WHOLE_DIGITS = 15  # of an integer: more than that are not exact in a double
DIGITS, DECIMALS = 9, 6  # of a number, before and behind the point
_BEGUN = re.compile(r'(-?)(0|[1-9]\d*)?(?:(\.)(\d*))?', re.ASCII)


@dataclass(frozen=True)
class NumberRange:
    """A `NumberRange` holds all numbers from `low` to `high`, both in units of 10^-`decimals`.

    At most `digits` stand before the point and `decimals` behind it; there is no exponent, and no -0.
    """

    low: int
    high: int
    digits: int
    decimals: int

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> NumberRange:
        """Return the range of a schema of type `integer` or `number`."""
        digits, decimals = (WHOLE_DIGITS, 0) if schema['type'] == 'integer' else (DIGITS, DECIMALS)
        unit = 10**decimals
        low, high = 1 - unit * 10**digits, unit * 10**digits - 1
        if 'minimum' in schema:
            low = max(low, ceil(_exact(schema['minimum']) * unit))
        if 'exclusiveMinimum' in schema:
            low = max(low, floor(_exact(schema['exclusiveMinimum']) * unit) + 1)
        if 'maximum' in schema:
            high = min(high, floor(_exact(schema['maximum']) * unit))
        if 'exclusiveMaximum' in schema:
            high = min(high, ceil(_exact(schema['exclusiveMaximum']) * unit) - 1)
        return cls(low, high, digits, decimals)

    def is_whole(self, text: str) -> bool:
        """Return whether a text is a number of the range, to its end."""
        sizes = _sizes(self, text)
        return sizes is not None and sizes.whole is not None and self._has(text, sizes.whole, sizes.whole)

    def prefix_fits(self, text: str) -> bool:
        """Return whether some number of the range begins with a text."""
        if not text:
            return self.low <= self.high
        sizes = _sizes(self, text)
        return sizes is not None and any(self._has(text, low, high) for low, high in sizes.spans)

    def _has(self, text: str, low: int, high: int) -> bool:
        """Whether some number of these sizes, with the sign of the text, is in the range."""
        if text.startswith('-'):
            return max(low, 1, -self.high) <= min(high, -self.low)
        return max(low, self.low) <= min(high, self.high)


@dataclass(frozen=True)
class _Sizes:
    """The size of a text as it is, if it is a number, and the spans of the sizes that it may become."""

    whole: int | None
    spans: list[tuple[int, int]]


@lru_cache(maxsize=10_000)
def _sizes(within: NumberRange, text: str) -> _Sizes | None:
    match = _BEGUN.fullmatch(text)
    unit, largest = 10**within.decimals, 10**within.digits
    if match is None:
        return None
    _, whole, point, behind = match.groups()
    if whole is None:
        if point:
            return None
        return _Sizes(None, [(0, unit * largest - 1)])
    number = int(whole)
    if len(whole) > within.digits:
        return None
    if point:
        if not within.decimals or len(behind) > within.decimals:
            return None
        step = 10 ** (within.decimals - len(behind))
        begun = number * unit + int(behind or 0) * step
        return _Sizes(begun if behind else None, [(begun, begun + step - 1)])
    spans = [(number * unit, number * unit + unit - 1)]
    if number:
        spans += [
            (number * 10**more * unit, (number + 1) * 10**more * unit - 1)
            for more in range(1, within.digits - len(whole) + 1)
        ]
    return _Sizes(number * unit, spans)


def _exact(number: float) -> Fraction:
    """As it is written, so that 0.1 is a tenth."""
    return Fraction(Decimal(repr(number)))
