"""`python -m training train …`: a corpus and a recipe → a checkpoint directory, or a dry run of the recipe."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from training.recipe_file import recipe_path
from training.stages import TrainingError

_GPUS = ('H100', 'H100 PCIe', 'H200', 'A100')  # those of `budget`, which takes seconds to import


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `train` to argparse's sub-parsers."""
    parser = commands.add_parser('train', help='make a checkpoint; run again to resume')
    parser.add_argument('--recipe', default='embedded', help='a YAML file, or a name in training/recipes')
    parser.add_argument('--corpus', type=Path, help="what 'corpus build' made; the stages read it")
    parser.add_argument('--start', type=Path, help='checkpoint directory to start from (weights, tokenizer, protocol)')
    parser.add_argument('--run', type=Path, help='working directory (default: runs/<recipe>)')
    parser.add_argument('--out', type=Path, help='checkpoint directory (default: <run>/checkpoint)')
    parser.add_argument('--stop-after-minutes', type=float, help='then keep the state and stop; run again to go on')
    parser.add_argument(
        '--dry-run', action='store_true', help='print what the recipe asks of the hardware, train nothing'
    )
    parser.add_argument('--here', action='store_true', help='in a dry run, also measure what it takes on this machine')
    parser.add_argument('--devices', type=int, help="GPUs of a dry run (default: the recipe's)")
    parser.add_argument('--gpu', choices=_GPUS, default='H100', help='kind of those (default: %(default)s)')
    parser.add_argument('--memory-gb', type=float, help="of each of them (default: that kind's)")
    parser.add_argument('--gpu-price', type=float, help='of an hour of one of them, in any currency: the cost, too')
    parser.add_argument('--corpus-hours', type=float, help="of a dry run's corpus (default: the recipe's)")


def run(options: argparse.Namespace) -> int:
    """Train, or print the dry run; the last line printed is JSON. Return the exit code."""
    path = recipe_path(options.recipe)
    if options.dry_run:
        from training.recipe import load_training_recipe
        from training.stages.budget import GPU_GB, Hardware, plan

        recipe = load_training_recipe(path)
        memory_gb = GPU_GB[options.gpu] if options.memory_gb is None else options.memory_gb
        hardware = Hardware(options.devices or recipe.devices, memory_gb, options.gpu, options.gpu_price)
        planned = plan(recipe, hardware, options.corpus_hours)
        if options.here:
            from training.stages.distributed import Devices
            from training.stages.timing import measure

            planned |= {'here': measure(recipe, Devices.join())}
        _print_once(planned)
        return 0
    folder = options.run or Path('runs') / path.stem
    if options.corpus is None:
        raise TrainingError("no --corpus; make one with 'python -m training corpus build'")
    from training.stages.preparation import Files
    from training.stages.run import train

    minutes = options.stop_after_minutes
    files = Files(path, options.corpus, folder, options.out or folder / 'checkpoint', options.start)
    reached = train(files, None if minutes is None else 60.0 * minutes)
    _print_once(reached)
    return 0


def _print_once(said: dict[str, object]) -> None:
    """By the first process of a run."""
    if os.environ.get('RANK', '0') == '0':
        print(json.dumps(said))
