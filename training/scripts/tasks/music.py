"""These generators follow music: whether it plays, what plays it, how many beats, and whether it is in tune."""

from __future__ import annotations

import numpy as np

from training.scripts.script import Line, Say, Script, Sound, Speech, instructed, pause_s, pick, small_talk, some
from training.scripts.shelf import Shelf, counted

CATEGORY = 'following music'


def presence(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which music starts after other sounds, and is reported."""
    prefix, lines = instructed(shelf.texts, 'presence', rng)
    lines += [shelf.silent(rng) if rng.random() < 0.5 else small_talk(shelf.texts, rng) for _ in range(2)]
    clip = shelf.draw(rng, 'kind', 'music')
    say = (Say(text='Music is playing.', due='evidence'),)
    lines.append(Line(hear=Sound(clip=clip.id, longest_s=5.0), say=say, gap_s=pause_s(rng, 0.6, 2.0)))
    lines.append(shelf.silent(rng))
    return Script(category=CATEGORY, task='presence', lines=tuple(lines), instruction=prefix)


def instrument(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of instruments, each named as soon as it can be known."""
    prefix, lines = instructed(shelf.texts, 'instrument', rng)
    for category in some(rng, shelf.categories('tag', 'instrument'), 3):
        clip = shelf.draw(rng, 'tag', 'instrument', category)
        say = (Say(text=f'That is a {category}.', due='evidence'),)
        lines.append(Line(hear=Sound(clip=clip.id, longest_s=3.5), say=say, gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='instrument', lines=tuple(lines), instruction=prefix)


def beat_count(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of beats at an even tempo; their number is asked for when they are over."""
    clip = shelf.draw(rng, 'tag', 'beat')
    prefix, lines = instructed(shelf.texts, 'beat count', rng)
    beats, period_s = int(rng.integers(3, 9)), float(rng.uniform(0.5, 0.9))
    length_s = min(0.35, shelf.library.duration_s(clip.id))
    hit = Sound(clip=clip.id, longest_s=length_s)
    lines += [
        Line(hear=hit, gap_s=round(period_s - length_s, 3) if number else pause_s(rng, 0.6, 1.5))
        for number in range(beats)
    ]
    say = (Say(text=f'{counted(beats)} beats.'.capitalize()),)
    asked = Speech(text=pick(rng, ('How many beats was that?', 'How many?')))
    lines.append(Line(hear=asked, say=say, gap_s=pause_s(rng, 1.0, 1.8)))
    return Script(category=CATEGORY, task='beat count', lines=tuple(lines), instruction=prefix)


def in_or_out_of_tune(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of music in tune or out of tune, and which it was."""
    prefix, lines = instructed(shelf.texts, 'in or out of tune', rng)
    for _ in range(3):
        tuned = bool(rng.random() < 0.5)
        clip = shelf.draw(rng, 'tag', 'in tune' if tuned else 'out of tune')
        say = (Say(text='It is in tune.' if tuned else 'It is out of tune.'),)
        lines.append(Line(hear=Sound(clip=clip.id, longest_s=3.5), say=say, gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='in or out of tune', lines=tuple(lines), instruction=prefix)
