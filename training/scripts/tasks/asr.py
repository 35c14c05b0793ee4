"""These generators write real-time ASR: words, captions, keywords and command words, written as they are heard."""

from __future__ import annotations

import numpy as np

from training.scripts.script import LANGUAGES, Line, Say, Script, Speech, instructed, pause_s, pick, small_talk, some
from training.scripts.shelf import Shelf

CATEGORY = 'real-time ASR'


def recorded(shelf: Shelf, rng: np.random.Generator) -> Line | None:
    """Return, half the time and where the library has some, real words; else None.

    They are written down when they are over, for nobody timed them.
    """
    languages = [name for name, code in LANGUAGES.items() if shelf.categories('said', code)]
    if not languages or rng.random() < 0.5:
        return None
    language = pick(rng, languages)
    clip = shelf.draw(rng, 'said', LANGUAGES[language])
    hear = Speech(text=clip.text, language=language, clip=clip.id)
    return Line(hear=hear, say=(Say(text=clip.text, language=language),), gap_s=pause_s(rng))


def _open_or(sentence: str, shelf: Shelf, rng: np.random.Generator) -> tuple[str, tuple[str, str, str] | None]:
    """Return an open text and whom to credit for it, as often as the recipe says; else our own `sentence` and None."""
    opened = shelf.sentence(rng)
    if opened is None:
        return sentence, None
    return opened.turns[0].text, (opened.source, opened.licence, opened.attribution)


def _plain(word: str) -> str:
    """As the templates of dictation have words: in small letters, without the marks around them."""
    return word.strip(',.;:?!\'"-').lower()


def dictation(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of sentences that are written down, rendered ones word by word."""
    prefix, lines = instructed(shelf.texts, 'dictation', rng)
    for sentence in some(rng, shelf.texts['dictation'], 3):
        text, credit = _open_or(sentence, shelf, rng)
        words = text.split() if credit is None else [_plain(word) for word in text.split()]
        say = tuple(Say(text=word, due='word', word=n) for n, word in enumerate(words))
        line = Line(hear=Speech(text=text, credit=credit), say=say, gap_s=pause_s(rng))
        lines.append(recorded(shelf, rng) or line)
    return Script(category=CATEGORY, task='dictation', lines=tuple(lines), instruction=prefix)


def captions(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which the sentences of several people are each captioned when they are over."""
    prefix, lines = instructed(shelf.texts, 'captions', rng)
    for sentence in some(rng, shelf.texts['small_talk'], 5):
        text, credit = _open_or(sentence, shelf, rng)
        speech = Speech(text=text, credit=credit, speaker=int(rng.integers(1, 3)))
        line = Line(hear=speech, say=(Say(text=text),), gap_s=pause_s(rng))
        lines.append(recorded(shelf, rng) or line)
    return Script(category=CATEGORY, task='captions', lines=tuple(lines), instruction=prefix)


def keyword(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script in which a given word falls in some sentences, and only those are answered."""
    chosen = pick(rng, shelf.texts['keywords'])
    prefix, lines = instructed(shelf.texts, 'keyword', rng, what=chosen['word'])
    for position in range(4):
        if position in (1, 3) or rng.random() < 0.3:
            sentence = pick(rng, chosen['sentences'])
            lines.append(
                Line(
                    hear=Speech(text=sentence, speaker=1),
                    say=(Say(text=f'Somebody said {chosen["word"]}.'),),
                    gap_s=pause_s(rng),
                )
            )
        else:
            lines.append(small_talk(shelf.texts, rng))
    return Script(category=CATEGORY, task='keyword', lines=tuple(lines), instruction=prefix)


def command_words(shelf: Shelf, rng: np.random.Generator) -> Script:
    """Return a script of single command words, each named, with one sentence of small talk among them."""
    prefix, lines = instructed(shelf.texts, 'command words', rng)
    for position, word in enumerate(some(rng, shelf.texts['command_words'], 6)):
        if position == 3:
            lines.append(small_talk(shelf.texts, rng))
        lines.append(Line(hear=Speech(text=f'{word}.'), say=(Say(text=word),), gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='command words', lines=tuple(lines), instruction=prefix)
