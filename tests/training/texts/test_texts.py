"""Open texts: what is kept of packages and of a model's, what is left out and why, and what a corpus reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from training.__main__ import main
from training.texts.clean import fault, tidy
from training.texts.collect import Collection, Origin
from training.texts.written import write

# As WordNet 3.0 has them: data.noun, a licence line first, and index.noun.
DATA = """\
  1 This software and database is being provided to you, the LICENSEE, by
00002684 06 n 02 kettle 0 boiler 0 001 @ 00001930 n 0000 | a metal pot for boiling (usually with a lid); "she filled \
the kettle with water"; "the kettle is on"; "a watched pot never boils"- Franklin; "he wanted to kill the cook"
00003553 06 n 01 spout 0 001 @ 00002684 n 0000 | an opening that allows the passage of liquids or grain
"""
INDEX = """\
  1 This software and database is being provided to you, the LICENSEE, by
boiler n 1 1 @ 1 0 00002684
kettle n 2 1 @ 2 3 00002684 00003553
tea_kettle n 1 1 @ 1 2 00002684
"""
CONVERSATIONS = """\
conversations:
- - Good morning, how are you?
  - I am doing well, how about you?
  - I'm also good.
- - Tell me something nice about the sea
  - It is never twice the same.
- - Visit www.example.com today please
  - I will do so.
- - Hello
"""


def test_a_text_is_tidied_to_one_sentence() -> None:
    assert tidy('  she said  “yes”\n to ‘everything’ ') == 'She said "yes" to \'everything\'.'
    assert tidy('Is it late ?') == 'Is it late?' and tidy(' "" ') == ''
    assert tidy("who's afraid of the wolf") == "Who's afraid of the wolf?"


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('The kettle is on.', ''),
        ("It's a quarter past 9, isn't it?", ''),
        ('The jewel in the stable was established.', ''),
        ('Too short.', 'length'),
        ('word ' * 25, 'length'),
        ('She said "yes" to it all.', 'characters'),
        ('Ask for the café at the corner.', 'characters'),
        ('He said - well - nothing.', 'characters'),
        ('The number is 123456 today.', 'no prose'),
        ('BREAKING news from the town.', 'no prose'),
        ('It is written at www.example here.', 'web junk'),
        ('Please subscribe to our letter.', 'web junk'),
        ("I'm a robot and like oil.", 'of itself'),
        ('He wanted to kill the cook.', 'unsafe'),
        ('The sea the sea the sea rolls.', 'repetition'),
    ],
)
def test_what_is_no_sentence_to_be_said_at_home_is_left_out_with_the_reason(text: str, why: str) -> None:
    assert fault(text) == why


def test_a_text_is_kept_once_and_its_id_is_that_of_its_words_whoever_brings_it() -> None:
    one, other = Collection(), Collection()
    assert one.add(['The kettle is on.'], Origin('A', 'MIT', 'by A'))
    assert not one.add(['the kettle is on!'], Origin('B', 'MIT', 'by B'))
    assert dict(one.left_out) == {('B', 'said before'): 1}
    other.add(['the kettle is on'], Origin('B', 'MIT', 'by B'))
    assert one.rows[0]['id'] == other.rows[0]['id']


def write_packages(root: Path) -> tuple[Path, Path]:
    wordnet, chatterbot = root / 'wordnet', root / 'chatterbot'
    wordnet.mkdir()
    chatterbot.mkdir()
    for name in ('verb', 'adj', 'adv'):
        (wordnet / f'data.{name}').write_text('')
        (wordnet / f'index.{name}').write_text('')
    (wordnet / 'data.noun').write_text(DATA)
    (wordnet / 'index.noun').write_text(INDEX)
    (chatterbot / 'greetings.yml').write_text(CONVERSATIONS)
    (chatterbot / 'botprofile.yml').write_text(CONVERSATIONS)
    return wordnet, chatterbot


def test_packages_become_lines_with_their_licence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wordnet, chatterbot = write_packages(tmp_path)
    command = ['texts', '--wordnet', str(wordnet), '--chatterbot', str(chatterbot), '--out', str(tmp_path / 'texts')]
    assert main(command) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = [json.loads(line) for line in (tmp_path / 'texts' / 'texts.jsonl').read_text().splitlines()]
    said = {row['turns'][0]: row for row in rows}
    assert said['What does kettle mean?']['turns'] == ['What does kettle mean?', 'A metal pot for boiling.']
    assert set(said) == {
        'Good morning, how are you?', 'Tell me something nice about the sea.', 'She filled the kettle with water.',
        'The kettle is on.', 'What does kettle mean?', 'A metal pot for boiling.',
        'An opening that allows the passage of liquids or grain.',
    }  # fmt: skip
    assert said['The kettle is on.']['licence'] == 'LicenseRef-WordNet-3.0'
    assert said['Good morning, how are you?']['licence'] == 'BSD-3-Clause'
    assert summary['kept'] == {
        'ChatterBot corpus': {'question': 1, 'remark': 1},
        'WordNet 3.0': {'question': 1, 'sentence': 4},
    }
    assert summary['left_out'] == {'ChatterBot corpus': {'web junk': 1}, 'WordNet 3.0': {'unsafe': 1}}
    few = [*command[:-1], str(tmp_path / 'few'), '--definitions', '1', '--questions', '0']
    assert main(few) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])['kept']['WordNet 3.0'] == {'sentence': 3}


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ([], 'there is nothing to take texts from; give --wordnet, --chatterbot or --model'),
        (['--wordnet', 'nowhere'], "'nowhere/data.noun' cannot be read"),
        (['--chatterbot', 'nowhere'], "'nowhere' has no file such as conversations.yml"),
        (['--model', 'nowhere'], "there is no language model in 'nowhere'"),
    ],
)
def test_what_is_missing_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['texts', *arguments, '--out', str(tmp_path / 'texts')]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'texts').exists()


class Neighbour:
    """A stand-in that writes about the word it is given, of snow without an end, of the sea beside the point."""

    def go_on(self, texts: Sequence[str], _: int) -> list[str]:
        said = []
        for each in texts:
            word, mark = each.splitlines()[-1].rstrip(':'), '?' if 'questions' in each else '.'
            said.append({'snow': ' Snow falls on and on and', 'the sea': ' "Ships go far."'}.get(
                word, f' "People like {word} in town{mark}" It is so.\nmilk: Who drinks it?'
            ))  # fmt: skip
        return said

    def answer(self, said: Sequence[str], _: int) -> list[str]:
        assert set(said) <= {'People like bread in town?', 'People like bread in town.'}
        return [' It is red. And it is more than that.\nAnd'] * len(said)


def test_a_model_answers_what_it_wrote_itself_and_the_seed_says_what_about() -> None:
    words = ['bread', 'snow', 'the sea']
    texts = list(write(Neighbour(), words, 40, 7))
    assert len(texts) == 40 and texts == list(write(Neighbour(), words, 40, 7))
    assert texts != list(write(Neighbour(), words, 40, 8))
    assert {tuple(text) for text in texts} == {
        ('People like bread in town.',), ('People like bread in town?', 'It is red.'),
        ('People like bread in town.', 'It is red.'), ('',),
    }  # fmt: skip


def test_an_answer_that_says_the_same_again_is_left_out() -> None:
    collection = Collection()
    assert not collection.add(['Bread is good for you.', 'Bread is good for you.'], Origin('A', 'MIT', 'by A'))
    assert not collection.add(['Is bread good for you?', "I'm here to answer that."], Origin('A', 'MIT', 'by A'))
    assert dict(collection.left_out) == {('A', 'repetition'): 1, ('A', 'of itself'): 1}
