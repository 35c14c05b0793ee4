"""Glossary and tree name what is there, and leave no folder out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from docs import tree

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / 'docs' / 'glossary.md').read_text()
ROWS = [line for line in GLOSSARY.splitlines() if line.startswith('| ')][1:]


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.split(' | ')[0].strip('| '))
def test_every_term_of_the_glossary_is_in_the_file_that_it_names(row):
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert len(cells) == 4
    path, *names = re.findall(r'`([^`]+)`', cells[3])
    text = (ROOT / path).read_text()
    assert all(re.search(rf'\b{re.escape(name)}\b', text) for name in names)


def test_the_tree_is_what_the_modules_say_of_themselves():
    assert tree.PAGE.read_text() == tree.page(), 'run python -m docs.tree'


@pytest.mark.parametrize('package', tree.PACKAGES)
def test_every_folder_and_module_of_a_package_is_in_the_tree_with_words_beside_it(package):
    lines = dict(tree.lines_of(ROOT / package))
    assert [name for name, words in lines.items() if not words] == []
    names = {name.strip() for name in lines}
    modules = {file.name for file in (ROOT / package).rglob('*.py') if not file.name.startswith('_')}
    generated = {file.name for kind in ('msg', 'srv') for file in (ROOT / package / kind).glob('*.py')}
    assert modules - generated <= names


def test_what_the_tree_says_by_hand_is_about_what_exists():
    assert [path for path in tree.OTHERS if not (ROOT / path).exists()] == []


PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_a_page_names_only_files_and_modules_of_the_repository_that_are_there(page):
    text = page.read_text()
    folders = ('audio_interaction_ros', 'training', 'tests', 'config', 'launch', 'docs', 'examples', 'tools')
    paths = re.findall(rf'`((?:{"|".join(folders)})/[\w./-]+)`', text)
    missing = [path for path in paths if not (ROOT / path).exists()]
    for module in re.findall(r'^from ((?:training|audio_interaction_ros)[\w.]*) import', text, re.MULTILINE):
        if importlib.util.find_spec(module) is None:
            missing.append(module)
    assert missing == []


CASES = (ROOT / 'docs' / 'cases.md').read_text()


def test_every_case_from_the_wild_has_a_test_of_its_own_and_two_of_its_kind():
    rows = [
        [cell.strip() for cell in line.strip('|').split(' | ')] for line in CASES.splitlines() if line.startswith('| ')
    ]
    rows = [row for row in rows if row[0].isdigit()]
    assert sorted(int(row[0]) for row in rows) == list(range(1, 23))
    for number, *_, own, more in rows:
        own, more = (re.findall(r'`([\w/]+\.py)::(\w+)`', cell) for cell in (own, more))
        assert len(own) == 1 and len(more) >= 2, number
        for file, name in own + more:
            assert re.search(rf'^def {name}\(', (ROOT / 'tests' / file).read_text(), re.MULTILINE), f'{file}::{name}'
