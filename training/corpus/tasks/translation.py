"""Streaming translation between English and Chinese, by the sentence and by the part."""

from __future__ import annotations

import numpy as np

from training.corpus.tasks.script import Line, Say, Script, Speech, instructed, pause_s, pick, some, texts
from training.corpus.tasks.shelf import Shelf

CATEGORY = 'streaming translation'


def english_to_chinese(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('en to zh', rng)
    for english, chinese in some(rng, texts()['phrases'], 5):
        say = (Say(text=chinese, language='chinese'),)
        lines.append(Line(hear=Speech(text=english), say=say, gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='en to zh', lines=tuple(lines), instruction=prefix)


def chinese_to_english(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('zh to en', rng)
    for english, chinese in some(rng, texts()['phrases'], 5):
        speech = Speech(text=chinese, language='chinese', speaker=1)
        lines.append(Line(hear=speech, say=(Say(text=english),), gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='zh to en', lines=tuple(lines), instruction=prefix)


def simultaneous(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = instructed('simultaneous', rng)
    for parts in some(rng, texts()['simultaneous'], 3):
        say, words = [], 0
        for english, chinese in parts:
            words += len(english.split())
            say.append(Say(text=chinese, language='chinese', due='word', word=words - 1))
        sentence = ' '.join(english for english, _ in parts)
        lines.append(Line(hear=Speech(text=sentence), say=tuple(say), gap_s=pause_s(rng, 0.6, 2.0)))
    return Script(category=CATEGORY, task='simultaneous', lines=tuple(lines), instruction=prefix)


def phrase(shelf: Shelf, rng: np.random.Generator) -> Script:
    prefix, lines = '', []
    for english, chinese in some(rng, texts()['phrases'], 3):
        ask = pick(rng, texts()['instructions']['phrase'])
        lines.append(
            Line(hear=Speech(text=f'{ask} {english}'), say=(Say(text=chinese, language='chinese'),), gap_s=pause_s(rng))
        )
    return Script(category=CATEGORY, task='phrase', lines=tuple(lines), instruction=prefix)
