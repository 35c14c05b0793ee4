"""The parts of a proof, one after the other: each in a process and a time of its own, kept once it is done."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from training import provenance
from training.files import write_whole
from training.proof import ProofError
from training.proof.parts import GPU_BYTES, PARTS, Part, describe
from training.proof.processes import end_all, finish, how_it_ended, start
from training.proof.record import Figure, PartRecord, Proof, Status, read
from training.proof.sizes import FULL, MINIATURE, SIZES, Size

_WORK = 'work'  # below the folder of a proof, while it is made
_FIGURES, _WHY, _LOG = 'figures.json', 'why.txt', 'log.txt'
_LINES = 30  # of a log that are kept


def begin(out: Path, miniature: bool) -> Proof:
    """Return the proof to go on with: what the folder holds, or a new one for this machine.

    Without a GPU it is a miniature. Raises ProofError for a folder with a proof of another size or device, and for a
    GPU that is too small for the full size.
    """
    work = out / _WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProofError(f"'{out}' cannot be made ({error}); give another --out") from error
    finish(start(describe, work / 'device.json'), 'the look at the device')
    device = json.loads((work / 'device.json').read_text())
    size = MINIATURE if miniature or not device['bytes'] else FULL
    if size is FULL and device['bytes'] < GPU_BYTES:
        raise ProofError(
            f'{device["name"]} has {device["bytes"] / 1e9:.0f} GB and the full size needs {GPU_BYTES / 1e9:.0f}; take '
            'a larger GPU, or give --miniature to try every part small'
        )
    proof = Proof(
        size=size.name,
        device=device['name'],
        gpu_gb=round(device['bytes'] / 1e9, 1),
        versions={'torch': torch.__version__, 'cuda': str(torch.version.cuda), 'python': platform.python_version()},
        code=provenance.code(),
        wanted=tuple(part.name for part in PARTS),
    )
    before = read(out)
    if before is None:
        return proof
    if (before.size, before.device) != (proof.size, proof.device):
        raise ProofError(
            f"'{out}' holds a proof of {before.size} size on {before.device}, and this is {proof.size} on "
            f'{proof.device}; give another --out'
        )
    return proof.model_copy(update={'parts': {name: part for name, part in before.parts.items() if _is_done(part)}})


def prove(proof: Proof, out: Path, only: Sequence[str], limit_s: float, say: Callable[[str], None]) -> Proof:
    """Do the parts that are not done yet, in `limit_s` altogether, and keep each of them at once; return the proof.

    `only`: the names of those to do now; empty: all. Raises ProofError where the folder cannot be written.
    """
    size = SIZES[proof.size]
    deadline = time.monotonic() + limit_s
    for part in PARTS:
        if only and part.name not in only:
            continue
        if part.name in proof.parts:
            say(f'{part.name}: done before, {proof.parts[part.name].status}')
            continue
        budget_s = min(part.budget_s * size.patience, deadline - time.monotonic())
        say(f'{part.name}: {part.about}; {max(budget_s, 0.0):.0f} s at most')
        record = _do(part, size, out / _WORK / part.name, budget_s)
        proof = proof.model_copy(update={'parts': {**proof.parts, part.name: record}})
        proof.save(out)
        say(f'{part.name}: {record.status} in {record.seconds:.0f} s{": " * bool(record.why)}{record.why}')
    shutil.rmtree(out / _WORK, ignore_errors=True)
    return proof


def _is_done(part: PartRecord) -> bool:
    return part.status != 'failed'


def _do(part: Part, size: Size, folder: Path, budget_s: float) -> PartRecord:
    """A part in a process of its own; what it had measured counts also where it failed."""
    if budget_s <= 0:
        return PartRecord(
            status='failed', seconds=0, figures=(), why='no time was left for it; run the same command again'
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    process = start(_in_the_process, part, size, folder)
    try:
        process.join(budget_s)
        in_time = not process.is_alive()
    finally:
        end_all(process)
    seconds = round(time.monotonic() - began, 1)
    figures = _figures(folder)
    why = (folder / _WHY).read_text() if (folder / _WHY).exists() else ''
    if not in_time:
        why = f'it took longer than the {budget_s:.0f} s that it has'
    elif process.exitcode and not why:
        why = f'its process {how_it_ended(process.exitcode)}'
    log = (folder / _LOG).read_text(errors='replace').splitlines() if (folder / _LOG).exists() else []
    shutil.rmtree(folder, ignore_errors=True)
    status: Status = 'failed' if why else 'passed' if all(figure.reached for figure in figures) else 'missed'
    return PartRecord(status=status, seconds=seconds, figures=figures, why=why, log=tuple(log[-_LINES:] if why else ()))


def _figures(folder: Path) -> tuple[Figure, ...]:
    path = folder / _FIGURES
    return tuple(Figure.model_validate(row) for row in json.loads(path.read_text())) if path.exists() else ()


def _in_the_process(part: Part, size: Size, folder: Path) -> None:
    """Keep every figure of a part when it is there, and in one sentence what stopped it."""
    os.setsid()  # the head of all that it starts, so that they can be ended together
    log = (folder / _LOG).open('w', buffering=1)
    for number in (1, 2):  # what it starts writes there, too
        os.dup2(log.fileno(), number)
    sys.stdout = sys.stderr = log
    figures: list[Figure] = []
    (inside := folder / 'files').mkdir()
    try:
        for figure in part.work(size, inside):
            figures.append(figure)
            write_whole(folder / _FIGURES, json.dumps([one.model_dump() for one in figures]).encode())
    except Exception as error:
        traceback.print_exc()
        said = ' '.join(str(error).split()) or 'no reason given'
        kind = '' if isinstance(error, ProofError) else f'{type(error).__name__}: '
        write_whole(folder / _WHY, f'{kind}{said}'.encode())
        raise SystemExit(1) from error
