"""`python -m training prove`: the GPU proof, as tools/gpu_proof.sh starts it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

_PARTS = ('graphs', 'losses', 'resume', 'step', 'decode')  # those of `parts`, which takes seconds to import
_MINUTES = 12.0  # at full size


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `prove` to argparse's sub-parsers."""
    parser = commands.add_parser(
        'prove', help='show on one GPU that training and decoding work there; run again for what is not done'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for gpu-proof.json and gpu-proof.txt')
    parser.add_argument('--miniature', action='store_true', help='every part small, as is done where there is no GPU')
    parser.add_argument(
        '--only', choices=_PARTS, action='append', default=[], help='this part, again for each (default: all)'
    )
    parser.add_argument('--minutes', type=float, help=f'for all of it (default: {_MINUTES:g}; a miniature has more)')


def run(options: argparse.Namespace) -> int:
    """Prove what is not proven yet; the last line printed is JSON. Return 0 where every part has passed, else 1."""
    import torch

    from training.proof import runner
    from training.proof.processes import import_once
    from training.proof.record import JSON, TABLE, table
    from training.proof.sizes import SIZES

    import_once()
    proof = runner.begin(options.out, options.miniature)
    if proof.size == 'miniature':
        torch.set_num_threads(1)  # too small to share between cores
        why = 'as asked for' if options.miniature else 'because PyTorch finds no GPU here'
        print(f'at miniature size, {why}: the same code, and no figure of it says how fast a GPU is', flush=True)
    print(f'on {proof.device}, {proof.gpu_gb:g} GB; into {options.out}', flush=True)
    minutes = _MINUTES * SIZES[proof.size].patience if options.minutes is None else options.minutes
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what a part started ends, too
    try:
        proof = runner.prove(proof, options.out, options.only, 60.0 * minutes, lambda line: print(line, flush=True))
    finally:
        signal.signal(signal.SIGTERM, before)
    print(table(proof), end='')
    print(f'written: {options.out / TABLE}')
    failed = [name for name in proof.wanted if name in proof.parts and proof.parts[name].status != 'passed']
    missing = [name for name in proof.wanted if name not in proof.parts]
    print(json.dumps({'passed': proof.passed, 'failed': failed, 'not_done': missing, 'json': str(options.out / JSON)}))
    return 0 if proof.passed else 1
