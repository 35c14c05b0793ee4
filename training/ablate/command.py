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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ablate` to its parser."""
    parser.add_argument('--recipe', default='embedded', help='a YAML file, or a name in training/recipes')
    add_source_arguments(parser)
    parser.add_argument(
        '--hours', type=float, default=5.0, help='about so much sound in a corpus (default: %(default)s)'
    )
    parser.add_argument(
        '--steps', type=int, default=200, help='of the longest stage, the others in proportion (default: %(default)s)'
    )
    parser.add_argument(
        '--start',
        type=Path,
        help="checkpoint directory: its encoder in place of the recipe's stage 0, or all of it where there is none",
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=[name for name in VARIANTS if name != BASELINE],
        metavar='NAME',
        help='these variants, and the baseline that they are compared with: %(choices)s',
    )
    parser.add_argument('--stop-after-minutes', type=float, help='then keep the state and stop; run again to go on')
    parser.add_argument(
        '--workers', type=int, default=len(os.sched_getaffinity(0)), help='processes that build corpora'
    )
    parser.add_argument('--out', type=Path, default=Path('ablation'), help='folder of all of it (default: %(default)s)')


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
