"""What a checkpoint says about deciding: the sounds that its event head names, and what each kind of response takes."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from audio_interaction_ros.model.network import EventHead

# What a response would be: a warning of danger; another remark that nobody asked for, on a doorbell or a sneeze; or
# what was asked for, by an instruction or by somebody who speaks to the robot.
Kind = Literal['warning', 'remark', 'asked']
KINDS: tuple[Kind, ...] = get_args(Kind)
SPEECH = 'speech'  # the class of people who talk, in whatever words
_LEAST = 1e-5


class EventClasses(BaseModel):
    """`EventClasses` are the sounds that the event head tells apart, in the order of its outputs from 1 on; 0 is none.

    `warnings` are those of them that call for an urgent warning, `remarks` those that call for another remark.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    names: tuple[str, ...] = Field(min_length=1)
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @model_validator(mode='after')
    def _each_once(self) -> EventClasses:
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise ValueError(f'the event classes name {twice[0]} twice; give each class once')
        if unknown := sorted({*self.warnings, *self.remarks} - set(self.names)):
            raise ValueError(
                f'the event classes have no {unknown[0]}, which is among their warnings or remarks; '
                'name it there, or take it out here'
            )
        if both := sorted(set(self.warnings) & set(self.remarks)):
            raise ValueError(f'{both[0]} is among the warnings and among the remarks; give it one kind')
        return self


class Threshold(BaseModel):
    """A `Threshold` is the P(response) from which on one kind of response is given.

    `at_once` is enough by itself, `twice` where the decision before reached it too. `event_share`: how much of the
    log-odds that reach it are the event head's, and not the language model's.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    at_once: float = Field(gt=0, lt=1)
    twice: float = Field(gt=0, lt=1)
    event_share: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode='after')
    def _twice_is_easier(self) -> Threshold:
        if self.twice > self.at_once:
            raise ValueError(f'twice is {self.twice} and at_once {self.at_once}; give twice at most at_once')
        return self


class Sounding:
    """A `Sounding` is what the event head hears at the end of a chunk: a probability for each class and for none."""

    def __init__(self, classes: EventClasses, probabilities: Tensor) -> None:
        """Take the probabilities, float32 [1 + classes], that of nothing first."""
        self._classes, self.probabilities = classes, probabilities
        named = dict(zip(classes.names, probabilities[1:].tolist(), strict=True))
        self.warning = sum(named[name] for name in classes.warnings)
        self._remark = sum(named[name] for name in classes.remarks)
        self._may_be_asked = 1.0 - sum(named.values()) + self.warning + self._remark + named.get(SPEECH, 0.0)

    @classmethod
    def of(cls, classes: EventClasses, head: EventHead, summaries: Tensor) -> Sounding:
        """Return what is heard after the last of some chunks, `EventHead.summary` of each, [chunks, 2 × width]."""
        return cls(classes, head(head.pooled(summaries)).float().softmax(0).cpu())

    @property
    def likeliest(self) -> str | None:
        """Return the most probable class, None where that is nothing."""
        number = int(self.probabilities.argmax())
        return self._classes.names[number - 1] if number else None

    @property
    def kind(self) -> Kind:
        """Return what a response would be: to the sounds that call for one together, or to what was asked."""
        of_kind: dict[Kind, float] = {'warning': self.warning, 'remark': self._remark}
        of_kind['asked'] = 1.0 - sum(of_kind.values())
        return max(KINDS, key=lambda kind: of_kind[kind])

    def deserves(self, kind: Kind) -> float:
        """Return how probable it is that what sounds deserves a response of a kind.

        One that nobody asked for needs a sound that calls for it; what was asked for, that the newest to be heard is
        anything but an ordinary sound.
        """
        return self._may_be_asked if kind == 'asked' else self.warning + self._remark


def kind_of_response(sounding: Sounding | None, instructed: bool) -> Kind:
    """Return what a response would be.

    A danger is warned of whatever was asked for; where an instruction is to be followed (`instructed`), all else is
    what it asks for.
    """
    kind = 'asked' if sounding is None else sounding.kind
    return 'asked' if instructed and kind == 'remark' else kind


def weighed(probability: float, deserved: float, share: float) -> float:
    """Return P(response) by both: the log-odds of the language model's, and `share` of them those that it is deserved.

    Bounded away from 0 and 1, which no evidence could outweigh.
    """
    if not share:
        return probability
    return 1 / (1 + math.exp(-((1 - share) * _log_odds(probability) + share * _log_odds(deserved))))


def _log_odds(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))
