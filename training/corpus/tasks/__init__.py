"""Scripts for the seven abilities and twenty-eight sub-tasks of tasks.yaml, and what is mixed in (§3.3, Table 11)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from training.corpus.tasks.script import Line, Say, Script, Speech, pause_s, taxonomy
from training.corpus.tasks.shelf import Shelf

HISTORY_ROUNDS = 3  # a history question asks about something at least this many rounds back (Figure 15 A)


class MixIns(BaseModel):
    """Probabilities of Table 11, stage 4."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    history_review: float = Field(default=0.30, ge=0, le=1)
    silent: float = Field(default=0.40, ge=0, le=1)
    proactive: float = Field(default=0.30, ge=0, le=1)


def all_tasks() -> list[tuple[str, str]]:
    """(category, sub-task), in the order of tasks.yaml."""
    return [(category, task) for category, tasks in taxonomy().items() for task in tasks]


def generator(category: str, task: str) -> Callable[[Shelf, np.random.Generator], Script]:
    """The function that tasks.yaml names for a sub-task."""
    module, name = taxonomy()[category][task]['generator'].split('.')
    return getattr(importlib.import_module(f'{__name__}.{module}'), name)


def write_script(category: str, task: str, shelf: Shelf, mix_ins: MixIns, rng: np.random.Generator) -> Script:
    """A script with its mix-ins: an ordinary sound to stay silent at, a warning, a question about what was long ago."""
    script = generator(category, task)(shelf, rng)
    lines, mixed = list(script.lines), []
    proactive = category == 'proactive respond'
    if rng.random() < mix_ins.silent:
        lines.insert(int(rng.integers(1, len(lines) + 1)), shelf.silent(rng, 2.0))
        mixed.append('silent')
    if rng.random() < mix_ins.proactive and not proactive and shelf.categories('event', 'respond'):
        lines.insert(int(rng.integers(1, len(lines) + 1)), shelf.warning(rng))
        mixed.append('proactive')
    if rng.random() < mix_ins.history_review and (question := history_question(lines, rng)):
        lines.append(question)
        mixed.append('history review')
    return script.model_copy(update={'lines': tuple(lines), 'mixed_in': tuple(mixed)})


def history_question(lines: list[Line], rng: np.random.Generator) -> Line | None:
    """A question that only somebody who kept track can answer, or None where the stream has too few rounds.

    What is asked for is the reply that stands first: from common knowledge or the last two rounds it cannot be known.
    """
    replies = [line.say[0] for line in lines if line.say]
    if len(replies) <= HISTORY_ROUNDS or any(line.say and line.say[0].due == 'word' for line in lines):
        return None
    answer = replies[0]
    question = Speech(text='What was the first thing you said?')
    say = Say(text=answer.text, emotion=answer.emotion, language=answer.language)
    return Line(hear=question, say=(say,), gap_s=pause_s(rng, 0.8, 1.6))
