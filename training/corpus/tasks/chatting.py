"""Voice chatting: facts, remarks, threads, and things to remember; among other people's talk and ordinary sounds."""

from __future__ import annotations

import numpy as np

from training.corpus.tasks.script import Line, Say, Script, Speech, pause_s, pick, small_talk, some, texts
from training.corpus.tasks.shelf import Shelf

CATEGORY = 'voice chatting'


def exchange(said: str, answer: str, rng: np.random.Generator) -> Line:
    """The user says something and is answered when they have finished."""
    return Line(hear=Speech(text=said), say=(Say(text=answer),), gap_s=pause_s(rng, 0.8, 2.0))


def fact(shelf: Shelf, rng: np.random.Generator) -> Script:
    lines = [exchange(row['question'], row['answer'], rng) for row in some(rng, texts()['facts'], 4)]
    lines.insert(int(rng.integers(1, 4)), shelf.silent(rng))
    return Script(category=CATEGORY, task='fact', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def chit_chat(shelf: Shelf, rng: np.random.Generator) -> Script:
    lines = [exchange(row['say'], row['answer'], rng) for row in some(rng, texts()['chit_chat'], 4)]
    lines.insert(int(rng.integers(1, 4)), shelf.silent(rng))
    return Script(category=CATEGORY, task='chit-chat', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def multi_turn(shelf: Shelf, rng: np.random.Generator) -> Script:
    lines = [
        exchange(turn['say'], turn['answer'], rng) for thread in some(rng, texts()['multi_turn'], 2) for turn in thread
    ]
    return Script(category=CATEGORY, task='multi-turn', lines=tuple(lines), aloud=bool(rng.random() < 0.5))


def memory(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Three rounds of something else lie between what is to be remembered and the question."""
    row = pick(rng, texts()['memory'])
    value = pick(rng, row['values'])
    between = [exchange(r['say'], r['answer'], rng) for r in some(rng, texts()['chit_chat'], 3)]
    lines = [
        exchange(row['say'].format(value=value), pick(rng, texts()['acknowledgements']), rng),
        *between,
        exchange(row['question'], row['answer'].format(value=value), rng),
    ]
    if rng.random() < 0.3:
        lines.insert(2, small_talk(rng))
    return Script(category=CATEGORY, task='memory', lines=tuple(lines))
