"""What is said about each category, and with which emotion."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Answer:
    """An `Answer` is what may be said about a category, and the emotion tag it carries."""

    emotion: str
    sentences: tuple[str, ...]


@functools.cache
def load_answers() -> dict[str, Answer]:
    """Return answers.yaml beside this file, by category."""
    data = yaml.safe_load((Path(__file__).parent / 'answers.yaml').read_text())
    return {category: Answer(row['emotion'], tuple(row['sentences'])) for category, row in data.items()}
