"""A card's tables stand between markers of a page; what is written by hand around them stays."""

from __future__ import annotations

import pytest

from training.card import CardError
from training.card.page import put_sections, table

ONE = {'figures': ('Figures', table(['recordings', 'one'], [['recall', '0.91']]))}
OTHER = {'figures': ('Figures', table(['recordings', 'one'], [['recall', '0.97 [0.9, 1.0]']]))}


def test_a_table_can_be_read_as_it_is():
    lines = table(['recordings', 'version 2'], [['recall', '0.91'], ['a | b', '0.91 [0.87, 0.99]']]).splitlines()
    assert lines == [
        '| recordings | version 2         |',
        '|------------|-------------------|',
        '| recall     | 0.91              |',
        '| a \\| b     | 0.91 [0.87, 0.99] |',
    ]


def test_a_page_without_markers_gets_its_sections_appended_and_keeps_every_word(tmp_path):
    readme = tmp_path / 'README.md'
    readme.write_text('# A card\n\nBy hand.\n')
    assert put_sections(readme, 'unused', ONE) == ['figures']
    text = readme.read_text()
    assert text.startswith(
        '# A card\n\nBy hand.\n\n## Figures\n\n<!-- card, figures: python -m training card -->\n\n| rec'
    )
    assert text.endswith('| 0.91 |\n\n<!-- end of card, figures -->\n')


def test_a_section_is_written_anew_where_it_stands(tmp_path):
    readme = tmp_path / 'README.md'
    put_sections(readme, 'The card', ONE)
    before, after = readme.read_text(), '\nWhat came of it.\n'
    readme.write_text(before.replace('## Figures\n', '## Heard\n\nIn a *word*:\n') + after)
    assert put_sections(readme, 'The card', OTHER) == []
    text = readme.read_text()
    assert text.startswith('# The card\n\n## Heard\n\nIn a *word*:\n') and text.endswith(after)
    assert '0.97 [0.9, 1.0]' in text and '0.91' not in text
    put_sections(readme, 'The card', OTHER)
    assert readme.read_text() == text


def test_a_marker_that_stands_alone_is_not_guessed_at(tmp_path):
    readme = tmp_path / 'README.md'
    put_sections(readme, 'The card', ONE)
    readme.write_text(text := readme.read_text().replace('<!-- end of card, figures -->', ''))
    with pytest.raises(CardError, match=r'and after it .*end of card, figures.*, each once; correct the markers'):
        put_sections(readme, 'The card', OTHER)
    assert readme.read_text() == text
