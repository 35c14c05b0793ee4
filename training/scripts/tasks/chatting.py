"""These generators write voice chatting: facts, remarks, threads, and things to remember.

Other people's talk and ordinary sounds lie among them.
"""

from __future__ import annotations

import numpy as np

from training.scripts.script import Language, Line, Say, Script, Speech, pause_s, pick, small_talk, some
from training.scripts.shelf import Shelf
from training.sources.text import Dialogue

CATEGORY = 'voice chatting'


def exchange(said: str, answer: str, rng: np.random.Generator) -> Line:
    """Return a line in which the user says something and is answered when they have finished."""
    return Line(hear=Speech(text=said), say=(Say(text=answer),), gap_s=pause_s(rng, 0.8, 2.0))


def written(shelf: Shelf, rng: np.random.Generator, several: bool) -> list[Line]:
    """Return, half the time and where the corpus has text sources, the rounds of one of their dialogues.

    Else the list is empty.
    """
    dialogue = shelf.dialogue(rng, several)
    return [] if dialogue is None else _rounds(dialogue, rng)


def _rounds(dialogue: Dialogue, rng: np.random.Generator) -> list[Line]:
    language: Language = 'chinese' if dialogue.language == 'zh' else 'english'
    credit = (dialogue.source, dialogue.licence, dialogue.attribution)
    return [
        Line(
            hear=Speech(text=asked.text, language=language, credit=credit),
            say=(Say(text=answered.text, language=language),),
            gap_s=pause_s(rng, 0.8, 2.0),
        )
        for asked, answered in zip(dialogue.turns[0::2], dialogue.turns[1::2], strict=True)
    ]


def fact(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of questions of fact and their answers, with an ordinary sound among them."""
    lines = []
    for row in some(rng, shelf.texts['facts'], 4):
        lines += written(shelf, rng, several=False) or [exchange(row['question'], row['answer'], rng)]
    lines.insert(int(rng.integers(1, 4)), shelf.silent(rng))
    return Script(category=CATEGORY, task='fact', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def chit_chat(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of remarks and friendly replies, with an ordinary sound among them."""
    lines = []
    for row in some(rng, shelf.texts['chit_chat'], 4):
        remark = shelf.remark(rng)
        lines += _rounds(remark, rng) if remark else [exchange(row['say'], row['answer'], rng)]
    lines.insert(int(rng.integers(1, 4)), shelf.silent(rng))
    return Script(category=CATEGORY, task='chit-chat', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def multi_turn(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of two threads, in which each turn needs the one before."""
    lines = []
    for thread in some(rng, shelf.texts['multi_turn'], 2):
        ours = [exchange(turn['say'], turn['answer'], rng) for turn in thread]
        lines += written(shelf, rng, several=True) or ours
    return Script(category=CATEGORY, task='multi-turn', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def memory(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script that asks for something told earlier.

    Three rounds of something else lie between what is to be remembered and the question.
    """
    row = pick(rng, shelf.texts['memory'])
    value = pick(rng, row['values'])
    between = [exchange(r['say'], r['answer'], rng) for r in some(rng, shelf.texts['chit_chat'], 3)]
    lines = [
        exchange(row['say'].format(value=value), row['confirm'].format(value=value), rng),
        *between,
        exchange(row['question'], row['answer'].format(value=value), rng),
    ]
    if rng.random() < 0.3:
        lines.insert(2, small_talk(shelf.texts, rng))
    return Script(category=CATEGORY, task='memory', lines=tuple(lines))
