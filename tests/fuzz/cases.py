"""How many cases of a property are tried: a few, always the same, in `make test`; many, ever new, in `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = 'FUZZ_COUNTS' in os.environ  # `make fuzz` sets it
_TIMES_LONG = 5


def cases(number: int) -> settings:
    """The settings of a property of which `number` cases are tried in `make test`."""
    if not LONG:
        return settings(max_examples=number, deadline=None)
    return settings(
        max_examples=number * _TIMES_LONG,
        derandomize=False,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
