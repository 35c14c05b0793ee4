"""How far a clause came that was broken off, by how long it sounded: nobody hears which word a voice is at."""

from __future__ import annotations

_FIRST_CHARACTERS_S = 14.0  # a second, before anything was said: espeak-ng in English
_OF_NEWEST = 0.3
_SHORTEST_S = 0.5  # of a clause that the pace is learnt from: the pause behind it is part of its sound
_WITHOUT_SPACES = '\u3040'  # kana, Han and Hangul from here on: every character may be the last


class Pace:
    """A `Pace` is how many characters a voice says in a second, learnt from the clauses that it said to their end."""

    def __init__(self) -> None:
        self._characters_s = _FIRST_CHARACTERS_S

    def learn(self, text: str, sounded_s: float) -> None:
        """Note that a clause was said to its end in so many seconds."""
        if sounded_s >= _SHORTEST_S:
            self._characters_s += _OF_NEWEST * (len(text) / sounded_s - self._characters_s)

    def part(self, text: str, sounded_s: float) -> str:
        """Return the whole words of a clause that were said when it was broken off after so many seconds."""
        end = min(len(text), int(max(0.0, sounded_s) * self._characters_s))
        while 0 < end < len(text) and not (text[end].isspace() or text[end - 1] >= _WITHOUT_SPACES):
            end -= 1
        return text[:end].strip()
