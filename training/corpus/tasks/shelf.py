"""The clips of one side of the split, found by what a script needs."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from training.corpus.library import Library, LibraryClip, LibraryError, of_split
from training.corpus.sounds import load_answers
from training.corpus.tasks.scenes import Scenes
from training.corpus.tasks.script import Line, Sound, pause_s, pick, warning

SHORTEST_S = 0.25


class Shelf:
    """Draws clips by category first, so that a category with many clips is not heard more than another."""

    def __init__(self, library: Library, split: str) -> None:
        self.library = library
        self.split = split
        self._scenes: Scenes | None = None
        self._by: dict[tuple[str, str], dict[str, list[LibraryClip]]] = defaultdict(lambda: defaultdict(list))
        answered = load_answers()
        for clip in of_split(library.clips, split):
            if library.duration_s(clip.id) < SHORTEST_S:
                continue
            if clip.kind in ('event', 'music'):
                self._by['sound', 'any'][clip.category].append(clip)
            if clip.kind == 'event' and clip.respond is False:
                self._by['event', 'silent'][clip.category].append(clip)
            if clip.respond and clip.category in answered:
                self._by['event', 'respond'][clip.category].append(clip)
                self._by['criterion', clip.criterion][clip.category].append(clip)
            for tag in clip.tags:
                self._by['tag', tag][clip.category].append(clip)
            self._by['kind', clip.kind][clip.category].append(clip)

    def categories(self, key: str, value: str) -> list[str]:
        """The categories that have clips of this sort, sorted."""
        return sorted(self._by.get((key, value), {}))

    def draw(self, rng: np.random.Generator, key: str, value: str, category: str | None = None) -> LibraryClip:
        """A clip of this sort. Raises LibraryError where the split has none."""
        groups = self._by.get((key, value), {})
        names = [category] if category else sorted(groups)
        if not names or names[0] not in groups:
            wanted = f"{key} '{value}'" + (f" of category '{category}'" if category else '')
            raise LibraryError(
                f'the {self.split} side of the library has no {wanted}; add such clips or another source'
            )
        return pick(rng, groups[pick(rng, names)])

    def scene(self, rng: np.random.Generator, foregrounds: int) -> tuple[list[Line], str]:
        """A coherent scene, and who planned it."""
        if self._scenes is None:  # its index takes a second to make
            kept = [c for kind in ('event', 'music') for group in self._by['kind', kind].values() for c in group]
            self._scenes = Scenes(self.library, kept)
        return self._scenes.draw(rng, foregrounds)

    def silent(self, rng: np.random.Generator, longest_s: float = 3.0) -> Line:
        """An ordinary sound that deserves no word."""
        clip = self.draw(rng, 'event', 'silent')
        return Line(hear=Sound(clip=clip.id, longest_s=longest_s), gap_s=pause_s(rng))

    def warning(self, rng: np.random.Generator, criterion: str | None = None) -> Line:
        """A sound that deserves a warning, and the warning."""
        key, value = ('criterion', criterion) if criterion else ('event', 'respond')
        clip = self.draw(rng, key, value)
        return Line(hear=Sound(clip=clip.id), say=(warning(clip.category, rng),), gap_s=pause_s(rng))


def named(category: str) -> str:
    """A category as the embedded model names it."""
    return f'I hear: {category}.'


_NUMBERS = (
    'no',
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
    'ten',
    'eleven',
    'twelve',
)


def counted(count: int) -> str:
    """A small count in words."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
