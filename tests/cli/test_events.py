"""audio-interaction events: the owner's way to the log, on its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.cli import main
from audio_interaction_ros.events.log import EntryKind, EventLog, Retention

STAMP_NS = 1_700_000_000_000_000_000


@pytest.fixture
def path(tmp_path):
    """A log of three entries; the second has sound, the third hostile text."""
    path = tmp_path / 'events.db'
    log = EventLog(path, Retention(30.0, 100.0))
    for number, text in enumerate(('A dog.', 'Fire!', '\x1b[2J漢 \u202e'), 1):
        log.log(EntryKind.RESPONSE, f'1-{number}', STAMP_NS, 'mic', text, 0.9, {'chunk_index': number})
    log.mark_sound(2)
    log.sound_path(2).parent.mkdir()
    soundfile.write(log.sound_path(2), np.full(16_000, 0.1), 16_000)
    log.close()
    return path


def run(capsys, *arguments):
    """(exit code, lines, the last line's JSON)"""
    code = main(['events', *map(str, arguments)])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    return code, lines, json.loads(lines[-1]) if code == 0 else captured.err


def test_listed_newest_first_with_nothing_a_terminal_would_obey(path, capsys):
    code, lines, report = run(capsys, 'list', path)
    assert code == 0
    assert [event['id'] for event in report['events']] == [3, 2, 1]
    assert report['events'][0]['text'] == '\x1b[2J漢 \u202e'
    assert all(line.isprintable() for line in lines)
    assert '\\x1b[2J漢 \\u202e' in lines[0]
    assert len(run(capsys, 'list', path, '--limit', 1, '--before', 3)[2]['events']) == 1


def test_flagged_explained_exported_and_deleted(path, capsys, tmp_path):
    assert run(capsys, 'flag', path, 2, '--heard', 'kettle')[2]['event']['verdict'] == 'FALSE_ALARM'
    assert [event['id'] for event in run(capsys, 'list', path, '--flagged')[2]['events']] == [2]
    _, lines, report = run(capsys, 'explain', path, 2)
    assert lines[0] == report['explanation']
    assert 'I said "Fire!"' in lines[0] and 'really "kettle"' in lines[0]
    assert run(capsys, 'explain', path)[2]['event']['id'] == 3
    report = run(capsys, 'export', path, '--out', tmp_path / 'out')[2]
    assert (report['clips'], report['without_sound']) == (1, 0)
    assert 'kettle' in (tmp_path / 'out' / 'manifest.csv').read_text()
    assert run(capsys, 'delete', path, 1, 2)[2] == {'deleted': 2}
    assert run(capsys, 'delete', path, '--all')[2] == {'deleted': 1}
    assert run(capsys, 'list', path)[2] == {'events': []}
    assert not list((tmp_path / 'events.db.sound').iterdir())


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('explain', '{log}', 99), 'there is no event 99'),
        (('flag', '{log}', 1, '--verdict', 'wrong-words'), 'what it really was'),
        (('delete', '{log}'), 'both missing'),
        (('delete', '{log}', 1, '--all'), 'contradict'),
        (('export', '{log}', '--out', '{log}'), 'never overwritten'),
        (('list', 'no-such-file.db'), "there is no event log at 'no-such-file.db'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(path, capsys, arguments, sentence):
    code, _, error = run(capsys, *(str(argument).replace('{log}', str(path)) for argument in arguments))
    assert code == 1
    assert sentence in error
    assert error.count('\n') == 1
