"""Text that is still being written is said clause by clause, every word once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.voice.clauses import (
    MAX_CLAUSE_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    ClauseSplitter,
    speakable,
)


def clauses(*texts: str) -> list[list[str]]:
    """What is new after each text so far, and after the last, which is final."""
    splitter = ClauseSplitter()
    return [splitter.push(text, final=number == len(texts)) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('Fire! I hear flames crackling.', ['Fire!', 'I hear flames crackling.']),
        ('No, thank you, I am quite all right.', ['No, thank you,', 'I am quite all right.']),
        ('It is 3.5 km, or 1,000 steps, at 10:30.', ['It is 3.5 km,', 'or 1,000 steps,', 'at 10:30.']),
        ('Dr. Smith, e.g. J. Smith, is here. And I. Do.', ['Dr. Smith, e.g. J. Smith,', 'is here.', 'And I.', 'Do.']),
        ('He said "Stop!" and went.', ['He said "Stop!"', 'and went.']),
        ('Really?! Yes...', ['Really?!', 'Yes...']),
        ('我听到火烧的声音。快离开，危险！', ['我听到火烧的声音。', '快离开，', '危险！']),
        ('one\ntwo', ['one', 'two']),
        ('no stop at all', ['no stop at all']),
        ('... -- ?!', []),
        ('', []),
    ],
)
def test_a_text_is_cut_where_a_reader_would_breathe(text, expected):
    assert clauses(text) == [expected]


def test_a_clause_is_given_as_soon_as_its_end_is_certain_and_never_again():
    assert clauses(
        'Fire', 'Fire!', 'Fire! I', 'Fire! I hear flames, run', 'Fire! I hear flames, run.', 'Fire! I hear flames, run.'
    ) == [[], ['Fire!'], [], ['I hear flames,'], [], ['run.']]


def test_a_full_stop_at_the_end_of_what_is_written_may_still_be_a_decimal_point():
    assert clauses('It is 3.', 'It is 3.5 degrees.', 'It is 3.5 degrees. Cold', 'It is 3.5 degrees. Cold!') == [
        [], [], ['It is 3.5 degrees.'], ['Cold!'],
    ]  # fmt: skip


def test_a_text_that_was_rewritten_repeats_nothing_that_was_said():
    assert clauses('A dog barks! Or', 'A cat meows! Or is it?') == [['A dog barks!'], ['Or is it?']]
    assert clauses('A dog barks! Or', 'A') == [['A dog barks!'], []]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('\x01100p high \x1b[31m\x00text\ttab', '100p high [31m text tab'),
        ("[[h@l'oU]]", "h@l'oU"),
        ('half \ufffd', 'half'),
        ('<speak>&amp;</speak>', '<speak>&amp;</speak>'),  # words, to an engine that is not told otherwise
        ('-v en; $(reboot)', '-v en; $(reboot)'),
        ('— \u200b', ''),
    ],
)
def test_what_an_engine_would_take_for_a_command_is_no_part_of_a_clause(text, expected):
    assert speakable(text) == expected


def test_a_text_without_end_is_cut_and_that_is_known():
    splitter = ClauseSplitter()
    found = splitter.push('word ' * 2_000, final=True)
    assert splitter.cut
    assert sum(len(clause) + 1 for clause in found) <= MAX_TEXT_CHARACTERS + len(found)
    assert splitter.push('word ' * 2_001, final=True) == []


_TEXT = st.text(st.sampled_from('ab I1.,!?;:—"\')( \n\t。，我火\u00e9'), max_size=300) | st.text(max_size=1_200)


@settings(max_examples=60, deadline=None)
@given(_TEXT, st.lists(st.integers(0, 300), max_size=8))
def test_every_word_is_said_once_and_in_order_however_the_text_arrives(text, lengths):
    splitter = ClauseSplitter()
    found = []
    for length in (*sorted(lengths), *sorted(lengths)[-1:]):  # the last comes twice
        found += splitter.push(text[:length])
    found += splitter.push(text, final=True)
    found += splitter.push(text, final=True)
    assert all(0 < len(clause) <= MAX_CLAUSE_CHARACTERS and speakable(clause) == clause for clause in found)

    def pronounced(said: str) -> str:
        return ''.join(character for character in said if character.isalnum())

    assert pronounced(''.join(found)) == pronounced(speakable(text[:MAX_TEXT_CHARACTERS]))
