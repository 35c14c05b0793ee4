"""Labels of a recording: what sounds when, and whether it deserves an answer."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from audio_interaction_ros.files import replacing
from audio_interaction_ros.matching import SceneEvent

COLUMNS = ('onset_s', 'end_s', 'category', 'respond', 'text')


class LabelsError(ValueError):
    """A `LabelsError` says what is wrong with a file of labels, and where."""


def read_labels(path: Path, may_be_empty: bool = False) -> list[SceneEvent]:
    """Return the labelled events of a recording in order of onset, from a CSV file.

    Its columns are onset_s, end_s, category and respond (1 or 0; without the column all deserve an answer), in seconds
    from the first sample of sound, and text, the words that are spoken, for whoever wants them. Raises LabelsError,
    naming the line; also for a file without events, unless it `may_be_empty`.
    """
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file, restval=''))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"'{path}' is not a readable CSV file ({error}); give the labels of the bag") from error
    events = []
    for number, row in enumerate(rows, 2):
        try:
            respond = {'1': True, '0': False}[row.get('respond') or '1']
            event = SceneEvent(
                onset_s=float(row['onset_s']),
                end_s=float(row['end_s']),
                category=row['category'],
                hazard=respond,
                text=' '.join((row.get('text') or '').split()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LabelsError(
                f"'{path}', line {number}: {error!r}; give onset_s, end_s (seconds), category and respond (1 or 0)"
            ) from error
        if not 0 <= event.onset_s < event.end_s < math.inf:
            raise LabelsError(f"'{path}', line {number}: from {event.onset_s:g} to {event.end_s:g} s; end after onset")
        events.append(event)
    if not events and not may_be_empty:
        raise LabelsError(f"'{path}' has no labels; give onset_s, end_s, category and respond, one event a line")
    return sorted(events, key=lambda event: event.onset_s)


def labels_beside(recording: Path) -> Path:
    """Return where the labels of an audio file or a bag are: beside it, under its name."""
    return recording.with_name(f'{recording.name if recording.is_dir() else recording.stem}.csv')


def write_labels(path: Path, events: Sequence[SceneEvent]) -> None:
    """Write the labels of a recording as `read_labels` reads them, in order of onset, to the millisecond.

    The file is there as a whole or as it was before. Raises OSError.
    """
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator='\n')
    writer.writerow(COLUMNS)
    for event in sorted(events, key=lambda event: (event.onset_s, event.end_s)):
        times = (f'{event.onset_s:.3f}', f'{event.end_s:.3f}')
        writer.writerow([*times, event.category, int(event.hazard), event.text])
    with replacing(path) as file:
        file.write(rows.getvalue().encode())
