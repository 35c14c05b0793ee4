"""`python -m training make RECIPE`: parts, corpus, training and card, one after the other, to the checkpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.card.command import add_measuring_arguments
from training.make import MakeError
from training.recipe_file import recipe_path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `make` to argparse's sub-parsers."""
    parser = commands.add_parser(
        'make',
        help='all of it: parts, corpus, train, card; run again to go on',
        description='Fetch the pretrained part that a recipe starts from, build the corpus, train, measure the card. '
        'Each step is the command of its own that is printed, and goes on after any interruption when this is run '
        'again. The checkpoint gets provenance.json: which code, recipe, recordings and parts made it. On several '
        "GPUs: run 'train' under torchrun with --run WORK/run and --corpus WORK/corpus, and then this.",
    )
    parser.add_argument('recipe', help='a YAML file, or a name in training/recipes')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='checkpoint directory')
    parser.add_argument(
        '--work', type=Path, required=True, metavar='DIR', help='folder of the corpus, the run, results'
    )
    parser.add_argument(
        '--clips',
        type=Path,
        action='append',
        default=[],
        metavar='DIR',
        help='clip library: its training side is trained on, its held-out side measured; again for each',
    )
    parser.add_argument(
        '--source',
        action='append',
        default=[],
        metavar='NAME=DIR',
        help="another corpus to train on, as 'corpus build' takes it; again for each",
    )
    parser.add_argument('--hours', type=float, help="of the corpus (default: the recipe's streams_corpus.hours)")
    parser.add_argument('--seed', type=int, help="of the corpus (default: 'corpus build' has it)")
    parser.add_argument('--workers', type=int, help="processes that build the corpus (default: 'corpus build' has it)")
    parser.add_argument(
        '--corpus', type=Path, metavar='DIR', help='a corpus that is there already, in place of building'
    )
    parser.add_argument('--start', type=Path, help='checkpoint directory to start from, as train takes it')
    parser.add_argument('--part', type=Path, metavar='PATH', help="file or directory of the recipe's pretrained part")
    parser.add_argument('--stop-after-minutes', type=float, help='then stop in good order; run again to go on')
    add_measuring_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make the checkpoint; the last line printed is JSON. Return the exit code."""
    from training.make.steps import Wanted, make

    if options.corpus is not None and (options.source or options.hours or options.seed is not None):
        raise MakeError('--corpus names one that is there already; leave out --source, --hours and --seed, or --corpus')
    named = [pair.partition('=') for pair in options.source]
    wanted = Wanted(
        recipe_path(options.recipe),
        options.out,
        options.work,
        (*_again('--clips', options.clips), *_again('--source', options.source)),
        (*options.clips, *(Path(folder).expanduser() for _, _, folder in named)),
        _given(options, 'hours', 'seed', 'workers'),
        options.corpus,
        options.start,
        options.part,
        (
            *_again('--clips', options.clips),
            *_again('--unseen', options.unseen),
            *_again('--scene', options.scene or []),
            *_again('--without', options.without),
            *_given(options, 'beside', 'against', 'streams', 'ordinary_s', 'card_seed'),
        ),
    )
    minutes = options.stop_after_minutes
    print(json.dumps(make(wanted, None if minutes is None else 60.0 * minutes), ensure_ascii=False))
    return 0


def _again(option: str, values: list[object]) -> tuple[str, ...]:
    return tuple(text for value in values for text in (option, str(value)))


def _given(options: argparse.Namespace, *names: str) -> tuple[str, ...]:
    given = [(name, getattr(options, name)) for name in names]
    return tuple(
        text for name, value in given if value is not None for text in (f'--{name.replace("_", "-")}', str(value))
    )
