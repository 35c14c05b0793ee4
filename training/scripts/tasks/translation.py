"""These generators translate between English and Chinese as a stream, by the sentence and by the part."""

from __future__ import annotations

import numpy as np

from training.scripts.script import LANGUAGES, Language, Line, Say, Script, Speech, instructed, pause_s, pick, some
from training.scripts.shelf import Shelf

CATEGORY = 'streaming translation'


def recorded(shelf: Shelf, said: Language, wanted: Language, rng: np.random.Generator) -> Line | None:
    """Return, half the time and where the library has some, real speech with its translation; else None."""
    if not shelf.categories('translated', LANGUAGES[said]) or rng.random() < 0.5:
        return None
    clip = shelf.draw(rng, 'translated', LANGUAGES[said])
    hear = Speech(text=clip.text, language=said, clip=clip.id)
    return Line(hear=hear, say=(Say(text=clip.translation, language=wanted),), gap_s=pause_s(rng, 0.6, 2.0))


def english_to_chinese(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of English sentences, each translated into Chinese when it is complete."""
    prefix, lines = instructed(shelf.texts, 'en to zh', rng)
    for english, chinese in some(rng, shelf.texts['phrases'], 5):
        say = (Say(text=chinese, language='chinese'),)
        line = Line(hear=Speech(text=english), say=say, gap_s=pause_s(rng, 0.6, 2.0))
        lines.append(recorded(shelf, 'english', 'chinese', rng) or line)
    return Script(category=CATEGORY, task='en to zh', lines=tuple(lines), instruction=prefix)


def chinese_to_english(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of Chinese sentences, each translated into English when it is complete."""
    prefix, lines = instructed(shelf.texts, 'zh to en', rng)
    for english, chinese in some(rng, shelf.texts['phrases'], 5):
        speech = Speech(text=chinese, language='chinese', speaker=1)
        line = Line(hear=speech, say=(Say(text=english),), gap_s=pause_s(rng, 0.6, 2.0))
        lines.append(recorded(shelf, 'chinese', 'english', rng) or line)
    return Script(category=CATEGORY, task='zh to en', lines=tuple(lines), instruction=prefix)


def simultaneous(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of English sentences that are interpreted part by part.

    Each part is due in Chinese after its last word, while the speaker goes on.
    """
    prefix, lines = instructed(shelf.texts, 'simultaneous', rng)
    for parts in some(rng, shelf.texts['simultaneous'], 3):
        say, words = [], 0
        for english, chinese in parts:
            words += len(english.split())
            say.append(Say(text=chinese, language='chinese', due='word', word=words - 1))
        sentence = ' '.join(english for english, _ in parts)
        lines.append(Line(hear=Speech(text=sentence), say=tuple(say), gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='simultaneous', lines=tuple(lines), instruction=prefix)


def phrase(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which the user asks in English for the Chinese of phrases."""
    lines = []
    for english, chinese in some(rng, shelf.texts['phrases'], 3):
        ask = pick(rng, shelf.texts['phrase requests'])
        lines.append(
            Line(hear=Speech(text=f'{ask} {english}'), say=(Say(text=chinese, language='chinese'),), gap_s=pause_s(rng))
        )
    return Script(category=CATEGORY, task='phrase', lines=tuple(lines))
