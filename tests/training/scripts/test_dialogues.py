"""Dialogues of text sources are cut to what can be said, kept apart by side, and drawn evenly without being read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from tests.training.sources.miniature import json_lines
from training.clips.ingest import SourceFolder, prepare_source
from training.scripts.dialogues import LONGEST_CHARACTERS, Dialogues, DialoguesPart, make_dialogues, sayable
from training.sources.text import Dialogue, Turn

SIDES = ('train', 'validation', 'test')


def dialogue(*texts: str, language: str = 'en') -> Dialogue:
    turns = tuple(Turn(role='assistant' if number % 2 else 'user', text=each) for number, each in enumerate(texts))
    return Dialogue(
        turns=turns, language=language, source='S', source_id='1', licence='L', attribution='A', split='train'
    )


def corpus(root: Path, *records: tuple[str, ...]) -> Path:
    """UltraChat with these dialogues, prepared and made."""
    rows = ({'id': str(number), 'data': list(turns)} for number, turns in enumerate(records))
    json_lines(root / 'ultrachat' / 'train_0.jsonl', *rows)
    source = SourceFolder('ultrachat', root / 'ultrachat', root / 'corpus')
    prepare_source(source)
    assert make_dialogues(DialoguesPart(source)) <= len(records)
    assert make_dialogues(DialoguesPart(source)) == 0  # there already
    return root / 'corpus'


def test_only_the_first_rounds_that_are_short_and_of_one_line_can_be_said() -> None:
    long = 'x' * (LONGEST_CHARACTERS['en'] + 1)
    assert sayable(dialogue('Hi.', long)) is None
    assert sayable(dialogue('A list:\n- one', 'Yes.')) is None
    kept = sayable(dialogue('Hi.', 'Hello.', 'Tell me all.', long, 'Thanks.', 'Gladly.'))
    assert kept is not None and [turn.text for turn in kept.turns] == ['Hi.', 'Hello.']
    many = sayable(dialogue(*['Hi.', 'Hello.'] * 9))
    assert many is not None and len(many.turns) == 6
    assert sayable(dialogue('Bonjour.', 'Salut.', language='fr')) is None  # scripts are in English or Chinese


def test_every_dialogue_is_drawn_about_as_often_and_on_its_own_side_only(tmp_path: Path) -> None:
    folder = corpus(tmp_path, *((f'Question {n}?', f'Answer {n}.') for n in range(120)))
    rng = np.random.default_rng(1)
    seen: dict[str, Counter[str]] = {}
    for side in SIDES:
        dialogues = Dialogues(folder, side)
        drawn = [dialogues.draw(rng, several=False) for _ in range(20 * dialogues.count(several=False))]
        assert {each.split for each in drawn} == {side}
        seen[side] = Counter(each.turns[0].text for each in drawn)
        assert len(seen[side]) == dialogues.count(several=False)
        assert max(seen[side].values()) < 60
    assert sum(map(len, seen.values())) == 120
    assert len(set().union(*seen.values())) == 120


def test_short_and_long_ones_are_drawn_apart(tmp_path: Path) -> None:
    folder = corpus(tmp_path, *[('One?', 'Two.')] * 60, *[('Hi.', 'Hello.', 'How are you?', 'Fine.')] * 60)
    rng = np.random.default_rng(2)
    dialogues = Dialogues(folder, 'train')
    assert {len(dialogues.draw(rng, several=True).turns) for _ in range(30)} == {4}
    assert {len(dialogues.draw(rng, several=False).turns) for _ in range(30)} == {2}


def test_a_corpus_without_text_sources_has_none(tmp_path: Path) -> None:
    assert Dialogues(tmp_path, 'train').count(several=True) == 0
