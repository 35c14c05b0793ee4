"""Unlimited procedural sounds with randomised physics: hazards to answer and ordinary sounds to leave alone.

``SOUND_TYPES`` maps names to ``SoundType``; ``render`` makes one sound. Signals are clean and close: rooms,
microphones and background are added by the composer. Signal patterns follow the published standards named
beside each renderer (ISO 8201 and NFPA 72 for evacuation signals, DIN 14610 for German two-tone horns).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import alarms, everyday, glass, impacts, nature, sirens, tones
from .synth import SAMPLE_RATE, SoundType

__all__ = ['SAMPLE_RATE', 'SOUND_TYPES', 'SoundType', 'render']

SOUND_TYPES: dict[str, SoundType] = {
    kind.name: kind for module in (alarms, sirens, glass, impacts, tones, everyday, nature) for kind in module.TYPES
}


def render(name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """One sound of the named type: float32 mono at 16 kHz, 0.6 s to about 8 s, peak in (0, 0.99].

    The same generator state gives the same samples. An unknown name raises ``KeyError``.
    """
    return SOUND_TYPES[name].render(rng)
