"""`python -m training card CHECKPOINT`: measure what a model card says, and write its tables into the README."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from training.card import CardError

if TYPE_CHECKING:
    from training.card.measurements import Asked

_KINDS = ('corpus', 'demo', 'speed', 'sessions')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `card`."""
    parser.description = (
        'Measure a checkpoint, each figure by a command that anyone can run and that the card names, and write the '
        'tables between markers of its README.md; what stands outside them stays. Every result is kept as JSON, so '
        'that the same command goes on after an interruption.'
    )
    parser.add_argument('checkpoint', type=Path, help='checkpoint directory')
    add_measuring_arguments(parser)
    parser.add_argument(
        '--run', type=Path, help='folder of the run that made it: minutes and hours heard of each stage'
    )
    parser.add_argument('--out', type=Path, help='folder for results and pages (default: cards/ and the checkpoint)')
    parser.add_argument(
        '--readme', type=Path, help='page to write the tables into (default: README.md of the checkpoint)'
    )


def add_measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a checkpoint is measured on; `make` takes the same."""
    parser.add_argument(
        '--unseen',
        type=Path,
        action='append',
        default=[],
        metavar='DIR',
        help='clip library that nothing was trained on, scored as a whole; again for each',
    )
    parser.add_argument(
        '--against', type=Path, metavar='FILE', help="YAMNet, heard on the same streams, as 'evaluate clips' takes it"
    )
    parser.add_argument('--beside', type=Path, metavar='DIR', help='an older checkpoint, measured in the same run')
    parser.add_argument('--streams', type=int, metavar='N', help='score at most so many streams of the corpus')
    parser.add_argument(
        '--scene',
        type=Path,
        action='append',
        metavar='FILE',
        help='scene that the demo plays, with its JSON beside it; again for each (default: the one of the package)',
    )
    parser.add_argument(
        '--ordinary-s',
        type=float,
        default=3_600.0,
        help='seconds of ordinary sound of each library (default: %(default)g)',
    )
    parser.add_argument(
        '--card-seed', type=int, default=1, metavar='N', help='seed of all figures (default: %(default)s)'
    )
    parser.add_argument(
        '--without',
        action='append',
        default=[],
        choices=_KINDS,
        help='leave out: the streams of the corpus, the demo (which needs ROS), speed, sessions',
    )


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `card` to argparse's sub-parsers."""
    parser = commands.add_parser(
        'card', help="measure a checkpoint and write its model card's tables; run again to go on"
    )
    add_arguments(parser)
    parser.add_argument(
        '--clips',
        type=Path,
        action='append',
        default=[],
        metavar='DIR',
        help='clip library whose held-out side is scored; again for each',
    )
    parser.add_argument('--corpus', type=Path, metavar='DIR', help="what 'corpus build' made; its test side is scored")


def run(options: argparse.Namespace) -> int:
    """Write the tables; the last line printed is JSON. Return the exit code."""
    from training.card import tables
    from training.card.measurements import measure
    from training.card.page import put_sections

    checkpoint, asked = options.checkpoint, _asked(options)
    out = options.out or Path('cards') / checkpoint.resolve().name
    versions = [
        tables.Version(name, path, measure(path, asked, out))
        for name, path in _names([*([options.beside] if options.beside else []), checkpoint]).items()
    ]
    sections = {
        'recordings': ('Recordings', tables.recordings(versions)),
        'streams': ('Streams of all abilities', tables.streams(versions)),
        'running': ('On a robot', tables.running(versions)),
        'hazards': ('Hazards', tables.procedural(asked.corpus) if asked.corpus else ''),
        'training': ('Training', tables.training(checkpoint, options.run)),
        'licences': ('Licences and attribution', tables.licences(checkpoint)),
    }
    written = {name: section for name, section in sections.items() if section[1]}
    readme = options.readme or checkpoint / 'README.md'
    new = put_sections(readme, f'Model card: `{checkpoint.resolve().name}`', written)
    print(json.dumps({'card': str(readme), 'sections': list(written), 'new': new, 'results': str(out)}))
    return 0


def _asked(options: argparse.Namespace) -> Asked:
    from audio_interaction_ros.resources import shared_path
    from training.card.measurements import Asked

    if options.streams is not None and options.streams < 1:
        raise CardError(f'--streams {options.streams}: give one or more, or leave it out for all')
    scenes = options.scene
    if scenes is None:
        shipped = shared_path('demo/scene.flac')
        scenes = [shipped] if shipped else []
    return Asked(
        tuple(options.clips),
        tuple(options.unseen),
        options.against,
        options.corpus,
        options.streams,
        tuple(scenes),
        options.ordinary_s,
        options.card_seed,
        frozenset(options.without),
    )


def _names(checkpoints: list[Path]) -> dict[str, Path]:
    """A column's name is that of the directory, with the one above it where two are called the same."""
    if len({path.resolve() for path in checkpoints}) < len(checkpoints):
        raise CardError(f"--beside is '{checkpoints[0]}', the checkpoint itself; give another")
    short = [path.resolve().name for path in checkpoints]
    whole = ['/'.join(path.resolve().parts[-2:]) for path in checkpoints]
    return dict(zip(short if len(set(short)) == len(short) else whole, checkpoints, strict=True))
