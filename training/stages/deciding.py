"""By what a checkpoint decides when to speak, chosen on the validation side as the recipe wants it."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from audio_interaction_ros.model.deciding import KINDS, Kind, Threshold, weighed
from training.recipe import FalseResponses, TrainingRecipe

# What happened at a drain, and what should have.
DRAIN = np.dtype(
    [
        ('response', 'f4'),  # P(response) of the language model
        ('deserved', 'f4'),  # P that what sounds deserves a response of this kind, of the event head
        ('follows', '?'),  # the drain before was of the same stream, and for silence
        ('kind', 'i1'),  # what a response would be, as a place in KINDS
        ('warning', 'f4'),  # the event head's probability of the sounds that call for an urgent warning
        ('silent', '?'),  # a response would be false
        ('due', '?'),  # a reply is due
        ('urgent', '?'),  # an urgent one
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

    A table, where the recipe asks for false responses by kind or for a second look, else one threshold. With a table
    goes the event head's share in every kind.
    """
    wanted, shares = recipe.false_responses_per_hour, dict.fromkeys(KINDS, 0.0)
    if recipe.event_head is not None and (isinstance(wanted, FalseResponses) or recipe.second_look):
        shares = recipe.event_head.shares.by_kind
    scores = _both(drains, np.array([shares[kind] for kind in KINDS])[drains['kind']])
    before = np.where(drains['follows'], np.roll(scores, 1), 0.0)
    silent, kinds = drains['silent'], drains['kind']

    def threshold(chosen: np.ndarray, per_hour: float, share: float) -> Threshold:
        found = _threshold(scores[chosen], before[chosen], int(per_hour * hours), recipe.second_look)
        return found.model_copy(update={'event_share': share})

    thresholds: dict[Kind, Threshold] | None = None
    if isinstance(wanted, FalseResponses):
        total = sum(wanted.by_kind.values())
        thresholds = {
            kind: threshold(silent & (kinds == number), wanted.by_kind[kind], shares[kind])
            for number, kind in enumerate(KINDS)
        }
    else:
        total = wanted
        if recipe.second_look:
            thresholds = {kind: threshold(silent, total, shares[kind]) for kind in KINDS}
    one = _rounded(threshold_of(scores[silent], int(total * hours)))
    table = thresholds or dict.fromkeys(KINDS, Threshold(at_once=one, twice=one))
    at_once = np.array([table[kind].at_once for kind in KINDS])
    given = drains['warning'][drains['urgent'] & (scores >= at_once[kinds])]
    return Deciding(
        response_threshold=one,
        thresholds=thresholds,
        warning_agreement=_agreement(given, recipe.warnings_given_up) if recipe.warnings_given_up else 0.0,
    )


def _both(drains: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """P(response) at every drain, float64 [n], as `weighed` computes it with the event head's shares, [n]."""
    rows = zip(drains['response'].tolist(), drains['deserved'].tolist(), shares.tolist(), strict=True)
    return np.array([weighed(*row) for row in rows])


def threshold_of(scores: np.ndarray, allowed: int) -> float:
    """Return the lowest threshold that at most `allowed` scores, float32 [n], reach; 0.5 where they all may."""
    if len(scores) <= allowed:
        return 0.5
    highest = np.sort(scores)[::-1][: allowed + 1]
    # Halfway from the first that must stay silent to the last that may speak, or to certainty.
    above = highest[allowed - 1] if allowed else 1.0
    return float((highest[allowed] + above) / 2)


def _threshold(scores: np.ndarray, before: np.ndarray, allowed: int, second_look: float) -> Threshold:
    """The lowest threshold that so many silences may break, some of them at once and the others on a second look."""
    on_second_look = int(second_look * allowed)
    at_once = _rounded(threshold_of(scores, allowed - on_second_look))
    if not second_look:
        return Threshold(at_once=at_once, twice=at_once)
    unsure = scores < at_once
    twice = _rounded(threshold_of(np.minimum(scores[unsure], before[unsure]), on_second_look))
    return Threshold(at_once=at_once, twice=min(at_once, twice))


def _agreement(given: np.ndarray, given_up: float) -> float:
    """The highest agreement that holds back at most this share of the urgent warnings that would be given."""
    heard = np.sort(given)
    lost = int(given_up * len(heard))
    if lost >= len(heard):
        return 0.0
    below = heard[lost - 1] if lost else 0.0
    return math.floor(1_000 * float(heard[lost] + below) / 2) / 1_000


def _rounded(threshold: float) -> float:
    return round(min(max(threshold, 0.001), 0.999), 3)
