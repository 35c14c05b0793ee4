"""These generators write audio-agent scripts: tool calls, and a watch for a topic or for what contradicts a fact."""

from __future__ import annotations

import json

import numpy as np

from training.scripts.script import Line, Say, Script, Sound, Speech, instructed, pause_s, pick, small_talk, some
from training.scripts.shelf import Shelf

CATEGORY = 'audio agent'


def spoken_request(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of requests, each answered with its tool call, among small talk."""
    lines = []
    for row in some(rng, shelf.texts['commands'], 4):
        if rng.random() < 0.4:
            lines.append(small_talk(shelf.texts, rng))
        say = (Say(text=json.dumps(row['call'])),)
        lines.append(Line(hear=Speech(text=row['say']), say=say, gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='spoken request', lines=tuple(lines))


def on_sound(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which the sound that was named is answered with the tool call.

    Other ordinary sounds are not answered at all.
    """
    wanted, *others = some(rng, shelf.categories('silent', 'event'), 4)
    action = pick(rng, shelf.texts['actions'])
    told = {'what': wanted, 'action': action['say'], 'confirmed': action['confirm']}
    prefix, lines = instructed(shelf.texts, 'on sound', rng, **told)
    for category in some(rng, [wanted, *others], 4):
        clip = shelf.draw(rng, 'silent', 'event', category)
        say = (Say(text=json.dumps(action['call']), due='evidence'),) if category == wanted else ()
        lines.append(Line(hear=Sound(clip=clip.id, longest_s=3.0), say=say, gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='on sound', lines=tuple(lines), instruction=prefix)


def on_topic(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which others talk of this and that.

    The first sentence on the topic is the one to speak up at.
    """
    wanted, other = some(rng, shelf.texts['topics'], 2)
    prefix, lines = instructed(shelf.texts, 'on topic', rng, what=wanted['topic'])
    lines += [
        Line(hear=Speech(text=text, speaker=1 + n % 2), gap_s=pause_s(rng))
        for n, text in enumerate(some(rng, other['sentences'], 2))
    ]
    for number, text in enumerate(some(rng, wanted['sentences'], 2)):
        say = (Say(text=f'They are talking about {wanted["topic"]}.'),) if number == 0 else ()
        lines.append(Line(hear=Speech(text=text, speaker=1 + number % 2), say=say, gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='on topic', lines=tuple(lines), instruction=prefix)


def contradiction(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which, among other talk, one sentence contradicts a given fact and is corrected."""
    row = pick(rng, shelf.texts['contradictions'])
    prefix, lines = instructed(shelf.texts, 'contradiction', rng, what=row['fact'])
    answer = Say(text=row['answer'], emotion=row.get('emotion', 'normal'))
    said = [Line(hear=Speech(text=row['right'], speaker=1), gap_s=pause_s(rng)), small_talk(shelf.texts, rng)]
    said.insert(
        int(rng.integers(3)), Line(hear=Speech(text=row['wrong'], speaker=2), say=(answer,), gap_s=pause_s(rng))
    )
    return Script(category=CATEGORY, task='contradiction', lines=(*lines, *said), instruction=prefix)
