"""Turns follow one another as people's do: after a short pause, at times before the other has finished."""

from __future__ import annotations

import numpy as np

from training.scripts.script import Line, Script, Speech
from training.streams import Role

_MEAN_S, _DEVIATION_S, _SHORTEST_S, _LONGEST_S = 0.75, 0.35, -1.5, 2.5
_LEAST_OF_ONE_S = 0.1  # nobody interrupts themselves


def turn_gap_s(rng: np.random.Generator) -> float:
    """Draw a pause between two people's turns in seconds, a clipped Gaussian (ProVoice-Bench §2.2.5).

    A negative one is how long both speak.
    """
    return round(float(np.clip(rng.normal(_MEAN_S, _DEVIATION_S), _SHORTEST_S, _LONGEST_S)), 2)


def with_turn_gaps(script: Script, rng: np.random.Generator) -> Script:
    """Return the script with the pauses between turns drawn anew; those before and after other sounds stay.

    One person's sentences do not overlap, nor does anything a sentence that is answered word by word.
    """
    lines: list[Line] = []
    before: Line | None = None
    for line in script.lines:
        if line.role is Role.FOREGROUND:
            if before is not None and isinstance(before.hear, Speech) and isinstance(line.hear, Speech):
                gap_s = turn_gap_s(rng)
                alone = before.hear.speaker == line.hear.speaker or any(say.due == 'word' for say in before.say)
                line = line.model_copy(update={'gap_s': max(gap_s, _LEAST_OF_ONE_S) if alone else gap_s})
            before = line
        lines.append(line)
    return script.model_copy(update={'lines': tuple(lines)})
