"""`audio-interaction checkpoint`: what a checkpoint is, whether it is in order, and how others become ours."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import reported
from audio_interaction_ros.cli.parsers import add_action, add_command

if TYPE_CHECKING:
    from torch import Tensor

_DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16', 'fp32': 'float32'}
_EPILOG = """\
The last line printed is JSON. All end with exit code 1 when something is wrong, and say what.

examples:
  audio-interaction checkpoint info embedded
  audio-interaction checkpoint verify checkpoints/mine
  audio-interaction checkpoint fetch runs/mine/checkpoint/change --parts parts --out checkpoints/mine
  audio-interaction checkpoint convert downloads/Audio-Interaction checkpoints/full --dtype bf16
  audio-interaction checkpoint convert downloads/Qwen2.5-Omni-3B checkpoints/untrained
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'checkpoint',
        'look at a checkpoint, check it, assemble it from a change, or convert a foreign one',
        'What a checkpoint is, whether it is in order, and how changes and foreign ones become one of this package’s.',
        _EPILOG,
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    info = add_action(
        actions, 'info', 'print shapes, sizes, protocol, digest and recipe of a checkpoint; loads no weights'
    )
    info.add_argument(
        'checkpoint',
        metavar='NAME_OR_DIR',
        help="this package's checkpoint, or Audio-Interaction as released, or Qwen2.5-Omni",
    )
    info.set_defaults(run=run_info)
    verify = add_action(
        actions, 'verify', 'check that every file is whole, that all fit together, and that the model computes'
    )
    verify.add_argument(
        'checkpoint', metavar='NAME_OR_DIR', help="directory or name of one of this package's checkpoints"
    )
    verify.set_defaults(run=run_verify)
    fetch = add_action(
        actions,
        'fetch',
        'assemble a checkpoint, once, from a change and the base weights that it stands on, and compare what it hears',
    )
    fetch.add_argument('change', metavar='NAME_OR_DIR', help='directory or name of a change, as training writes it')
    fetch.add_argument(
        '--parts',
        type=Path,
        default=Path('parts'),
        metavar='DIR',
        help='folder that has a directory of each base, as `python -m training parts` writes it (default: parts)',
    )
    fetch.add_argument(
        '--out',
        type=Path,
        metavar='NEW_DIR',
        help='new directory for the checkpoint, never overwritten (default: in the cache, where the name finds it)',
    )
    fetch.set_defaults(run=run_fetch)
    convert = add_action(
        actions,
        'convert',
        "make Audio-Interaction as released, or Qwen2.5-Omni, into one of this package's checkpoints",
    )
    convert.add_argument('source', type=Path, metavar='DIR', help='directory of the foreign checkpoint')
    convert.add_argument(
        'out', type=Path, metavar='NEW_DIR', help='new directory for the converted checkpoint; never overwritten'
    )
    convert.add_argument(
        '--dtype', choices=_DTYPES, help='number type to write the weights in (default: as they are stored)'
    )
    convert.add_argument(
        '--instruction',
        metavar='TEXT',
        help="system instruction that tells the model what to do (default: the package's)",
    )
    convert.set_defaults(run=run_convert)


def run_info(arguments: argparse.Namespace) -> int:
    """Print what a checkpoint is; return 0 for one of a known kind."""
    from audio_interaction_ros.model.checkpoint import CheckpointError, find_checkpoint
    from audio_interaction_ros.model.describe import describe

    with reported(CheckpointError):
        found = describe(find_checkpoint(arguments.checkpoint))
    _print_table(arguments.checkpoint, found)
    print(json.dumps(found, ensure_ascii=False))
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Print what is wrong with a checkpoint; return 0 when it is in order, else 1."""
    from audio_interaction_ros.model.checkpoint import CheckpointError, find_checkpoint
    from audio_interaction_ros.model.verify import verify

    with reported(CheckpointError):
        problems = verify(find_checkpoint(arguments.checkpoint))
    print('\n'.join(problems) if problems else f'{arguments.checkpoint}: in order')
    print(json.dumps({'checkpoint': arguments.checkpoint, 'problems': problems}, ensure_ascii=False))
    return 1 if problems else 0


def run_fetch(arguments: argparse.Namespace) -> int:
    """Assemble the checkpoint, unless it is in the cache already, and return 0."""
    from audio_interaction_ros.model.assemble import assemble
    from audio_interaction_ros.model.cache import assembled_at, is_change
    from audio_interaction_ros.model.change import Change
    from audio_interaction_ros.model.checkpoint import CheckpointConfig, CheckpointError, find_directory

    with reported(CheckpointError):
        directory = find_directory(arguments.change)
        if not is_change(directory):
            Change.load(directory)  # which says what it is instead
        out = arguments.out or assembled_at(directory)
        said: dict[str, object] = {'checkpoint': str(out), 'assembled': arguments.out is not None or not out.is_dir()}
        if said['assembled']:
            config, said['farthest_log_probability'] = assemble(directory, arguments.parts, out, _with_progress)
        else:
            config = CheckpointConfig.load(out)
    print(json.dumps(said | {'encoder_digest': config.encoder_digest}, ensure_ascii=False))
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    """Write the new checkpoint and return 0."""
    import torch

    from audio_interaction_ros.model.checkpoint import CheckpointError
    from audio_interaction_ros.model.convert import INSTRUCTION, convert

    dtype = getattr(torch, _DTYPES[arguments.dtype]) if arguments.dtype else None
    with reported(CheckpointError):
        config = convert(
            arguments.source, arguments.out, dtype, arguments.instruction or INSTRUCTION, track=_with_progress
        )
    print(json.dumps({'checkpoint': str(arguments.out), 'encoder_digest': config.encoder_digest}, ensure_ascii=False))
    return 0


def _with_progress(tensors: Iterator[tuple[str, Tensor]], total: int) -> Iterator[tuple[str, Tensor]]:
    from rich.console import Console
    from rich.progress import track

    return iter(track(tensors, 'tensors', total, console=Console(stderr=True)))


def _print_table(title: str, found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for name, value in found.items():
        if isinstance(value, Mapping):
            table.add_section()
            for inner, of_inner in value.items():
                table.add_row(f'{name}.{inner}', _cell(of_inner))
            table.add_section()
        else:
            table.add_row(name, _cell(value))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'{value:,}'
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
