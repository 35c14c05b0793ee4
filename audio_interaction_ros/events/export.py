"""Flagged events as a training clip library: a robot's false alarms become what its next checkpoint learns from."""

from __future__ import annotations

import csv
import re
import shutil
from datetime import datetime, timezone
from pathlib import Path

import soundfile

from audio_interaction_ros.events.explain import printable
from audio_interaction_ros.events.log import EventLog, EventLogError, FlagVerdict, LogEntry

# In the order of the clip libraries that `training` reads.
COLUMNS = (
    'path', 'duration_s', 'sample_rate_orig', 'category', 'caption', 'source', 'source_id', 'fold', 'licence',
    'attribution', 'respond',
)  # fmt: skip
SOURCE = 'event log'
UNNAMED = 'false alarm'  # the category of what nobody has named
_PAGE = 500
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]{0,63}')


def export_folder(log: EventLog, name: str) -> Path:
    """Return a folder beside the log, for a name that came from elsewhere.

    Raises EventLogError for one that might lead away.
    """
    if not _NAME.fullmatch(name):
        raise EventLogError(
            f"the export is to be called '{printable(name[:80])}'; give at most 64 letters, digits, '-', '_', '.'"
        )
    return log.path.with_name(f'{log.path.name}.exports') / name


def export_flagged(log: EventLog, folder: Path) -> tuple[int, int]:
    """Write manifest.csv and the sound of every flagged event; return the clips and the flagged events without sound.

    `respond` is 0 for a false alarm and 1 where only the words were wrong. Clips of one day share a `source_id`, so
    that a split keeps them on one side. Raises EventLogError, before anything is written, when the folder is there
    already or no flagged event has sound.
    """
    if folder.exists():
        raise EventLogError(f"'{folder}' is there already and is never overwritten; give another name")
    flagged = _flagged(log)
    clips = [event for event in flagged if event.has_sound and log.sound_path(event.id).is_file()]
    if not clips:
        raise EventLogError(
            f'{len(flagged)} events are flagged and none of them has sound; set audio_s of event_log above 0, then '
            'flag what it gets wrong'
        )
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        with (folder / 'manifest.csv').open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file, lineterminator='\n')
            writer.writerow(COLUMNS)
            for event in clips:
                copy = folder / f'event-{event.id}.flac'
                shutil.copyfile(log.sound_path(event.id), copy)
                writer.writerow(_row(event, copy))
    except (OSError, soundfile.LibsndfileError) as error:
        raise EventLogError(
            f"'{folder}' cannot be written ({error}); give a folder that can, and free space"
        ) from error
    return len(clips), len(flagged) - len(clips)


def _flagged(log: EventLog) -> list[LogEntry]:
    events: list[LogEntry] = []
    while page := log.newest(_PAGE, events[-1].id if events else 0, flagged_only=True):
        events += page
    return events[::-1]


def _row(event: LogEntry, file: Path) -> tuple[object, ...]:
    info = soundfile.info(str(file))
    false_alarm = event.verdict is FlagVerdict.FALSE_ALARM
    said = printable(' '.join(event.text.split()))
    day = datetime.fromtimestamp(max(0, event.stamp_ns) // 10**9, timezone.utc).date().isoformat()
    return (
        file.name,
        f'{info.frames / info.samplerate:.3f}',
        info.samplerate,
        printable(' '.join(event.heard.split())) or UNNAMED,
        f'The robot said "{said}": ' + ('it should have kept silent.' if false_alarm else 'the wrong words.'),
        SOURCE,
        f'{SOURCE} {day}',
        '',
        'LicenseRef-private',
        'recorded by the robot; ask those who were heard before passing it on',
        int(not false_alarm),
    )
