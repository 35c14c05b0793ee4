"""The event log: what was said, and why, in one SQLite file that its owner can read, flag and delete.

Every value travels as a parameter of the statement, never inside it. What is deleted is overwritten, in the file and in
its write-ahead log.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

MAX_TEXT, MAX_ID, MAX_HEARD = 4_000, 200, 200  # characters
NS_PER_DAY = 86_400 * 10**9

_APPLICATION_ID, _VERSION = 0x41_49_45_4C, 1
_WAIT_S = 2.0  # for another process that is writing
_SLACK = 0.1  # of the limit: how much may be written before it is looked at again, and is freed when it is reached
_SCHEMA = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    source_id TEXT NOT NULL,
    logged_ns INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    frame_id TEXT NOT NULL,
    text TEXT NOT NULL,
    probability REAL,
    evidence TEXT NOT NULL,
    verdict INTEGER NOT NULL DEFAULT 0,
    heard TEXT NOT NULL DEFAULT '',
    flagged_ns INTEGER NOT NULL DEFAULT 0,
    has_sound INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, source_id)
);
CREATE INDEX by_age ON events (logged_ns);
CREATE INDEX by_flag ON events (flagged_ns) WHERE verdict <> 0;
"""
_COLUMNS = 'id, kind, source_id, stamp_ns, frame_id, text, probability, evidence, verdict, heard, has_sound'


class EventLogError(ValueError):
    """The log cannot be opened, read or written, or has no such entry."""


class EntryKind(IntEnum):
    """An `EntryKind` says what an entry is about, numbered as in msg/LoggedEvent.msg."""

    RESPONSE = 0
    ALERT = 1


class FlagVerdict(IntEnum):
    """A `FlagVerdict` says what was wrong with an entry, numbered as in msg/LoggedEvent.msg."""

    NONE = 0
    FALSE_ALARM = 1
    WRONG_WORDS = 2


@dataclass(frozen=True)
class LogEntry:
    """A `LogEntry` is one response or alert in the event log.

    `stamp_ns`: capture time of the first sample behind it; `probability` is None where none was given.
    """

    id: int
    kind: EntryKind
    source_id: str
    stamp_ns: int
    frame_id: str
    text: str
    probability: float | None
    evidence: dict[str, Any]
    verdict: FlagVerdict
    heard: str
    has_sound: bool


@dataclass(frozen=True)
class Retention:
    """A `Retention` limits the log: how long, and how much, entries and sound together.

    The oldest entries go first, flagged ones last.
    """

    days: float
    megabytes: float


