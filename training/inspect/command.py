"""`python -m training inspect`: where chunks are joined and which heads decide, of any checkpoint."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from audio_interaction_ros.options import add_checkpoint_option
from training.inspect import InspectionError

_PAGE, _NUMBERS = 'inspection.html', 'inspection.json'


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `inspect` to argparse's sub-parsers."""
    parser = commands.add_parser('inspect', help='measure continuity across chunks, and which attention heads decide')
    add_checkpoint_option(parser)
    parser.add_argument('--corpus', type=Path, required=True, help="folder that 'corpus build' made")
    parser.add_argument(
        '--split',
        default='test',
        choices=('train', 'validation', 'test'),
        help='side of the corpus that is looked at (default: %(default)s)',
    )
    parser.add_argument(
        '--streams',
        type=int,
        default=16,
        help='how many streams of each category are looked at, at most (default: %(default)s)',
    )
    parser.add_argument(
        '--device', default='cpu', help='PyTorch device to compute on: cpu, cuda, cuda:1 … (default: cpu)'
    )
    parser.add_argument('--seed', type=int, default=1, help='seed of the bootstrap resamples (default: %(default)s)')
    parser.add_argument(
        '--out', type=Path, default=Path('inspection'), help=f'folder for {_PAGE} and {_NUMBERS} (default: %(default)s)'
    )


def run(options: argparse.Namespace) -> int:
    """Inspect a checkpoint and write page and numbers; the last line printed is JSON. Return the exit code."""
    if options.streams < 1:
        raise InspectionError(f'--streams is {options.streams}; at least one of each category is needed')
    from training.html import pages
    from training.inspect.inspection import inspect
    from training.inspect.page import numbers_of, sections

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InspectionError(f"'{options.out}' cannot be made ({error}); give another --out") from error
    inspection = inspect(options.checkpoint, options.device, options.corpus, options.split, options.streams)
    if inspection.without:
        print(
            f"'{options.corpus}' has no stream of {', '.join(inspection.without)} on the {options.split} side "
            'that fits into the language model; the figures are without',
            file=sys.stderr,
        )
    asked = {'checkpoint': options.checkpoint, 'split': options.split, 'seed': options.seed}
    numbers = asked | numbers_of(inspection, options.seed)
    page, file = options.out / _PAGE, options.out / _NUMBERS
    without = f' · none of {", ".join(inspection.without)}' if inspection.without else ''
    facts = f'{len(inspection.category_of)} streams of {options.corpus}, {options.split} side{without}'
    try:
        pages.write_page(page, f'Inside {options.checkpoint}', facts, sections(numbers))
        file.write_text(json.dumps(numbers, ensure_ascii=False) + '\n', encoding='utf-8')
    except OSError as error:
        raise InspectionError(f"'{options.out}' cannot be written ({error}); give another --out") from error
    continuity, heads = numbers['continuity'], numbers['heads']['by_category']
    summary = asked | {
        'streams': numbers['streams'],
        'without': numbers['without'],
        'continuity_ratio': dict(zip(continuity['places'], continuity['by_category']['all']['ratio'], strict=True)),
        'trigger_token_match': heads['all']['token_match']['all'],
        'strongest_head': {name: next(iter(found['strongest_by_token_match']), None) for name, found in heads.items()},
        'report': str(page),
        'numbers': str(file),
    }
    print(json.dumps(summary, ensure_ascii=False))
    return 0
