"""These generators write warnings that nobody asked for, among sounds to leave alone (criteria of Figure 15 B)."""

from __future__ import annotations

import numpy as np

from training.scripts.script import Script, small_talk
from training.scripts.shelf import Shelf

CATEGORY = 'proactive respond'
_UNEVENTFUL_SHARE = 0.25  # else every stream without an instruction holds a hazard, and that too is learnt


def _script(task: str, criterion: str, shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return an everyday scene, busy or quiet; into most a hazard breaks at any moment.

    The first hazard meets the criterion, a second any.
    """
    hazards = 0 if rng.random() < _UNEVENTFUL_SHARE else int(rng.integers(1, 3))
    scene = shelf.scene(rng, foregrounds=int(rng.integers(0 if hazards else 1, 4)))
    lines = list(scene.lines)
    for wanted in (criterion, None)[:hazards]:
        lines.insert(int(rng.integers(len(lines) + 1)), shelf.warning(rng, wanted))
    for _ in range(int(rng.integers(3))):  # from anywhere: a robot moves, and a scene's sounds give away its place
        lines.insert(int(rng.integers(len(lines) + 1)), shelf.in_the_background(rng))
    if rng.random() < 0.5:
        lines.insert(int(rng.integers(len(lines) + 1)), small_talk(shelf.texts, rng))
    aloud = bool(rng.random() < 0.5)
    return Script(
        category=CATEGORY, task=task, lines=tuple(lines), aloud=aloud, made_by=scene.made_by, notes=scene.notes
    )


def physiological(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script with warnings by criterion i: somebody's body is in distress."""
    return _script('physiological', 'i', shelf, rng)


def weather_and_nature(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script with warnings by criterion ii: severe weather and natural hazards."""
    return _script('weather and nature', 'ii', shelf, rng)


def equipment(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script with warnings by criterion iii: damage to equipment, and fire."""
    return _script('equipment', 'iii', shelf, rng)


def hazard(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script with warnings by criterion iv: danger in the surroundings."""
    return _script('hazard', 'iv', shelf, rng)
