"""How something is said: faster or slower, higher or lower, by the emotion tag that the model put before it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """A `Manner` has a speaking rate, 1 being the engine's own, and a pitch from −1 to 1, 0 being the voice's own."""

    rate: float = 1.0
    pitch: float = 0.0


# The tags of the released model. Small steps: a voice that acts is harder to understand, and an urgent one must be.
_OF_EMOTION = {
    'happy': Manner(1.05, 0.2),
    'sad': Manner(0.9, -0.2),
    'angry': Manner(1.05, -0.1),
    'surprise': Manner(1.05, 0.3),
    'urgent': Manner(1.15, 0.2),
}


def manner_of(emotion: str, rate: float = 1.0) -> Manner:
    """Return the manner of an emotion tag at a speaking rate; one that is not known is said as 'normal' is."""
    own = _OF_EMOTION.get(emotion, Manner())
    return Manner(own.rate * rate, own.pitch)
