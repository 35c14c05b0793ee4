"""`audio-interaction events`: read, question, flag, export and delete an event log, on its file, without ROS."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.parsers import add_action, add_command

if TYPE_CHECKING:
    from audio_interaction_ros.events.log import EventLog, LogEntry

_VERDICTS = ('none', 'false-alarm', 'wrong-words')
_EPILOG = """\
LOG is the file that parameter path of event_log names. The node may be running meanwhile. The last line printed is
JSON.

examples:
  audio-interaction events list ~/events.db
  audio-interaction events explain ~/events.db          why did you say that, just now?
  audio-interaction events flag ~/events.db 17 --heard kettle
  audio-interaction events export ~/events.db --out ~/clips/false-alarms
  audio-interaction events delete ~/events.db 17 18
  audio-interaction events delete ~/events.db --all
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'events',
        'what was said and why: list, explain, flag, export, delete',
        'Read, question, flag, export and delete the event log of a robot.',
        _EPILOG,
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True)

    def action(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = add_action(actions, name, text)
        added.add_argument('log', type=Path, metavar='LOG', help='the SQLite file of the event log')
        added.set_defaults(run=lambda arguments: _with_log(run, arguments))
        return added

    listing = action('list', _list, 'print the entries, newest first')
    listing.add_argument('--limit', type=int, default=20, metavar='N', help='print at most N entries (default: 20)')
    listing.add_argument(
        '--before', type=int, default=0, metavar='ID', help='print only entries older than the entry ID'
    )
    listing.add_argument('--flagged', action='store_true', help='print only entries flagged as wrong')
    explaining = action('explain', _explain, 'say in one sentence why an entry was said or raised')
    explaining.add_argument(
        'id', type=int, nargs='?', default=0, metavar='ID', help='number of the entry (default: the newest)'
    )
    flagging = action('flag', _flag, 'say that an entry was wrong, or take that back')
    flagging.add_argument('id', type=int, metavar='ID', help='number of the entry; 0 is the newest')
    flagging.add_argument(
        '--verdict',
        choices=_VERDICTS,
        default='false-alarm',
        help='what was wrong with it; none takes a flag back (default: false-alarm)',
    )
    flagging.add_argument(
        '--heard',
        default='',
        metavar='WHAT',
        help='what the sound really was, for example kettle; needed with wrong-words',
    )
    exporting = action('export', _export, 'copy the flagged entries that have sound into a training clip library')
    exporting.add_argument(
        '--out',
        type=Path,
        required=True,
        metavar='DIR',
        help='new folder for the clips and their manifest.csv; never overwritten',
    )
    deleting = action('delete', _delete, 'delete entries and the sound kept with them')
    deleting.add_argument('ids', type=int, nargs='*', metavar='ID', help='numbers of the entries to delete')
    deleting.add_argument('--all', action='store_true', help='delete every entry, in place of some by number')


def _with_log(run: Any, arguments: argparse.Namespace) -> int:
    from audio_interaction_ros.events.log import EventLog, EventLogError

    with reported(EventLogError), closing(EventLog(arguments.log.expanduser())) as log:
        report = run(log, arguments)
    print(json.dumps(report), flush=True)  # in ASCII: whatever was logged, no terminal takes it for a command
    return 0


def _list(log: EventLog, arguments: argparse.Namespace) -> dict[str, Any]:
    events = log.newest(max(1, arguments.limit), max(0, arguments.before), arguments.flagged)
    for event in events:
        print(_line(event))
    return {'events': [_report(event) for event in events]}


def _explain(log: EventLog, arguments: argparse.Namespace) -> dict[str, Any]:
    from audio_interaction_ros.events.explain import explain

    event = log.get(arguments.id)
    print(explain(event))
    return {'explanation': explain(event), 'event': _report(event)}


def _flag(log: EventLog, arguments: argparse.Namespace) -> dict[str, Any]:
    from audio_interaction_ros.events.log import FlagVerdict

    verdict = FlagVerdict(_VERDICTS.index(arguments.verdict))
    return {'event': _report(log.flag(arguments.id, verdict, arguments.heard))}


def _export(log: EventLog, arguments: argparse.Namespace) -> dict[str, Any]:
    from audio_interaction_ros.events.export import export_flagged

    clips, without_sound = export_flagged(log, arguments.out)
    return {'clips': clips, 'without_sound': without_sound, 'path': str(arguments.out.resolve())}


def _delete(log: EventLog, arguments: argparse.Namespace) -> dict[str, Any]:
    if bool(arguments.ids) == arguments.all:
        raise CommandError('ids and --all contradict each other or are both missing; give ids, or --all alone')
    return {'deleted': log.delete(None if arguments.all else arguments.ids)}


def _line(event: LogEntry) -> str:
    from audio_interaction_ros.events.explain import printable, time_of

    probability = '    ' if event.probability is None else f'{event.probability:.2f}'
    flag = f'  [{event.verdict.name}{": " + event.heard if event.heard else ""}]' if event.verdict else ''
    return printable(f'{event.id:>6}  {time_of(event)}  {event.kind.name:<8}  {probability}  {event.text}{flag}')


def _report(event: LogEntry) -> dict[str, Any]:
    return {
        'id': event.id,
        'kind': event.kind.name,
        'source_id': event.source_id,
        'stamp_ns': event.stamp_ns,
        'text': event.text,
        'probability': event.probability,
        'evidence': event.evidence,
        'verdict': event.verdict.name,
        'heard': event.heard,
        'has_sound': event.has_sound,
    }