class EventLog:
    """An `EventLog` keeps entries in an SQLite file, for one thread at a time; several processes may share the file.

    Every method raises EventLogError.
    """

    def __init__(self, path: Path, retention: Retention | None = None) -> None:
        """Open the file; with a `retention` a missing one is made, for its owner's eyes, and kept within limits."""
        self.path = path
        self._retention = retention
        self._written = 0
        self.expired = 0  # entries that the retention's limits have deleted
        if retention is None and not path.is_file():
            raise EventLogError(
                f"there is no event log at '{path}'; give the file that parameter path of event_log names"
            )
        with self._telling():
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._database = sqlite3.connect(path, _WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            with self._telling():
                self._prepare()
            self.tidy()
        except EventLogError:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file; its last user leaves nothing beside it."""
        self._database.close()

    def log(
        self,
        kind: EntryKind,
        source_id: str,
        stamp_ns: int,
        frame_id: str,
        text: str = '',
        probability: float | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> LogEntry:
        """Make the entry of this response or alert, or add to it: what is empty or None leaves what is there.

        Longer text than 4000 characters is cut, with a note; numbers that are none are left out.
        """
        row = (
            kind, _fitting(source_id, MAX_ID), time.time_ns(), stamp_ns, _fitting(frame_id, MAX_ID),
            _fitting(text, MAX_TEXT), _finite(probability), _json(evidence or {}),
        )  # fmt: skip
        with self._telling():
            (id_,) = self._database.execute(
                'INSERT INTO events (kind, source_id, logged_ns, stamp_ns, frame_id, text, probability, evidence)'
                ' VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, source_id) DO UPDATE SET'
                " text = COALESCE(NULLIF(excluded.text, ''), text),"
                ' probability = COALESCE(excluded.probability, probability),'
                ' evidence = json_patch(evidence, excluded.evidence) RETURNING id',
                row,
            ).fetchone()
        event = self.get(id_)
        self._written += sum(len(value.encode()) for value in row if isinstance(value, str)) + 100
        if self._retention and self._written > _SLACK * self._retention.megabytes * 1e6:
            self.tidy()
        return event

    def add_evidence(self, kind: EntryKind, source_id: str, evidence: Mapping[str, object]) -> None:
        """Add evidence to an entry, if it is there."""
        with self._telling():
            self._database.execute(
                'UPDATE events SET evidence = json_patch(evidence, ?) WHERE kind = ? AND source_id = ?',
                (_json(evidence), kind, _fitting(source_id, MAX_ID)),
            )

    def get(self, id_: int) -> LogEntry:
        """Return the entry of this number; 0 is the newest."""
        events = self._select('WHERE id = ? OR ? = 0 ORDER BY id DESC LIMIT 1', (_number(id_), _number(id_)))
        if not events:
            raise EventLogError(
                f'there is no event {id_}; list the events to see their numbers'
                if id_
                else 'the event log is empty; ask again when something was said'
            )
        return events[0]

    def newest(self, limit: int, before_id: int = 0, flagged_only: bool = False) -> list[LogEntry]:
        """Return at most `limit` entries, newest first; only those older than `before_id`, if it is not 0."""
        return self._select(
            'WHERE (id < ? OR ?) AND (verdict <> 0 OR NOT ?) ORDER BY id DESC LIMIT ?',
            (_number(before_id), before_id == 0, flagged_only, limit),
        )

    def flag(self, id_: int, verdict: FlagVerdict, heard: str = '') -> LogEntry:
        """Say what was wrong with an entry, or take that back with NONE; `heard` is what it really was."""
        if len(heard) > MAX_HEARD:
            raise EventLogError(
                f"what it really was has {len(heard)} characters, at most {MAX_HEARD} expected; say 'kettle'"
            )
        if verdict is FlagVerdict.WRONG_WORDS and not heard.strip():
            raise EventLogError('wrong words, and not what it really was; say that too, for example "kettle"')
        event = self.get(id_)
        flagged_ns = time.time_ns() if verdict else 0
        with self._telling():
            self._database.execute(
                'UPDATE events SET verdict = ?, heard = ?, flagged_ns = ? WHERE id = ?',
                (verdict, _fitting(heard, MAX_HEARD), flagged_ns, event.id),
            )
        return self.get(event.id)

    def mark_sound(self, id_: int) -> bool:
        """Note that sound is about to be written to `sound_path`; False if the entry is gone, and nothing must be."""
        with self._telling():
            return self._database.execute('UPDATE events SET has_sound = 1 WHERE id = ?', (id_,)).rowcount == 1

    def sound_path(self, id_: int) -> Path:
        """Return the file of an entry's sound, beside the database."""
        return self.path.with_name(f'{self.path.name}.sound') / f'{id_}.flac'

    def delete(self, ids: Iterable[int] | None) -> int:
        """Delete these entries, or all with None, and their sound; return how many there were."""
        if ids is None:
            with self._telling():
                ids = [id_ for (id_,) in self._database.execute('SELECT id FROM events')]
        return self._delete([_number(id_) for id_ in ids])

    def flags_since(self, time_ns: int) -> int:
        """Return how many entries were flagged since `time_ns`."""
        with self._telling():
            statement = 'SELECT COUNT(*) FROM events WHERE verdict <> 0 AND flagged_ns >= ?'
            (count,) = self._database.execute(statement, (time_ns,)).fetchone()
        return int(count)

    @property
    def count(self) -> int:
        """Return how many entries there are."""
        with self._telling():
            return int(self._database.execute('SELECT COUNT(*) FROM events').fetchone()[0])

    @property
    def size_bytes(self) -> int:
        """Return how many bytes the entries and their sound take."""
        with self._telling():
            pages, free, size = (self._pragma(name) for name in ('page_count', 'freelist_count', 'page_size'))
            return (pages - free) * size + sum(file.stat().st_size for file in self._sounds())

    def tidy(self) -> None:
        """Delete what is too old or too much, and sound without an entry. Does nothing without a retention."""
        self._written = 0
        if self._retention is None:
            return
        oldest_ns = time.time_ns() - int(self._retention.days * NS_PER_DAY)
        self.expired += self._delete(self._ids('WHERE logged_ns < ?', (oldest_ns,)))
        limit = self._retention.megabytes * 1e6
        if self.size_bytes > limit:
            while self.size_bytes > (1 - _SLACK) * limit:
                if not (ids := self._ids('ORDER BY verdict <> 0, id LIMIT 100')):
                    break
                self.expired += self._delete(ids)
        known = {self.sound_path(id_) for id_ in self._ids('WHERE has_sound')}
        with self._telling():
            for file in self._sounds():
                if file not in known:
                    file.unlink(missing_ok=True)
            self._database.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()

    def _delete(self, ids: list[int]) -> int:
        if not ids:
            return 0
        with self._telling():
            for id_ in ids:  # first: a row without its file does no harm
                self.sound_path(id_).unlink(missing_ok=True)
            with self._database:
                self._database.execute('BEGIN IMMEDIATE')
                count = self._database.executemany('DELETE FROM events WHERE id = ?', ((id_,) for id_ in ids)).rowcount
            self._database.execute('PRAGMA incremental_vacuum').fetchall()
            self._database.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
        return count

    def _prepare(self) -> None:
        empty = self._pragma('schema_version') == 0
        if empty:
            self._database.execute('PRAGMA auto_vacuum = INCREMENTAL')
        elif (self._pragma('application_id'), self._pragma('user_version')) != (_APPLICATION_ID, _VERSION):
            raise EventLogError(
                f"'{self.path}' is no event log of this version; give another file, or move this one away"
            )
        self._database.execute('PRAGMA journal_mode = WAL').fetchall()
        self._database.execute('PRAGMA synchronous = NORMAL')
        self._database.execute('PRAGMA secure_delete = ON').fetchall()
        if empty:
            self._database.executescript(
                f'BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID};'
                f' PRAGMA user_version = {_VERSION}; COMMIT;'
            )

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f'PRAGMA {name}').fetchone()[0])

    def _ids(self, clause: str, values: tuple[object, ...] = ()) -> list[int]:
        with self._telling():
            return [id_ for (id_,) in self._database.execute(f'SELECT id FROM events {clause}', values)]

    def _select(self, clause: str, values: tuple[object, ...]) -> list[LogEntry]:
        with self._telling():
            rows = self._database.execute(f'SELECT {_COLUMNS} FROM events {clause}', values).fetchall()
        return [
            LogEntry(
                id_, EntryKind(kind), source_id, stamp_ns, frame_id, text, probability, json.loads(evidence),
                FlagVerdict(verdict), heard, bool(has_sound),
            )
            for id_, kind, source_id, stamp_ns, frame_id, text, probability, evidence, verdict, heard, has_sound in rows
        ]  # fmt: skip

    def _sounds(self) -> list[Path]:
        return list(self.sound_path(0).parent.glob('*'))

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise EventLogError(
                f"the event log '{self.path}' cannot be used ({error}); give a path in a folder that is there, can be "
                'written and has space'
            ) from error


def _number(id_: int) -> int:
    """ROS counts to 2⁶⁴, SQLite to 2⁶³."""
    return min(id_, 2**63 - 1)


def _fitting(text: str, limit: int) -> str:
    """What UTF-8 can carry, and not more than the limit."""
    if len(text) > limit:
        note = f'… ({len(text)} characters)'
        text = text[: limit - len(note)] + note
    return text.encode('utf-8', 'replace').decode()


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None


def _json(evidence: Mapping[str, object]) -> str:
    fitting = {
        name: _fitting(value, MAX_TEXT)
        if isinstance(value, str)
        else _finite(value)
        if isinstance(value, float)
        else value
        for name, value in evidence.items()
    }
    return json.dumps(fitting, ensure_ascii=False)
