"""What a checkpoint says about deciding: the sounds that its event head names, and what each kind of response takes."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

# What a response would be: a warning of danger; another remark that nobody asked for, on a doorbell or a sneeze; or
# what was asked for, by an instruction or by somebody who speaks to the robot.
Kind = Literal['warning', 'remark', 'asked']
KINDS: tuple[Kind, ...] = get_args(Kind)


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

    def kind_of(self, name: str | None) -> Kind:
        """Return what a response would be while a sound is heard, None for no sound."""
        return 'warning' if name in self.warnings else 'remark' if name in self.remarks else 'asked'


class Threshold(BaseModel):
    """A `Threshold` is the P(response) from which on one kind of response is given.

    `at_once` is enough by itself, `twice` where the decision before reached it too.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    at_once: float = Field(gt=0, lt=1)
    twice: float = Field(gt=0, lt=1)

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

    @classmethod
    def of_logits(cls, classes: EventClasses, logits: Tensor) -> Sounding:
        """Return what is heard by an engine's logits at one position, of which the event head's are the last."""
        return cls(classes, logits[-1 - len(classes.names) :].softmax(0).cpu())

    @property
    def likeliest(self) -> str | None:
        """Return the most probable class, None where that is nothing."""
        number = int(self.probabilities.argmax())
        return self._classes.names[number - 1] if number else None

    @property
    def kind(self) -> Kind:
        """Return what a response to the most probable class would be."""
        return self._classes.kind_of(self.likeliest)

    @property
    def warning(self) -> float:
        """Return how probable it is that something sounds that calls for an urgent warning."""
        named = zip(self._classes.names, self.probabilities[1:].tolist(), strict=True)
        return sum(probability for name, probability in named if name in self._classes.warnings)


def kind_of_response(sounding: Sounding | None, instructed: bool) -> Kind:
    """Return what a response would be.

    A danger is warned of whatever was asked for; where an instruction is to be followed (`instructed`), all else is
    what it asks for.
    """
    kind = 'asked' if sounding is None else sounding.kind
    return 'asked' if instructed and kind == 'remark' else kind
