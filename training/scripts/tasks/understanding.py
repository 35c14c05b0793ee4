"""These generators have sounds described, counted and compared, and ask when they were heard."""

from __future__ import annotations

import numpy as np

from training.scripts.script import Line, Say, Script, Sound, Speech, instructed, pause_s, pick, some
from training.scripts.shelf import Shelf, counted, named

CATEGORY = 'streaming audio understanding'
_ORDINALS = ('first', 'second', 'third')


def describe(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of different sounds, each named as soon as it can be known."""
    prefix, lines = instructed(shelf.texts, 'describe', rng)
    for category in some(rng, shelf.categories('sound', 'any'), 5):
        clip = shelf.draw(rng, 'sound', 'any', category)
        say = (Say(text=named(category), due='evidence'),)
        lines.append(Line(hear=Sound(clip=clip.id, longest_s=3.0), say=say, gap_s=pause_s(rng, 0.4, 1.5)))
    return Script(category=CATEGORY, task='describe', lines=tuple(lines), instruction=prefix)


def count(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script that repeats one clip and asks how often it was heard.

    The repetitions are less than a second apart; the question comes when they are over.
    """
    clip = shelf.draw(rng, 'tag', 'short')
    prefix, lines = instructed(shelf.texts, 'count', rng, what=clip.category)
    times = int(rng.integers(2, 6))
    sound = Sound(clip=clip.id, longest_s=1.0)
    for number in range(times):
        lines.append(Line(hear=sound, gap_s=pause_s(rng, 1.0, 2.0) if number == 0 else pause_s(rng, 0.4, 0.9)))
    question = Speech(text='How many was that?')
    say = (Say(text=f'{counted(times)} times.'.capitalize()),)
    lines.append(Line(hear=question, say=say, gap_s=pause_s(rng, 0.8, 1.5)))
    return Script(category=CATEGORY, task='count', lines=tuple(lines), instruction=prefix)


def compare(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script that asks which of two continuous sounds lasted longer.

    Their lengths differ by a factor of two or more.
    """
    prefix, lines = instructed(shelf.texts, 'compare', rng)
    for _ in range(2):
        short, long = float(rng.uniform(0.6, 1.0)), float(rng.uniform(2.2, 3.0))
        first_longer = bool(rng.random() < 0.5)
        lengths = (long, short) if first_longer else (short, long)
        answer = f'The {"first" if first_longer else "second"} one lasted longer.'
        for number, length in enumerate(lengths):
            clip = shelf.draw(rng, 'tag', 'steady')
            line = Line(hear=Sound(clip=clip.id, longest_s=round(length, 2)), gap_s=pause_s(rng, 0.8, 1.5))
            lines.append(line.model_copy(update={'say': (Say(text=answer),)}) if number else line)
    return Script(category=CATEGORY, task='compare', lines=tuple(lines), instruction=prefix)


def locate_in_time(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of three sounds, followed by questions about when two of them were heard."""
    prefix, lines = instructed(shelf.texts, 'locate in time', rng)
    heard = some(rng, shelf.categories('sound', 'any'), 3)
    for category in heard:
        clip = shelf.draw(rng, 'sound', 'any', category)
        lines.append(Line(hear=Sound(clip=clip.id, longest_s=2.5), gap_s=pause_s(rng, 0.5, 1.5)))
    for which in some(rng, range(3), 2):
        asked = Speech(text=pick(rng, (f'When did you hear the {heard[which]}?', f'When was the {heard[which]}?')))
        say = (Say(text=f'The {heard[which]} was the {_ORDINALS[which]} sound.'),)
        lines.append(Line(hear=asked, say=say, gap_s=pause_s(rng, 0.8, 2.0)))
    return Script(category=CATEGORY, task='locate in time', lines=tuple(lines), instruction=prefix)
