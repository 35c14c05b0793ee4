"""Every procedural sound, placed in the benchmark's taxonomy.

``EXTRA_TYPES`` are those that ``SOUND_TYPES`` lacks: the embedded recipe trains on ``SOUND_TYPES``, so a run that
is resumed must find it unchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import (
    SOUND_TYPES,
    animals,
    appliances,
    handling,
    housework,
    human,
    instruments,
    people,
    places,
    tools,
    traffic,
    vehicles,
    weather,
)
from .synth import SoundType
from .taxonomy import CATEGORY_CRITERIA, place

EXTRA_TYPES: dict[str, SoundType] = {
    kind.name: kind
    for module in (
        human,
        people,
        handling,
        housework,
        appliances,
        tools,
        vehicles,
        traffic,
        weather,
        animals,
        places,
        instruments,
    )
    for kind in module.TYPES
}
ALL_TYPES: dict[str, SoundType] = {name: place(kind) for name, kind in SOUND_TYPES.items()} | EXTRA_TYPES

# Category → criterion i to iv of Figure 15 B, for those that meet one; the rest deserve silence.
CRITERION_OF: dict[str, str] = {
    kind.category: kind.criterion for kind in ALL_TYPES.values() if kind.criterion != 'none'
} | CATEGORY_CRITERIA


def render(name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """One sound of any type of ``ALL_TYPES``, as ``procedural.render`` makes them. Raises ``KeyError``."""
    return ALL_TYPES[name].render(rng)
