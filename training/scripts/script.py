"""A script says what a stream will contain, before any sound is made.

It is symbolic, small, and drawn from a seed alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from training.clips.answers import load_answers
from training.streams import Role

Language = Literal['english', 'chinese']
LANGUAGES: dict[str, Literal['en', 'zh']] = {'english': 'en', 'chinese': 'zh'}  # by the names that scripts use


class _Part(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class Speech(_Part):
    """`Speech` is what somebody says.

    `speaker` numbers the voices of a stream, 0 is the user; `far` is somebody at a distance.
    """

    kind: Literal['speech'] = 'speech'
    text: str
    language: Language = 'english'
    speaker: int = 0
    far: bool = False
    clip: str = Field(
        default='',
        description='recording of the library in which exactly this text is said; empty if it is to be rendered',
    )
    credit: tuple[str, str, str] | None = Field(
        default=None, description='source, licence and attribution of a text that others wrote; null for our own'
    )


class Sound(_Part):
    """A `Sound` is a clip of the library, at most `longest_s` (seconds) of it from its first sound on."""

    kind: Literal['sound'] = 'sound'
    clip: str
    longest_s: float = Field(default=4.0, gt=0)


class Say(_Part):
    """A `Say` is a reply to a line.

    It is due when the line is over ('end'), when it can be known ('evidence'), or after its n-th word from zero
    ('word').
    """

    text: str
    emotion: str = 'normal'
    language: Language = 'english'
    due: Literal['end', 'evidence', 'word'] = 'end'
    word: int = Field(
        default=0, ge=0, description='number of the last word that must have been heard, from zero; only for due = word'
    )


class Line(_Part):
    """A `Line` is something to hear and what is to be said about it.

    `gap_s` is the pause before it, in seconds.
    """

    hear: Annotated[Speech | Sound, Field(discriminator='kind')]
    say: tuple[Say, ...] = ()
    role: Role = Role.FOREGROUND
    gap_s: float = 0.0


class Ability(_Part):
    """An `Ability` is what a heterogeneous script turns to at its line number `line`, from zero."""

    category: str
    task: str
    line: int


class Script(_Part):
    """A `Script` is what one stream will contain.

    `instruction` is the text prefix; when it is empty the model's general instruction stands there. `made_by` names
    everybody who had a hand in it: templates, grammar, rules, or a chat model. `abilities` are those that follow one
    another, the first of them `category` and `task`; empty where it is these alone.
    """

    category: str
    task: str
    lines: tuple[Line, ...]
    instruction: str = ''
    aloud: bool = False
    mixed_in: tuple[str, ...] = ()
    made_by: str = 'templates'
    notes: tuple[str, ...] = Field(
        default=(), description='parts that were left out or made by another than meant, and why'
    )

    abilities: tuple[Ability, ...] = ()

    @model_serializer(mode='wrap')
    def _without_what_most_have_not(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that the plans of recipes without heterogeneous streams are those that they were.
        return {name: value for name, value in dump(self).items() if name != 'abilities' or value}

    def utterances(self) -> list[Speech]:
        """Return everything that must be rendered as speech."""
        return [line.hear for line in self.lines if isinstance(line.hear, Speech) and not line.hear.clip]


@dataclass(frozen=True)
class Texts:
    """`Texts` are what people say and what is said back, in the shapes of texts.yaml.

    `made_by` names who wrote them.
    """

    rows: dict[str, Any]
    made_by: str

    def __getitem__(self, kind: str) -> Any:
        return self.rows[kind]


@functools.cache
def texts() -> Texts:
    """Return the templates: texts.yaml beside this file."""
    return Texts(yaml.safe_load((Path(__file__).parent / 'texts.yaml').read_text()), 'templates')


@functools.cache
def taxonomy() -> dict[str, dict[str, dict[str, Any]]]:
    """Return tasks.yaml beside this file: category → sub-task → definition, example, generator."""
    return yaml.safe_load((Path(__file__).parent / 'tasks.yaml').read_text())


def pick(rng: np.random.Generator, options: Any) -> Any:
    """Return one of a sequence, each as likely as another."""
    return options[int(rng.integers(len(options)))]


def some(rng: np.random.Generator, options: Any, count: int) -> list[Any]:
    """Return `count` different ones of a sequence, in random order; all of them if there are fewer."""
    order = rng.permutation(len(options))[:count]
    return [options[int(index)] for index in order]


def pause_s(rng: np.random.Generator, shortest: float = 0.3, longest: float = 1.5) -> float:
    """Return a pause between lines in seconds, in whole hundredths so that scripts read well."""
    return round(float(rng.uniform(shortest, longest)), 2)


def instructed(texts: Texts, task: str, rng: np.random.Generator, **what: str) -> tuple[str, list[Line]]:
    """Return how a task is asked for: (text prefix, lines), one of them empty.

    A spoken request is confirmed.
    """
    row = texts['instructions'][task]
    request = pick(rng, row['ask']).format(**what)
    if rng.random() < 0.5:
        return request, []
    say = Say(text=row['confirm'].format(**what))
    return '', [Line(hear=Speech(text=request), say=(say,), gap_s=pause_s(rng, 0.1, 0.8))]


def warning(category: str, rng: np.random.Generator) -> Say:
    """Return what is said about a hazard, due as soon as it can be known.

    Raises KeyError for a category that nothing is said about.
    """
    answer = load_answers()[category]
    return Say(text=pick(rng, answer.sentences), emotion=answer.emotion, due='evidence')


def small_talk(texts: Texts, rng: np.random.Generator, speaker: int = 1) -> Line:
    """Return a line in which somebody says something that is not meant for the assistant."""
    text = pick(rng, texts['small_talk'])
    return Line(hear=Speech(text=text, speaker=speaker, far=bool(rng.random() < 0.5)), gap_s=pause_s(rng))
