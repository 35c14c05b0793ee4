"""`python -m training …`: make a checkpoint and find out how well it hears."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch

from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.model.checkpoint import CheckpointError, find_checkpoint
from training.corpus import CorpusError
from training.corpus import command as corpus_command
from training.corpus.clips import ClipLibraryError
from training.corpus.speech import SpeechError
from training.recipe import RecipeError, recipe_path
from training.stages.trainer import TrainingError

LIBRARY = Path(__file__).resolve().parents[2] / 'shared' / 'clips'  # beside the checkout


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 after one sentence about what is wrong."""
    parser = argparse.ArgumentParser(
        prog='python -m training',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python -m training train --recipe embedded --clips ~/clips --out checkpoints/embedded\n'
        '  python -m training evaluate --checkpoint checkpoints/embedded --clips ~/clips\n'
        '  python -m training corpus build --clips ~/clips --hours 2 --out corpus\n'
        "A clip library is a folder with audio files and a manifest.csv; see 'Training' in the README.",
    )
    commands = parser.add_subparsers(dest='command', required=True)
    train_parser = commands.add_parser('train', help='make a checkpoint; run again to resume')
    train_parser.add_argument('--recipe', default='embedded', help='a YAML file, or a name in training/recipes')
    train_parser.add_argument('--run', type=Path, help='working directory (default: runs/<recipe>)')
    train_parser.add_argument('--out', type=Path, help='checkpoint directory (default: <run>/checkpoint)')
    evaluate_parser = commands.add_parser('evaluate', help='held-out recordings and an hour of ordinary sound')
    evaluate_parser.add_argument('--checkpoint', default='embedded')
    evaluate_parser.add_argument('--ordinary-s', type=float, default=3600.0, help='seconds of ordinary sound')
    evaluate_parser.add_argument('--seed', type=int, default=1)
    scene_parser = commands.add_parser('scene', help='make the demo scene from held-out recordings')
    scene_parser.add_argument('--out', type=Path, default=Path('demo'))
    scene_parser.add_argument('--seed', type=int, default=1)
    for sub in (train_parser, evaluate_parser, scene_parser):
        sub.add_argument('--clips', type=Path, default=LIBRARY, help='clip library (default: %(default)s)')
    corpus_command.add_parser(commands, LIBRARY)
    options = parser.parse_args(argv)
    # One stream's passes are too small to share between cores; a training batch's are not.
    torch.set_num_threads(len(os.sched_getaffinity(0)) if options.command == 'train' else 1)
    try:
        if options.command == 'train':
            from training.train import train

            run = options.run or Path('runs') / Path(options.recipe).stem
            train(recipe_path(options.recipe), options.clips, run, options.out or run / 'checkpoint')
        elif options.command == 'evaluate':
            from training.evaluate.validation import evaluate

            figures = evaluate(find_checkpoint(options.checkpoint), options.clips, options.seed, options.ordinary_s)
            print(json.dumps(figures))
        elif options.command == 'corpus':
            return corpus_command.run(options)
        else:
            from training.corpus.scene import make_scene

            print(json.dumps(make_scene(options.clips, options.out, options.seed)))
    except (
        AudioFormatError,
        CheckpointError,
        ClipLibraryError,
        CorpusError,
        RecipeError,
        SpeechError,
        TrainingError,
    ) as error:
        print(f'python -m training: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
