"""`python -m training corpus …`: build a corpus of streams, check it, look at it."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from training.corpus import CorpusError
from training.recipe import recipe_path

if TYPE_CHECKING:
    from training.corpus.build import CorpusRecipe


def add_parser(commands: argparse._SubParsersAction, library: Path) -> None:
    """Adds `corpus` and what it can do."""
    corpus = commands.add_parser('corpus', help='build, check and look at a corpus of streams').add_subparsers(
        dest='corpus_command', required=True
    )
    builder = corpus.add_parser('build', help='clips and recipe → training shards; run again to go on')
    builder.add_argument('--recipe', default='embedded', help='a YAML file, or a name in training/recipes')
    builder.add_argument('--clips', type=Path, default=library, help='clip library (default: %(default)s)')
    builder.add_argument('--hours', type=float, default=2.0, help='about so much sound (default: %(default)s)')
    builder.add_argument('--seed', type=int, default=7, help='the same seed gives the same bytes')
    builder.add_argument('--workers', type=int, default=len(os.sched_getaffinity(0)), help='processes')
    builder.add_argument('--out', type=Path, required=True, help='folder of the corpus')
    checker = corpus.add_parser('verify', help='labels, leaks, clipping, ratios; exit code 1 if anything is wrong')
    checker.add_argument('corpus', type=Path)
    reporter = corpus.add_parser('report', help='one HTML page with figures, licences and ten playable streams')
    reporter.add_argument('corpus', type=Path)
    reporter.add_argument('--out', type=Path, help='default: report.html in the corpus')


def load_corpus_recipe(path: Path) -> CorpusRecipe:
    """The `streams_corpus` section of a recipe; its defaults where the recipe has none. Raises CorpusError."""
    import yaml
    from pydantic import ValidationError

    from training.corpus.build import CorpusRecipe

    try:
        return CorpusRecipe.model_validate((yaml.safe_load(path.read_text()) or {}).get('streams_corpus', {}))
    except (OSError, yaml.YAMLError, ValidationError, AttributeError) as error:
        raise CorpusError(f"'{path}' is not a usable recipe: {error}") from error


def run(options: argparse.Namespace) -> int:
    """Do what was asked; the last line printed is JSON."""
    if options.corpus_command == 'build':
        from training.corpus.build import build

        if options.hours <= 0 or options.workers < 1:
            raise CorpusError(f'--hours {options.hours:g} --workers {options.workers}: give more than nothing of both')
        recipe = load_corpus_recipe(recipe_path(options.recipe))
        print(json.dumps(build(recipe, options.clips, options.hours, options.seed, options.workers, options.out)))
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
