"""What was said to the items of a benchmark, scored as its publisher scores it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training.evaluate.language import bleu_of, edits
from training.metrics import interval_of_sums, ratio, rounded


@dataclass(frozen=True)
class Said:
    """A `Said` is what was said to one item, beside what would have been right."""

    id: str
    group: str
    text: str
    wanted: str
    options: tuple[str, ...] = ()
    language: str = 'english'


def accuracy(said: list[Said], seed: int) -> dict[str, Any]:
    """Return {group: {value, items, confidence_95}} and 'all', in percent, by MMAU's rule (see `names_the_answer`)."""
    right = [float(names_the_answer(one.text, one.wanted, one.options)) for one in said]
    return _by_group(said, lambda places: _percent(said, right, [1.0] * len(said), places, seed))


def names_the_answer(text: str, wanted: str, options: Sequence[str]) -> bool:
    """Return whether a text has every word of the right option, and no word that only a wrong one has."""
    words, right = _words(text), _words(wanted)
    wrong = {word for option in options if _words(option) != right for word in _words(option) - right}
    return bool(words) and right <= words and not words & wrong


def _words(text: str) -> set[str]:
    return set(re.findall(r'\w+', text.lower()))


def error_rate(said: list[Said], seed: int) -> dict[str, Any]:
    """Return {group: {value, items, confidence_95}} and 'all': word error rates in percent, normalised as Whisper's."""
    counted = [edits(one.wanted, one.text, one.language) for one in said]
    errors, words = [float(wrong) for wrong, _ in counted], [float(wanted) for _, wanted in counted]
    return _by_group(said, lambda places: _percent(said, errors, words, places, seed))


def bleu_score(said: list[Said], seed: int) -> dict[str, Any]:
    """Return {group: {value, items, confidence_95, signature}}: sacrebleu's BLEU with its tokenizer of the language."""

    def of(places: list[int]) -> dict[str, Any]:
        rows = [said[at] for at in places]
        value, interval, signature = bleu_of(
            [row.id for row in rows], [row.wanted for row in rows], [row.text for row in rows], rows[0].language, seed
        )
        return {'value': value, 'items': len(rows), 'confidence_95': interval, 'signature': signature}

    figures = _by_group(said, of)
    return {group: found for group, found in figures.items() if group != 'all' or len(figures) > 2}


def _by_group(said: list[Said], figure: Callable[[list[int]], dict[str, Any]]) -> dict[str, Any]:
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(said):
        groups.setdefault(one.group, []).append(at)
    return {group: figure(places) for group, places in groups.items()} | {'all': figure(list(range(len(said))))}


def _percent(said: list[Said], counted: list[float], of: list[float], places: list[int], seed: int) -> dict[str, Any]:
    columns = [[100.0 * counted[at] for at in places], [of[at] for at in places]]
    whole = sum(columns[1])
    interval = interval_of_sums([said[at].id for at in places], columns, ratio, seed)
    return {
        'value': round(sum(columns[0]) / whole, 2) if whole else None,
        'items': len(places),
        'confidence_95': rounded(interval, 2),
    }
