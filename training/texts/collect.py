"""Texts of all origins become lines of JSON in one folder: each once, each with its credit, and counts of the rest."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.files import json_lines, write_whole
from training.texts.clean import fault, tidy

FILE = 'texts.jsonl'


@dataclass(frozen=True)
class Origin:
    """An `Origin` says where a text is from, and what must be said when it is used."""

    source: str
    licence: str
    attribution: str


@dataclass
class Collection:
    """A `Collection` keeps each text that may be used once, whoever brings it first.

    `kept` and `left_out` count by (source, kind) and by (source, reason).
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)

    def add(self, turns: Sequence[str], origin: Origin) -> bool:
        """Keep a sentence (one turn), or what somebody says and the answer, in turns; return whether it was kept."""
        tidied = [tidy(turn) for turn in turns]
        reasons = [fault(turn) if number % 2 == 0 else fault(turn, 1) for number, turn in enumerate(tidied)]
        key = ' '.join(re.findall(r'[a-z0-9]+', tidied[0].lower()))
        reason = next(filter(None, reasons), '') or ('said before' if key in self._seen else '')
        if len(set(tidied)) < len(tidied):
            reason = reason or 'repetition'
        if reason:
            self.left_out[origin.source, reason] += 1
            return False
        self._seen.add(key)
        # The side of the split goes by the id: the same words are on the same side, whatever else is collected.
        id_ = hashlib.sha256(key.encode()).hexdigest()[:16]
        credit = {'source': origin.source, 'licence': origin.licence, 'attribution': origin.attribution}
        self.rows.append({'id': id_, 'turns': tidied} | credit)
        self.kept[origin.source, kind_of(tidied)] += 1
        return True

    def write(self, folder: Path) -> dict[str, Any]:
        """Write `folder`/texts.jsonl and return the counts by source."""
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / FILE, json_lines(self.rows))
        summary: dict[str, Any] = {'texts': str(folder / FILE), 'kept': {}, 'left_out': {}}
        for name, counts in (('kept', self.kept), ('left_out', self.left_out)):
            for (source, sort), count in sorted(counts.items()):
                summary[name].setdefault(source, {})[sort] = count
        return summary


def kind_of(turns: Sequence[str]) -> str:
    """Return what texts are: a 'sentence' that nobody answers, a 'question', a 'remark', or a 'thread' of several."""
    if len(turns) == 1:
        return 'sentence'
    if len(turns) > 2:
        return 'thread'
    return 'question' if turns[0].endswith('?') else 'remark'
