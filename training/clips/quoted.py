"""What a recorded voice says, where its caption quotes it: 'A person says "go forward ten meters".'."""

from __future__ import annotations

import re

FEWEST_WORDS = 4  # of a quotation by which two recordings are taken for one: nobody else says just that
_SPOKEN = frozenset({'speech', 'spoken digit'})
_SAYS = re.compile(r'\b(?:says|calls)\b')
_QUOTED = re.compile(r'"([^"]+)"')
_ENGLISH = re.compile(r"[A-Za-z0-9 ,.;:?!'-]+")
# A caption that goes on so says what language it is, what the words mean, or that they are no words at all.
_OTHER = re.compile(r'\bin (?!English)[A-Z][a-z]+|\bthat means\b|\bsyllable\b')


def quoted(category: str, caption: str) -> str:
    """Return the English words that a caption says are spoken; '' where it quotes none, several, or another language.

    `category` is the clip's: only of a voice are they what is heard.
    """
    found = _QUOTED.findall(caption)
    if category not in _SPOKEN or len(found) != 1 or not _SAYS.search(caption) or _OTHER.search(caption):
        return ''
    words = ' '.join(found[0].split())
    return words if _ENGLISH.fullmatch(words) and re.search('[A-Za-z]', words) else ''
