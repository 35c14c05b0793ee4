"""What is said about each category, and with which emotion."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from training.clips.categories import load_categories


@dataclass(frozen=True)
class Answer:
    """An `Answer` is what may be said about a category, and the emotion tag it carries."""

    emotion: str
    sentences: tuple[str, ...]


@functools.cache
def load_answers() -> dict[str, Answer]:
    """Return what categories.yaml has to say, by category.

    It holds more than what deserves an answer by itself: `decision` tells.
    """
    return {name: Answer(each.emotion, each.say) for name, each in load_categories().items() if each.say}
