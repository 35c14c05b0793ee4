"""Hours of the day in which only what is urgent is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

_SPAN = re.compile(r'([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)', re.ASCII)


@dataclass(frozen=True)
class QuietHours:
    """`QuietHours` begin at one time of every day and end at another, the next day where that is earlier."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours | None:
        """Return the hours of a text such as '22:00-07:00'; None of an empty one. Raises ValueError for any other."""
        if not text:
            return None
        match = _SPAN.fullmatch(text.strip())
        hours = match and cls(time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4])))
        if hours is None or hours.begin == hours.end:
            raise ValueError(
                f"quiet_hours is '{text}'; give the time at which they begin and that at which they end, as "
                '22:00-07:00, or nothing'
            )
        return hours

    def at(self, now: time) -> bool:
        """Return whether it is quiet at this time of the day."""
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end
