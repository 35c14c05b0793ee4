"""One table of all categories: what else a sound is called, and whether it deserves an answer, silence, or neither."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training.clips.store import ClipStore, of_split
from training.procedural.registry import ALL_TYPES
from training.sources.base import SourceError
from training.sources.clip_library import NO_EVENT, PROCEDURAL, load_library

TABLE = Path(__file__).with_name('categories.yaml')
_RESPOND = {'answered': True, 'silent': False, 'place decides': None}


@dataclass(frozen=True)
class Category:
    """A `Category` is a row of categories.yaml; `respond` is None where the place decides.

    `names` are what others call the sound, `say` the sentences about it, with their `emotion`.
    """

    respond: bool | None
    names: tuple[str, ...] = ()
    say: tuple[str, ...] = ()
    emotion: str = 'normal'


@functools.cache
def load_categories() -> dict[str, Category]:
    """Return categories.yaml beside this file, by our name for a category."""
    table: dict[str, Category] = {}
    for section, rows in yaml.safe_load(TABLE.read_text()).items():
        for name, row in rows.items():
            facts: dict[str, Any] = {'names': row} if isinstance(row, list) else row
            table[name] = Category(
                _RESPOND[section],
                tuple(facts.get('names', ())),
                tuple(facts.get('say', ())),
                facts.get('emotion', 'normal'),
            )
    return table


@functools.cache
def category_of() -> dict[str, str]:
    """Return our name for each name of a sound, ours among them."""
    table = load_categories()
    return {name: name for name in table} | {name: ours for ours, each in table.items() for name in each.names}


def canonical(name: str) -> str:
    """Return our name for a sound; the name itself where nobody knows another."""
    return category_of().get(name, name)


def decision(category: str) -> bool | None:
    """Return whether a sound of a category, by any of its names, deserves an answer; None where the place decides.

    categories.yaml decides, then the procedural sounds. Raises KeyError for a category that neither knows.
    """
    ours = canonical(category)
    return load_categories()[ours].respond if ours in load_categories() else _procedural()[ours]


@functools.cache
def _procedural() -> dict[str, bool]:
    return {kind.category: kind.respond for kind in ALL_TYPES.values()}


def judged(name: str, labels: Iterable[str]) -> tuple[str, bool | None]:
    """Return (category, respond) of a clip whose publisher names `name` first among all its `labels`.

    It is the decision about its category; None, for the context to decide, where nobody has decided or another of the
    labels would deserve an answer.
    """
    known = category_of()
    category = known.get(name, name.partition(',')[0])
    table = load_categories()
    respond = table[category].respond if category in table else None
    answered = any(table[known[label]].respond for label in labels if label in known)
    return category, None if answered and not respond else respond


def only_procedural(clips: ClipStore) -> list[str]:
    """Return the sorted categories that deserve an answer and of which the training side has no recording."""
    answered = [clip for clip in of_split(clips.clips, 'train') if clip.respond]
    recorded = {clip.category for clip in answered if clip.source != PROCEDURAL}
    return sorted({clip.category for clip in answered} - recorded)


def check_decided(folder: Path) -> None:
    """Raise SourceError if nobody has decided about a category of a clip library.

    That is one which neither categories.yaml nor the procedural sounds know, or one that a row wants an answer to and
    nothing is said about.
    """
    table = load_categories()
    for clip in load_library(folder):
        category = canonical(clip.category)
        if category in NO_EVENT:
            continue
        if category not in table and category not in _procedural():
            raise SourceError(
                f"'{folder}' has clips of the category '{clip.category}', which nobody has decided about; "
                f"give '{TABLE}' a line for it, or use one of its names"
            )
        if clip.respond and not (category in table and table[category].say):
            raise SourceError(
                f"'{clip.path}' deserves an answer, and '{TABLE}' says nothing about the category '{category}'; "
                'give it a sentence there, or the row respond 0'
            )
