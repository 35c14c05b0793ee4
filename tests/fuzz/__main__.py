"""Fuzzing that goes on: every property of this folder with ever new cases, until the time is up.

python -m tests.fuzz --minutes 60             # `make fuzz MINUTES=60`
python -m tests.fuzz --seed 7 --kind stamps   # one round again, of one kind
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = sorted(file.stem.removeprefix('test_') for file in FOLDER.glob('test_*.py'))
KEPT = Path('.hypothesis', 'fuzz')  # beside the smallest failing cases, which Hypothesis keeps and tries first


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser('make fuzz', description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--minutes', type=float, default=0.0, help='for so long, but at least one round')
    parser.add_argument('--seed', type=int, help='of the first round; the following ones count up (default: random)')
    parser.add_argument('--kind', action='append', choices=KINDS, help='only this one; may be repeated (default: all)')
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    kinds = given.kind or KINDS
    end_s = time.monotonic() + given.minutes * 60
    tried: Counter[str] = Counter()
    failed: dict[str, int] = {}  # kind → seed
    for number, kind in enumerate(itertools.cycle(kinds)):
        round_number = number // len(kinds)
        if round_number and (time.monotonic() >= end_s or len(failed) == len(kinds)):
            break
        if kind in failed:  # it would fail again, and is to be mended first
            continue
        passed, cases = try_kind(kind, seed + round_number)
        tried[kind] += cases
        if not passed:
            failed[kind] = seed + round_number
        print(f'{"held" if passed else "FAILED"}: {kind}, seed {seed + round_number}, {cases} cases', flush=True)
    print()
    for kind in kinds:
        print(f'{kind:<14}{tried[kind]:>9} cases  {f"FAILED with seed {failed[kind]}" if kind in failed else "held"}')
    print(f'{"all":<14}{tried.total():>9} cases')
    for kind, failing in failed.items():
        print(f'to see {KEPT / name_of(kind, failing)} again: python -m tests.fuzz --kind {kind} --seed {failing}')
    return int(bool(failed))


def name_of(kind: str, seed: int) -> str:
    return f'{kind}-{seed}.txt'


def try_kind(kind: str, seed: int) -> tuple[bool, int]:
    """Whether every property of a kind held in a round with this seed, and how many cases were tried.

    What fails is printed with its smallest case, and kept.
    """
    with tempfile.TemporaryDirectory() as scratch:
        counts = Path(scratch, 'counts.json')
        command = [sys.executable, '-m', 'pytest', '-q', '--tb=short', '-p', 'no:cacheprovider', '-o', 'timeout=0']
        command.append(f'--confcutdir={FOLDER}')  # the fixtures of other tests load PyTorch
        done = subprocess.run(
            [*command, f'--basetemp={scratch}/pytest', f'--hypothesis-seed={seed}', FOLDER / f'test_{kind}.py'],
            env=os.environ | {'FUZZ_COUNTS': str(counts)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        cases = json.loads(counts.read_text())[kind] if counts.exists() else 0
    if done.returncode:
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / name_of(kind, seed)).write_text(done.stdout, encoding='utf-8')
        print(done.stdout, flush=True)
    return done.returncode == 0, cases


if __name__ == '__main__':
    sys.exit(main())
