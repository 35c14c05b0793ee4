"""`python -m training ablate`: corpora, training and scores of every variant, and one table beside the paper's."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from training.ablate.variants import BASELINE, STAGES, VARIANTS
from training.corpus.command import add_source_arguments, sources_of
from training.recipe_file import recipe_path
from training.stages import TrainingError


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `ablate` to argparse's sub-parsers."""
    parser = commands.add_parser('ablate', help='measure what each part of the method is worth; run again to resume')
    parser.add_argument(
        '--recipe',
        default='embedded',
        help='recipe of the baseline: a YAML file, or a name in training/recipes (default: %(default)s)',
    )
    add_source_arguments(parser)
    parser.add_argument(
        '--hours', type=float, default=5.0, help='about how many hours of streams a corpus has (default: %(default)s)'
    )
    parser.add_argument(
        '--steps',
        type=int,
        default=200,
        help='how many steps the longest stage takes; the others keep their proportion to it (default: %(default)s)',
    )
    parser.add_argument(
        '--start',
        type=Path,
        help="checkpoint directory whose encoder stands in for the recipe's stage 0, or whose weights are all taken "
        'where the recipe has no stage 0 (default: none, begin with stage 0)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=[name for name in VARIANTS if name != BASELINE],
        metavar='NAME',
        help='variants to train and score beside the baseline (default: all of %(choices)s)',
    )
    parser.add_argument(
        '--stop-after-minutes',
        type=float,
        help='keep the state and stop after so many minutes; run again to go on (default: no limit)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=len(os.sched_getaffinity(0)),
        help='how many processes build corpora (default: %(default)s, one for each processor)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('ablation'),
        help='folder for corpora, runs, scores and tables (default: %(default)s)',
    )


def run(options: argparse.Namespace) -> int:
    """Train, score and write the tables; the last line printed is JSON. Return the exit code."""
    if options.hours <= 0 or options.steps < 1 or options.workers < 1:
        raise TrainingError(
            f'--hours {options.hours:g} --steps {options.steps} --workers {options.workers}: give more than nothing of '
            'each'
        )
    if int(os.environ.get('WORLD_SIZE', '1')) > 1:
        raise TrainingError('ablate trains in one process; start it without torchrun or deepspeed')
    from training.ablate.ablation import Ablation, ablate
    from training.ablate.table import results, write_tables
    from training.recipe import load_training_recipe

    recipe = load_training_recipe(recipe_path(options.recipe))
    if len(recipe.stages) != STAGES:
        raise TrainingError(
            f"recipe '{recipe.name}' has {len(recipe.stages)} stages and variants are compared after each of "
            f"{STAGES}; give one that has them all, such as 'embedded'"
        )
    ablation = Ablation(
        recipe, sources_of(options), options.hours, options.steps, options.workers, options.out, options.start
    )
    minutes = options.stop_after_minutes
    scores = ablate(ablation, options.only, None if minutes is None else 60.0 * minutes)
    wanted = [BASELINE, *(options.only or (name for name in VARIANTS if name != BASELINE))]
    left = [name for name in wanted if name not in scores]
    summary: dict[str, object] = {'finished': not left, 'left': left, 'recipe': recipe.name} | {
        'hours': options.hours,
        'steps': options.steps,
        'seed': recipe.seed,
        'start': str(options.start) if options.start else None,
    }
    if scores:
        tested = scores[BASELINE]
        hours = sum(tested.counts['hours'])
        part = 'the encoder' if recipe.encoder else 'the weights'
        begun = f', begun with {part} of {options.start}' if options.start else ''
        facts = (
            f'Recipe {recipe.name}, seed {recipe.seed}: {options.hours:g} hours of streams a corpus, {options.steps} '
            f'steps in the longest stage{begun}; scored on {len(tested.streams)} streams, {hours:.2f} hours.'
        )
        found = results(scores, recipe.seed)
        markdown, page = write_tables(found, facts, options.out)
        summary |= {'test_streams': len(tested.streams), 'test_hours': round(hours, 3), 'variants': found}
        summary |= {'table': str(markdown), 'report': str(page)}
    print(json.dumps(summary, ensure_ascii=False))
    return 0
