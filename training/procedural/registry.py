"""Every procedural sound by name, placed in the benchmark's taxonomy.

`SOUND_TYPES` are what stage 0 trains on: a run that is resumed must find them unchanged. `ALL_TYPES` holds these
and all that came later. Signals are clean and close: rooms, microphones and background are added by the mix. Signal
patterns follow the published standards named beside each renderer (ISO 8201 and NFPA 72 for evacuation signals, DIN
14610 for German two-tone horns).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.alarms import fire_alarms as alarms
from training.procedural.alarms import public_places as places
from training.procedural.alarms import sirens, traffic
from training.procedural.home import appliances, everyday, glass, handling, housework, impacts
from training.procedural.machines import tools, vehicles
from training.procedural.music import instruments, tones
from training.procedural.nature import animals, weather
from training.procedural.nature import outdoors as nature
from training.procedural.people import crowds as people
from training.procedural.people import human
from training.procedural.synth import SoundType
from training.procedural.taxonomy import CATEGORY_CRITERIA, place

SOUND_TYPES: dict[str, SoundType] = {
    kind.name: kind for module in (alarms, sirens, glass, impacts, tones, everyday, nature) for kind in module.TYPES
}


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
    """Return one sound of the named type: float32 [n], mono at 16 kHz, 0.6 s to about 8 s, peak in (0, 0.99].

    The same generator state gives the same samples. Raises KeyError for an unknown name.
    """
    return ALL_TYPES[name].render(rng)
