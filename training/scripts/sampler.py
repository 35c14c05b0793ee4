"""The sampler writes scripts for the seven abilities and 28 sub-tasks of tasks.yaml, with mix-ins (§3.3, Table 11)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from training.scenes.audit import Label
from training.scenes.review import HistoryQuestion, Round
from training.scripts.script import Line, Say, Script, Sound, Speech, pause_s, taxonomy, texts
from training.scripts.shelf import Shelf, is_musical
from training.streams import Role


class MixIns(BaseModel):
    """`MixIns` are the probabilities of what is mixed into a script (Table 11, stage 4).

    Each is the chance that a script gets a question about its history, an ordinary sound to stay silent at, or a
    warning. `ordinary` is the chance that a stream in which nobody gave an instruction gets a recorded voice, music or
    footsteps in its foreground, which deserve no word.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    history_review: float = Field(default=0.30, ge=0, le=1)
    silent: float = Field(default=0.40, ge=0, le=1)
    proactive: float = Field(default=0.30, ge=0, le=1)
    ordinary: float = Field(default=0.0, ge=0, le=1)


_SCENES_TRIED = 3  # for one of which the library has a layer that fits
_UNINSTRUCTED = frozenset({'proactive respond', 'voice chatting'})  # the abilities that nobody has asked for


def all_tasks() -> list[tuple[str, str]]:
    """Return (category, sub-task) pairs, in the order of tasks.yaml."""
    return [(category, task) for category, tasks in taxonomy().items() for task in tasks]


def generator(category: str, task: str) -> Callable[[Shelf, np.random.Generator], Script]:
    """Return the function that tasks.yaml names for a sub-task."""
    module, name = taxonomy()[category][task]['generator'].split('.')
    return getattr(importlib.import_module(f'training.scripts.tasks.{module}'), name)


def write_script(category: str, task: str, shelf: Shelf, mix_ins: MixIns, rng: np.random.Generator) -> Script:
    """Return a script of a sub-task with its mix-ins.

    They are an ordinary sound to stay silent at, a warning, and a question about what was long ago (§3.3, Table 11).
    """
    shelf = shelf.with_texts(rng)
    return with_mix_ins(generator(category, task)(shelf, rng), shelf, mix_ins, rng)


def with_mix_ins(script: Script, shelf: Shelf, mix_ins: MixIns, rng: np.random.Generator) -> Script:
    """Return a script with its mix-ins, which come at any place after its first line."""
    lines, mixed, notes = _Lines(script), [], list(script.notes)
    authors = [script.made_by]
    categories = {script.category, *(ability.category for ability in script.abilities)}
    if script.utterances() and shelf.texts is not texts():
        authors = [*({script.made_by} - {texts().made_by}), shelf.texts.made_by]
    proactive = 'proactive respond' in categories
    if rng.random() < mix_ins.silent:
        place = int(rng.integers(1, len(lines) + 1))
        silent = shelf.silent(rng, 2.0)
        assert isinstance(silent.hear, Sound)
        adjacent = (_heard(lines[place - 1], shelf), _heard(lines[place], shelf) if place < len(lines) else '')
        audit = shelf.curators.audit(shelf.info(silent.hear.clip), '', adjacent, notes)
        if audit.label is Label.SILENT:
            lines.insert(place, silent)
            mixed.append('silent')
            authors.append(audit.made_by)
        else:
            notes.append(f'silent mix-in left out, {audit.label.value} by {audit.made_by}: {audit.reason}')
    # Drawn only where the recipe asks for it, so that other recipes keep their streams.
    wanted = mix_ins.ordinary and categories <= _UNINSTRUCTED and rng.random() < mix_ins.ordinary
    if wanted and (ordinary := shelf.ordinary(rng)):
        lines.insert(int(rng.integers(1, len(lines) + 1)), ordinary)
        mixed.append('ordinary')
    if rng.random() < mix_ins.proactive and not proactive and shelf.categories('event', 'respond'):
        lines.insert(int(rng.integers(1, len(lines) + 1)), shelf.warning(rng))
        mixed.append('proactive')
    if rng.random() < mix_ins.history_review:
        rounds = _rounds(lines, shelf)
        if question := shelf.curators.question(list(rounds.values()), rng, notes):
            lines.append(_asked(question, lines[list(rounds)[question.reference_turn_idx]], rng))
            mixed.append('history review')
            authors.append(question.made_by)
    return script.model_copy(
        update={
            'lines': tuple(lines),
            'abilities': lines.abilities,
            'mixed_in': tuple(mixed),
            'made_by': ', '.join(dict.fromkeys(authors)),
            'notes': tuple(notes),
        }
    )


