"""The record of a proof is one JSON file and the same as a table to read; both are written after every part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.files import write_whole
from training.proof import ProofError

JSON, TABLE = 'gpu-proof.json', 'gpu-proof.txt'
_PASSED = 'passed'  # for whoever reads the file; it follows from the parts
Status = Literal['passed', 'missed', 'failed']


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, ser_json_inf_nan='strings')


class Figure(_Record):
    """A `Figure` is what was measured, in a unit, with the goal it is to reach; neither limit: it is for the reader."""

    name: str
    value: float
    unit: str = ''
    at_most: float | None = None
    at_least: float | None = None

    @property
    def reached(self) -> bool:
        """Return whether it is within its limits; not a number is within none."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    @property
    def goal(self) -> str:
        """Return the limits in words; empty where there are none."""
        limits = (('≥', self.at_least), ('≤', self.at_most))
        return ' and '.join(f'{sign} {limit:.4g}' for sign, limit in limits if limit is not None)


class PartRecord(_Record):
    """A `PartRecord` is what became of a part: `passed`, `missed` (measured, and a goal is not reached), or `failed`.

    `why`: one sentence where it failed; `log`: the last lines that it printed then.
    """

    status: Status
    seconds: float
    figures: tuple[Figure, ...]
    why: str = ''
    log: tuple[str, ...] = ()


class Proof(_Record):
    """A `Proof` holds what was proven, on which machine and by which code; `wanted` are the parts that it has."""

    size: Literal['full', 'miniature']
    device: str
    gpu_gb: float = Field(description='memory of the GPU, in decimal GB; 0 where there is none')
    versions: dict[str, str]
    code: dict[str, object]
    wanted: tuple[str, ...]
    parts: dict[str, PartRecord] = {}

    @property
    def passed(self) -> bool:
        """Return whether every wanted part passed."""
        return all(name in self.parts and self.parts[name].status == 'passed' for name in self.wanted)

    def save(self, out: Path) -> None:
        """Write JSON and table into a folder. Raises ProofError where that cannot be."""
        try:
            said = {_PASSED: self.passed, **self.model_dump(mode='json')}
            write_whole(out / JSON, (json.dumps(said, indent=1, ensure_ascii=False) + '\n').encode())
            write_whole(out / TABLE, table(self).encode())
        except OSError as error:
            raise ProofError(f"'{out}' cannot be written ({error}); give another --out, or make room") from error


def read(out: Path) -> Proof | None:
    """Return the proof in a folder, None where there is none. Raises ProofError for a file that is damaged."""
    path = out / JSON
    try:
        if not path.exists():
            return None
        said = json.loads(path.read_bytes())
        return Proof.model_validate({name: value for name, value in said.items() if name != _PASSED})
    except (OSError, ValueError, AttributeError) as error:  # no JSON, or of something else
        problem = str(error).splitlines()[0]
        raise ProofError(f"'{path}' is no record of a proof ({problem}); give another --out, or remove it") from error


def table(proof: Proof) -> str:
    """Return a proof as text: a line a figure, with its goal, and what became of every part."""
    passed = sum(part.status == 'passed' for part in proof.parts.values())
    lines = [f'GPU proof, {proof.size} size, on {proof.device}: {passed} of {len(proof.wanted)} parts passed']
    if proof.size == 'miniature':
        lines.append('At miniature size, times, throughput and memory have no goals: they say nothing of a GPU.')
    rows = [('part', 'figure', 'measured', 'goal', '')]
    for name in proof.wanted:
        part = proof.parts.get(name)
        if part is None:
            rows.append((name, 'not done yet', '', '', ''))
            continue
        rows.append((name, f'{part.status} in {part.seconds:.0f} s', '', '', ''))
        for figure in part.figures:
            verdict = '' if not figure.goal else 'reached' if figure.reached else 'MISSED'
            rows.append(('', figure.name, f'{figure.value:.4g} {figure.unit}'.rstrip(), figure.goal, verdict))
        if part.why:
            rows.append(('', f'FAILED: {part.why}', '', '', ''))
    # A sentence may be longer than its column.
    widths = [max(len(row[column]) for row in rows if row[2] or not column) for column in range(5)]
    lines += ['', *('  '.join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return '\n'.join(lines) + '\n'
