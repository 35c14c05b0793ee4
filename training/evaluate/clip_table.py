"""The CSV of `evaluate clips`: every stream with what was said, when and how sure; and every clip that is left out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from training.evaluate.clip_sets import LeftOut
from training.evaluate.judged import Judged

COLUMNS = (
    'set', 'file', 'source_id', 'recording', 'category', 'respond', 'noise', 'snr_db', 'answered', 'well_decided',
    'said', 'right_category', 'onset_to_response_s', 'probability', 'yamnet_hazard', 'yamnet_category', 'yamnet_probe',
    'left_out',
)  # fmt: skip


def write_table(judged: Sequence[Judged], left_out: Sequence[LeftOut], path: Path) -> None:
    """Write a row for each stream and then for each clip that is left out, with the reason.

    `probability` is the highest P(response) while an answer was in place; what is not defined is an empty cell. Raises
    OSError where the file cannot be written.
    """
    with path.open('w', newline='', encoding='utf-8') as file:
        table = csv.DictWriter(file, COLUMNS, restval='', lineterminator='\n')
        table.writeheader()
        table.writerows(_row(one) for one in judged)
        table.writerows(
            {
                'set': one.library,
                'file': one.file,
                'source_id': one.clip.source_id,
                'recording': one.clip.recording,
                'category': one.clip.category,
                'left_out': one.reason,
            }
            for one in left_out
        )


def _row(one: Judged) -> dict[str, object]:
    trial, scored = one.trial, one.scored
    row: dict[str, object | None] = {
        'set': one.set.name,
        'file': scored.file,
        'source_id': scored.sound.source_id,
        'recording': scored.recording,
        'category': scored.label,
        'respond': int(trial.respond),
        'noise': 'drawn' if one.drawn else 'fixed',
        'snr_db': round(trial.snr_db or 0.0, 1),
        'answered': int(trial.answered),
        'well_decided': int(trial.well_decided),
        'said': trial.said,
        'right_category': None if trial.correct is None else int(trial.correct),
        'onset_to_response_s': None if one.answer_s is None else round(one.answer_s, 3),
        'probability': round(trial.score or 0.0, 4),
    }
    if one.yardstick:
        probe = one.yardstick.probe
        row |= {
            'yamnet_hazard': round(one.yardstick.hazard, 4),
            'yamnet_category': one.yardstick.category,
            'yamnet_probe': None if probe is None else round(probe, 4),
        }
    return {name: '' if value is None else value for name, value in row.items()}
