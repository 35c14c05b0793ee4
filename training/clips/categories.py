"""Publishers' names for sounds in our taxonomy: one category a clip, and whether it deserves an answer."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import yaml

from training.clips.answers import load_answers


@functools.cache
def category_of() -> dict[str, str]:
    """Return categories.yaml beside this file, turned round: a publisher's name for a sound → our category."""
    data = yaml.safe_load(Path(__file__).with_name('categories.yaml').read_text())
    return {name: category for category, names in data.items() for name in names}


def judged(name: str, labels: Iterable[str]) -> tuple[str, bool | None]:
    """Return (category, respond) of a clip whose publisher names `name` first among all its `labels`.

    Sounds that answers.yaml answers deserve it, other known ones deserve silence. None, for the context to decide,
    where the name is not known, somebody speaks, or another of the labels would deserve an answer.
    """
    known = category_of()
    category = known.get(name, name.partition(',')[0])
    if category in load_answers():
        return category, True
    others = {known.get(label, label) for label in labels}
    unclear = name not in known or category == 'speech' or others & set(load_answers())
    return category, None if unclear else False
