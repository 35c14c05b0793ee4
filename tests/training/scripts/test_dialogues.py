"""Dialogues of text sources are cut to what can be said, kept apart by side, and drawn evenly without being read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.sources.miniature import json_lines
from training.clips.ingest import SourceFolder, prepare_source
from training.clips.store import ClipStore, StoredClip, write_part
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.errors import BuildError
from training.scripts.dialogues import LONGEST_CHARACTERS, Dialogues, DialoguesPart, make_dialogues, sayable
from training.scripts.script import Say, Script, Speech
from training.scripts.shelf import Shelf
from training.scripts.tasks.asr import captions, dictation
from training.scripts.tasks.chatting import chit_chat
from training.sources.text import Dialogue, Turn
from training.texts.collect import Collection, Origin

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


def open_corpus(root: Path) -> Path:
    """Open texts, as `training texts` writes them: sentences, remarks and questions."""
    collection = Collection()
    for number in range(60):
        word = f'{"abcdefghij"[number % 10]}{"klmnop"[number // 10]}'
        for turns in (
            [f"The {word} stands in the hall, doesn't it."],
            [f'My {word} broke again today.', 'That is a pity.'],
            [f'What is an {word} for?', 'For hanging coats.'],
        ):
            assert collection.add(turns, Origin('WordNet', 'LicenseRef-WordNet-3.0', f'by {word}'))
    collection.write(root / 'texts')
    source = SourceFolder('open-texts', root / 'texts', root / 'corpus')
    prepare_source(source)
    assert make_dialogues(DialoguesPart(source)) == 180
    return root / 'corpus'


def test_open_texts_are_sentences_remarks_and_questions_on_one_side_each_with_their_own_credit(tmp_path: Path) -> None:
    folder = open_corpus(tmp_path)
    rng = np.random.default_rng(3)
    sides = {side: Dialogues(folder, side) for side in SIDES}
    for sort in ('sentence', 'remark', 'single'):
        assert sum(each.count_of(sort) for each in sides.values()) == 60
    for side, dialogues in sides.items():
        sentence, remark = (dialogues.draw_of(rng, sort) for sort in ('sentence', 'remark'))
        assert (len(sentence.turns), len(remark.turns), sentence.split, remark.split) == (1, 2, side, side)
        assert (sentence.source, sentence.licence) == ('WordNet', 'LicenseRef-WordNet-3.0')
        assert sentence.attribution.removeprefix('by ') in sentence.turns[0].text
        assert dialogues.draw(rng, several=False).turns[0].text.endswith('?')
    assert sayable(dialogue('x' * (LONGEST_CHARACTERS['en'] + 1))) is None


def test_a_licence_that_is_not_permitted_leaves_open_texts_out(tmp_path: Path) -> None:
    folder = open_corpus(tmp_path)
    source = SourceFolder('open-texts', tmp_path / 'texts', folder)
    (folder / 'library' / 'dialogues' / 'open-texts.done').unlink()
    assert make_dialogues(DialoguesPart(source, ('MIT',))) == 0


def test_other_text_corpora_have_no_sentences_that_nobody_answers(tmp_path: Path) -> None:
    folder = corpus(tmp_path, ('Alone.',), ('Hi.', 'Hello.'))
    assert sum(Dialogues(folder, side).count_of('sentence') for side in SIDES) == 0
    assert sum(Dialogues(folder, side).count(several=False) for side in SIDES) == 1


def test_a_recipe_has_open_texts_dictated_captioned_and_remarked_and_credited(tmp_path: Path) -> None:
    folder = open_corpus(tmp_path)
    silent = StoredClip(id='door', category='door', recording='door')
    write_part(tmp_path / 'library' / 'part', [(silent, np.full(16_000, 0.1, np.float32))])
    library = ClipStore(tmp_path / 'library')
    dialogues = Dialogues(folder, 'train')

    def written(share: float, generator: Callable[[Shelf, np.random.Generator], Script], seed: int) -> Script:
        shelf = Shelf(library, 'train', lambda samples: samples, dialogues=dialogues, open_share=share)
        return generator(shelf, np.random.default_rng(seed))

    def spoken(script: Script) -> list[tuple[Speech, tuple[Say, ...]]]:
        return [(each.hear, each.say) for each in script.lines if isinstance(each.hear, Speech) and each.hear.credit]

    for hear, say in spoken(written(1.0, dictation, 1)):
        assert hear.text.startswith('The ') and hear.credit is not None and hear.credit[0] == 'WordNet'
        assert [each.text for each in say] == ['the', *hear.text[4:].replace(',', '').rstrip('.').split()]
        assert [each.word for each in say] == list(range(len(say)))
    for hear, say in spoken(written(1.0, captions, 1)):
        assert [each.text for each in say] == [hear.text] and 'stands in the hall' in hear.text
    for hear, say in spoken(written(1.0, chit_chat, 1)):
        assert hear.text.startswith('My ') and [each.text for each in say] == ['That is a pity.']
    for generator, open_lines in ((dictation, 3), (captions, 5), (chit_chat, 4)):
        assert len(spoken(written(1.0, generator, 2))) == open_lines
        bare = Shelf(library, 'train', lambda samples: samples)
        assert written(0.0, generator, 2) == generator(bare, np.random.default_rng(2))
    assert 60 < sum(len(spoken(written(0.5, captions, seed))) for seed in range(40)) < 140  # of 200


def test_a_share_of_open_texts_without_any_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match='there is no source open-texts; make one with: python -m training texts'):
        build(CorpusRecipe(open_texts=0.5), {}, 0.1, 5, 1, tmp_path / 'corpus')
    assert not (tmp_path / 'corpus').exists()


def test_a_corpus_without_text_sources_has_none(tmp_path: Path) -> None:
    assert Dialogues(tmp_path, 'train').count(several=True) == 0
