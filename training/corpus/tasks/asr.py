"""Real-time ASR: words, captions, keywords and command words, written as they are heard."""

from __future__ import annotations

import numpy as np

from training.corpus.tasks.script import Line, Say, Script, Speech, instructed, pause_s, pick, small_talk, some, texts
from training.corpus.tasks.shelf import Shelf

CATEGORY = 'real-time ASR'


def dictation(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('dictation', rng)
    for sentence in some(rng, texts()['dictation'], 3):
        say = tuple(Say(text=word, due='word', word=n) for n, word in enumerate(sentence.split()))
        lines.append(Line(hear=Speech(text=sentence), say=say, gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='dictation', lines=tuple(lines), instruction=prefix)


def captions(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('captions', rng)
    for sentence in some(rng, texts()['small_talk'], 5):
        speech = Speech(text=sentence, speaker=int(rng.integers(1, 3)))
        lines.append(Line(hear=speech, say=(Say(text=sentence),), gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='captions', lines=tuple(lines), instruction=prefix)


def keyword(shelf: Shelf, rng: np.random.Generator) -> Script:
    chosen = pick(rng, texts()['keywords'])
    prefix, lines = instructed('keyword', rng, what=chosen['word'])
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
            lines.append(small_talk(rng))
    return Script(category=CATEGORY, task='keyword', lines=tuple(lines), instruction=prefix)


def command_words(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('command words', rng)
    for position, word in enumerate(some(rng, texts()['command_words'], 6)):
        if position == 3:
            lines.append(small_talk(rng))
        lines.append(Line(hear=Speech(text=f'{word}.'), say=(Say(text=word),), gap_s=pause_s(rng)))
    return Script(category=CATEGORY, task='command words', lines=tuple(lines), instruction=prefix)
