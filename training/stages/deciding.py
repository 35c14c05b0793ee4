"""By what a checkpoint decides when to speak, chosen on the validation side as the recipe wants it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from audio_interaction_ros.model.deciding import KINDS, Kind, Threshold
from training.recipe import FalseResponses, TrainingRecipe

# What happened at a drain, and what should have.
DRAIN = np.dtype(
    [
        ('response', 'f4'),  # P(response)
        ('before', 'f4'),  # that of the drain before; 0 at the start of a stream and after a reply
        ('kind', 'i1'),  # what a response would be, as a place in KINDS
        ('warning', 'f4'),  # the event head's probability of the sounds that call for an urgent warning
        ('silent', '?'),  # a response would be false
        ('urgent', '?'),  # an urgent reply is due
    ]
)


class Deciding(BaseModel):
    """A `Deciding` holds those of a checkpoint's streaming defaults that decide when it speaks, under their names."""

    model_config = ConfigDict(frozen=True)

    response_threshold: float = 0.5
    thresholds: dict[Kind, Threshold] | None = None
    warning_agreement: float = 0.0


def choose(drains: np.ndarray, hours: float, recipe: TrainingRecipe) -> Deciding:
    """Return by what to decide, given every drain of the validation side, DRAIN [n], in so many hours of sound.

    A table, where the recipe asks for false responses by kind or for a second look, else one threshold.
    """
    wanted, silent = recipe.false_responses_per_hour, drains[drains['silent']]
    thresholds: dict[Kind, Threshold] | None = None
    if isinstance(wanted, FalseResponses):
        total = sum(wanted.by_kind.values())
        thresholds = {
            kind: _threshold(silent[silent['kind'] == number], int(wanted.by_kind[kind] * hours), recipe.second_look)
            for number, kind in enumerate(KINDS)
        }
    else:
        total = wanted
        if recipe.second_look:
            thresholds = dict.fromkeys(KINDS, _threshold(silent, int(total * hours), recipe.second_look))
    one = _rounded(threshold_of(silent['response'], int(total * hours)))
    table = thresholds or dict.fromkeys(KINDS, Threshold(at_once=one, twice=one))
    return Deciding(
        response_threshold=one,
        thresholds=thresholds,
        warning_agreement=_agreement(drains, table, recipe.warnings_given_up) if recipe.warnings_given_up else 0.0,
    )


def threshold_of(scores: np.ndarray, allowed: int) -> float:
    """Return the lowest threshold that at most `allowed` scores, float32 [n], reach; 0.5 where they all may."""
    if len(scores) <= allowed:
        return 0.5
    highest = np.sort(scores)[::-1][: allowed + 1]
    # Halfway from the first that must stay silent to the last that may speak, or to certainty.
    above = highest[allowed - 1] if allowed else 1.0
    return float((highest[allowed] + above) / 2)


def _threshold(silent: np.ndarray, allowed: int, second_look: float) -> Threshold:
    """The lowest threshold that so many silences may break, some of them at once and the others on a second look."""
    on_second_look = int(second_look * allowed)
    at_once = _rounded(threshold_of(silent['response'], allowed - on_second_look))
    if not second_look:
        return Threshold(at_once=at_once, twice=at_once)
    unsure = silent[silent['response'] < at_once]
    twice = _rounded(threshold_of(np.minimum(unsure['response'], unsure['before']), on_second_look))
    return Threshold(at_once=at_once, twice=min(at_once, twice))


def _agreement(drains: np.ndarray, table: Mapping[Kind, Threshold], given_up: float) -> float:
    """The highest agreement that holds back at most this share of the urgent warnings that would be given."""
    at_once = np.array([table[kind].at_once for kind in KINDS])
    given = drains[drains['urgent'] & (drains['response'] >= at_once[drains['kind']])]
    heard = np.sort(given['warning'])
    lost = int(given_up * len(heard))
    if lost >= len(heard):
        return 0.0
    below = heard[lost - 1] if lost else 0.0
    return math.floor(1_000 * float(heard[lost] + below) / 2) / 1_000


def _rounded(threshold: float) -> float:
    return round(min(max(threshold, 0.001), 0.999), 3)
