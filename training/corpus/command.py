"""`python -m training corpus …`: build a corpus of streams, check it, look at it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import PARTLY, CorpusError
from training.recipe_file import check_section, recipe_path

if TYPE_CHECKING:
    from training.corpus.recipe import CorpusRecipe


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `corpus` and what it can do to argparse's sub-parsers."""
    corpus = commands.add_parser('corpus', help='build, check and look at a corpus of streams').add_subparsers(
        dest='corpus_command', required=True
    )
    builder = corpus.add_parser('build', help='sources and recipe → training shards; run again to go on')
    builder.add_argument('--recipe', default='embedded', help='a YAML file, or a name in training/recipes')
    add_source_arguments(builder)
    builder.add_argument('--hours', type=float, help="about so much sound (default: the recipe's, or 2)")
    builder.add_argument('--seed', type=int, default=7, help='the same seed gives the same bytes')
    builder.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)), help='processes')
    builder.add_argument('--out', type=Path, required=True, help='folder of the corpus')
    sounds = corpus.add_parser('sounds', help='the procedural sounds on one HTML page: spectrogram, sound, signature')
    sounds.add_argument('--out', type=Path, default=Path('sounds.html'), help='default: %(default)s')
    sounds.add_argument('--seed', type=int, default=7, help='the same seed gives the same sounds')
    corpus.add_parser('sources', help='every corpus that can be read: licence, layout, where it comes from')
    checker = corpus.add_parser('verify', help='labels, leaks, clipping, ratios; exit code 1 if anything is wrong')
    checker.add_argument('corpus', type=Path)
    reporter = corpus.add_parser('report', help='one HTML page with figures, licences and ten playable streams')
    reporter.add_argument('corpus', type=Path)
    reporter.add_argument('--out', type=Path, help='default: report.html in the corpus')


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a corpus is made of, as `sources_of` reads them."""
    parser.add_argument(
        '--source',
        action='append',
        default=[],
        metavar='NAME=DIR',
        help="a corpus as its publisher lays it out, again for each; 'corpus sources' lists the names",
    )
    parser.add_argument(
        '--clips',
        type=Path,
        action='append',
        default=[],
        metavar='DIR',
        help='a clip library, again for each; the first is short for --source clips=DIR; with no source at all, the '
        'corpus is made of procedural sounds and speech alone',
    )


def sources_of(options: argparse.Namespace) -> dict[str, Path]:
    """Return the folder of each source that was given, by its name. Raises CorpusError."""
    folders = named_folders(options.source, options.clips)
    if not folders:
        print('no recordings: procedural sounds and speech alone; --clips DIR adds a clip library', file=sys.stderr)
    return folders


def load_corpus_recipe(path: Path) -> CorpusRecipe:
    """Return the `streams_corpus` section of a recipe; its defaults where the recipe has none. Raises RecipeError."""
    from training.corpus.recipe import CorpusRecipe

    return check_section(CorpusRecipe, 'streams_corpus', path)


def named_folders(given: Sequence[str], clips: Sequence[Path]) -> dict[str, Path]:
    """Return each folder by its name, from `NAME=DIR` and the folders of clips: 'clips', 'clips-2' ….

    Raises CorpusError for what is no such pair, or is given twice.
    """
    from training.sources import find_source
    from training.sources.clip_folder import library_name

    folders: dict[str, Path] = {}
    for pair in [*given, *(f'{library_name(number)}={folder}' for number, folder in enumerate(clips))]:
        name, equals, folder = pair.partition('=')
        if not equals or not folder:
            raise CorpusError(f"--source {pair}: give a name and a folder, such as musan=DIR; see 'corpus sources'")
        if find_source(name).name in folders:
            raise CorpusError(f"source '{name}' is given twice; give one folder for it")
        path = Path(folder).expanduser()
        if path in folders.values():
            raise CorpusError(f"folder '{path}' is given twice; name it once")
        folders[name] = path
    return folders


def list_sources() -> list[dict[str, object]]:
    """Print a table of every source there is; return its rows."""
    from rich.console import Console
    from rich.table import Table

    from training.sources import SOURCES

    columns = ('name', 'title', 'family', 'licence', 'layout', 'homepage')
    rows: list[dict[str, object]] = [{key: getattr(each, key) for key in columns} for each in SOURCES.values()]
    table = Table(title='Sources of corpus build --source NAME=DIR', show_lines=True)
    for column in columns:
        table.add_column(column, overflow='fold', no_wrap=column == 'name')
    for row in rows:
        table.add_row(*('\n'.join(cell) if isinstance(cell, tuple) else str(cell) for cell in row.values()))
    Console().print(table)
    return rows


def run(options: argparse.Namespace) -> int:
    """Do what was asked; the last line printed is JSON."""
    if options.corpus_command == 'build':
        from training.corpus.build import build

        recipe = load_corpus_recipe(recipe_path(options.recipe))
        hours = recipe.hours if options.hours is None else options.hours
        if hours <= 0 or options.workers < 1:
            raise CorpusError(f'--hours {hours:g} --workers {options.workers}: give more than nothing of both')
        summary = build(recipe, sources_of(options), hours, options.seed, options.workers, options.out)
        print(json.dumps(summary))
        return PARTLY if summary['unreadable'] or summary['damaged'] else 0
    if options.corpus_command == 'sources':
        print(json.dumps({'sources': list_sources()}))
        return 0
    if options.corpus_command == 'sounds':
        from training.procedural.contact_sheet import write_contact_sheet
        from training.procedural.registry import ALL_TYPES

        write_contact_sheet(ALL_TYPES.values(), options.out, options.seed)
        print(json.dumps({'sounds': str(options.out), 'types': len(ALL_TYPES)}))
        return 0
    if options.corpus_command == 'verify':
        from training.corpus.verify import verify

        findings = verify(options.corpus)
        print(json.dumps(findings.as_dict()))
        return 1 if findings.counts else 0
    from training.corpus.report import write_report

    page = options.out or options.corpus / 'report.html'
    print(json.dumps({'report': str(page)} | write_report(options.corpus, page)))
    return 0
