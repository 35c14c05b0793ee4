"""Proactive respond: warnings nobody asked for, by the four criteria of Figure 15 B, among sounds to leave alone."""

from __future__ import annotations

import numpy as np

from training.corpus.tasks.script import Script, small_talk
from training.corpus.tasks.shelf import Shelf

CATEGORY = 'proactive respond'


def _script(task: str, criterion: str, shelf: Shelf, rng: np.random.Generator) -> Script:
    lines = [shelf.silent(rng), shelf.warning(rng, criterion), shelf.silent(rng), shelf.warning(rng, criterion)]
    if rng.random() < 0.5:
        lines.insert(int(rng.integers(0, 4)), small_talk(rng))
    if rng.random() < 0.3:  # as often as not there is nothing to warn of for a long time
        del lines[1]
    return Script(category=CATEGORY, task=task, lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def physiological(shelf: Shelf, rng: np.random.Generator) -> Script:
    return _script('physiological', 'i', shelf, rng)


def weather_and_nature(shelf: Shelf, rng: np.random.Generator) -> Script:
    return _script('weather and nature', 'ii', shelf, rng)


def equipment(shelf: Shelf, rng: np.random.Generator) -> Script:
    return _script('equipment', 'iii', shelf, rng)


def hazard(shelf: Shelf, rng: np.random.Generator) -> Script:
    return _script('hazard', 'iv', shelf, rng)
