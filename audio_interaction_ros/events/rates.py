"""How often in the last hour: interruptions, cancels, alerts."""

from __future__ import annotations

from collections import OrderedDict

HOUR_S = 3_600.0
_MAX_ENTRIES = 10_000  # a flood is a flood: it need not be counted further


class HourlyCount:
    """An `HourlyCount` counts different things in the hour before now.

    Time, steady, is a number given by the caller.
    """

    def __init__(self) -> None:
        self._seen_s: OrderedDict[str, float] = OrderedDict()
        self.dropped = 0  # things that the hour had no room for

    def add(self, id_: str, now_s: float) -> None:
        """Count a thing by its id; the same one twice counts once."""
        if id_ not in self._seen_s:
            self._seen_s[id_] = now_s
        self.within_hour(now_s)
        while len(self._seen_s) > _MAX_ENTRIES:
            self._seen_s.popitem(last=False)
            self.dropped += 1

    def within_hour(self, now_s: float) -> int:
        """Return how many different things were added in the hour before `now_s`."""
        while self._seen_s and now_s - next(iter(self._seen_s.values())) > HOUR_S:
            self._seen_s.popitem(last=False)
        return len(self._seen_s)
