"""Text that is still being written, cut into clauses that can already be said.

A clause is said as soon as it is certain where it ends, so that the first sound does not wait for the last word.
"""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT_CHARACTERS = 1_000  # of one utterance
MAX_CLAUSE_CHARACTERS = 200
_MIN_CLAUSE_CHARACTERS = 12  # shorter ones are joined to the next at a comma: "No, thank you."
# What ends a clause: everywhere, or only before a space, because 3.5, 10:30 and 1,000 are numbers.
_ENDS_ANYWHERE = '!?…。！？；：，、\n'
_ENDS_BEFORE_SPACE = '.;:,—–'
_ENDS_SENTENCE = '.!?…。！？\n'
_CLOSING = '"\'”’»)]}」』）'
_ABBREVIATIONS = frozenset(
    'mr mrs ms dr prof st no nos vs etc approx e.g i.e a.m p.m u.s u.k sr jr dept fig min max'.split()  # noqa: SIM905
)
_LAST_WORD = re.compile(r'[^\s(\["“]*$')


class ClauseSplitter:
    """A `ClauseSplitter` is given the text so far, again and again, and gives back each clause once.

    No word is lost, and none comes twice: joined, the clauses hold the words of the final text in their order, however
    often it came before it was final. A text that is not the one before it and more is gone on with after as many
    characters as are said already.
    """

    def __init__(self) -> None:
        self._taken = 0  # characters that are in a clause, or to be said by none
        self.cut = False  # there were more than MAX_TEXT_CHARACTERS

    def push(self, text: str, final: bool = False) -> list[str]:
        """Return the clauses that are new and complete in the whole text so far; with `final`, all that is left.

        Each has at most MAX_CLAUSE_CHARACTERS characters and something that can be pronounced in it, in one line.
        """
        self.cut = self.cut or len(text) > MAX_TEXT_CHARACTERS
        text = text[:MAX_TEXT_CHARACTERS]
        clauses = []
        while (end := _end_of_clause(text, self._taken, final)) is not None:
            clause = speakable(text[self._taken : end])
            self._taken = end
            if clause:
                clauses.append(clause)
        return clauses


def speakable(text: str) -> str:
    """Return `text` in one line, without what an engine may take for a command; '' where nothing is left to pronounce.

    Control characters become spaces: espeak-ng obeys some of them. So do brackets in pairs, which enclose phonemes to
    it, and half of a character, which a tokenizer may leave at the end.
    """
    line = ''.join(
        ' ' if unicodedata.category(character)[0] in 'CZ' or character == '\ufffd' else character
        for character in text.replace('[[', ' ').replace(']]', ' ')
    )
    line = ' '.join(line.split())
    return line if any(character.isalnum() for character in line) else ''


def _end_of_clause(text: str, start: int, final: bool) -> int | None:
    """Return where the clause ends that begins at `start`; None where that is not known yet, or nothing is left."""
    if start >= len(text):
        return None
    begin = start + len(text[start:]) - len(text[start:].lstrip())
    for place in range(begin, min(len(text), begin + MAX_CLAUSE_CHARACTERS)):
        character = text[place]
        end = place + 1
        if character in _ENDS_BEFORE_SPACE:
            while end < len(text) and text[end] in _CLOSING:
                end += 1
            # At the end of what there is, nobody knows what follows.
            if end == len(text) or not text[end].isspace():
                continue
            if character == '.' and _abbreviates(text[begin:place]):
                continue
        elif character in _ENDS_ANYWHERE:
            while end < len(text) and text[end] in _CLOSING + _ENDS_SENTENCE:
                end += 1
        else:
            continue
        if character in _ENDS_SENTENCE or end - begin >= _shortest(text[begin:place]):
            return min(end, begin + MAX_CLAUSE_CHARACTERS)
    if len(text) - begin > MAX_CLAUSE_CHARACTERS:
        space = text.rfind(' ', begin + 1, begin + MAX_CLAUSE_CHARACTERS)
        return space if space > 0 else begin + MAX_CLAUSE_CHARACTERS
    return len(text) if final else None


def _abbreviates(text: str) -> bool:
    """Return whether a full stop after this text is that of an abbreviation or of an initial."""
    word = _LAST_WORD.findall(text)[0]
    return (len(word) == 1 and word.isalpha() and word != 'I') or word.lower() in _ABBREVIATIONS


def _shortest(text: str) -> int:
    """Return how many characters a clause needs before a comma; in a script without spaces, each is a syllable."""
    return 4 if any('\u3040' <= character <= '\u9fff' for character in text) else _MIN_CLAUSE_CHARACTERS