def with_layers(script: Script, shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script with the ambient and background sounds of a scene beneath it (paper B.4), where it has none.

    None of them is of a category that is heard in its foreground, and so perhaps asked for; nor music beneath a script
    that follows music.
    """
    if any(line.role is not Role.FOREGROUND for line in script.lines):
        return script
    asked = {shelf.clip(line.hear.clip).category for line in script.lines if isinstance(line.hear, Sound)}
    musical = 'following music' in {script.category, *(ability.category for ability in script.abilities)}

    def fits(line: Line) -> bool:
        assert isinstance(line.hear, Sound)
        clip = shelf.clip(line.hear.clip)
        return clip.category not in asked and not (musical and is_musical(clip))

    for _ in range(_SCENES_TRIED):
        scene = shelf.layers(rng)
        if layers := tuple(line for line in scene.lines if fits(line)):
            break
    else:
        return script
    authors = ', '.join(dict.fromkeys((*script.made_by.split(', '), scene.made_by)))
    # At the end, so that the places where abilities begin stay; a layer has no place in the row.
    return script.model_copy(
        update={'lines': (*script.lines, *layers), 'made_by': authors, 'notes': (*script.notes, *scene.notes)}
    )


class _Lines(list[Line]):
    """`_Lines` are those of a script, and know still where each ability begins when something is put in between."""

    def __init__(self, script: Script) -> None:
        super().__init__(script.lines)
        self.abilities = script.abilities

    def insert(self, place: SupportsIndex, line: Line) -> None:
        super().insert(place, line)
        self.abilities = tuple(
            ability.model_copy(update={'line': ability.line + (ability.line >= int(place))})
            for ability in self.abilities
        )


def _rounds(lines: list[Line], shelf: Shelf) -> dict[int, Round]:
    """Return index of a line → the round that it is; none at all where replies come word by word."""
    if any(say.due == 'word' for line in lines for say in line.say):
        return {}
    return {
        index: Round(
            heard=_heard(line, shelf),
            # A tool call is not said.
            said=' '.join(say.text for say in line.say if not say.text.startswith('{')),
            sound=shelf.phrase(line.hear.clip) if isinstance(line.hear, Sound) and not _said(line, shelf) else '',
        )
        for index, line in enumerate(lines)
        if line.role is Role.FOREGROUND
    }


def _said(line: Line, shelf: Shelf) -> str:
    """Return the words of speech, rendered or recorded; empty for another sound."""
    return line.hear.text if isinstance(line.hear, Speech) else shelf.clip(line.hear.clip).text


def _heard(line: Line, shelf: Shelf) -> str:
    return _said(line, shelf) or (shelf.phrase(line.hear.clip) if isinstance(line.hear, Sound) else '')


def _asked(question: HistoryQuestion, about: Line, rng: np.random.Generator) -> Line:
    """Return the line that asks a history question; its answer keeps its language, but is no longer urgent."""
    answer = question.reference_answer
    same = next((say for say in about.say if say.text == answer), Say(text=answer))
    say = Say(text=answer, language=same.language)
    return Line(hear=Speech(text=question.question), say=(say,), gap_s=pause_s(rng, 0.8, 1.6))
