"""What an event log refuses it does once it is asked again as the sentence says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.cli import main
from audio_interaction_ros.events.export import export_flagged, export_folder
from audio_interaction_ros.events.log import MAX_HEARD, EntryKind, EventLog, EventLogError, FlagVerdict, Retention
from audio_interaction_ros.events.sound import SoundKeeper
from tests.ordinary_user import ordinary_user

STAMP_NS = 1_700_000_000_000_000_000
PLENTY = Retention(days=30.0, megabytes=100.0)
PCM = PcmFormat(16_000, 1, 'S16LE')
SECOND = np.full((16_000, 1), 0.1, np.float32)


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / 'events.db', PLENTY)
    yield log
    log.close()


def heard(log, keeper=None, name='1'):
    """An entry, with its second of sound where a keeper is given."""
    if keeper is not None:
        keeper.push(SECOND, PCM, STAMP_NS, 0.0)
    event = log.log(EntryKind.RESPONSE, name, STAMP_NS, 'mic', 'Fire!')
    if keeper is not None:
        keeper.want(event, 0.0)
        keeper.forget()
    return event


def refused(sentence, asked):
    with pytest.raises(EventLogError, match=re.escape(sentence)):
        asked()


@pytest.mark.cures(
    'list the events to see their numbers',
    'ask again when something was said',
    "at most {MAX_HEARD} expected; say 'kettle'",
    'wrong words, and not what it really was',
)
def test_an_entry_that_is_there_is_flagged_with_words_that_fit(log):
    refused('the event log is empty; ask again when something was said', lambda: log.get(0))
    heard(log)
    assert log.get(0).text == 'Fire!'
    refused('there is no event 99; list the events to see their numbers', lambda: log.get(99))
    (listed,) = log.newest(10)
    assert log.get(listed.id) == listed
    refused("expected; say 'kettle'", lambda: log.flag(0, FlagVerdict.FALSE_ALARM, 'x' * (MAX_HEARD + 1)))
    refused('say that too, for example "kettle"', lambda: log.flag(0, FlagVerdict.WRONG_WORDS))
    assert log.flag(0, FlagVerdict.WRONG_WORDS, 'kettle').heard == 'kettle'


@pytest.mark.cures(
    'give the file that parameter path of event_log names',
    'give another file, or move this one away',
    'give a path in a folder that is there',
)
def test_a_log_is_opened_at_a_path_as_was_said(log, tmp_path):
    refused('give the file that parameter path of event_log names', lambda: EventLog(tmp_path / 'other.db'))
    EventLog(log.path).close()
    refused('give a path in a folder that is there', lambda: EventLog(tmp_path / 'none' / 'events.db', PLENTY))
    EventLog(tmp_path / 'another.db', PLENTY).close()
    precious = tmp_path / 'precious.db'
    log._database.execute('PRAGMA user_version = 99')
    log.close()
    log.path.rename(precious)
    refused('is no event log of this version; give another file, or move', lambda: EventLog(precious, PLENTY))
    precious.rename(tmp_path / 'moved.db')
    EventLog(precious, PLENTY).close()


@pytest.mark.cures(
    'give at most 64 letters',
    'is there already and is never overwritten',
    'set audio_s of event_log above 0',
)
def test_flagged_events_with_sound_are_exported_under_a_new_name(log, tmp_path):
    refused("give at most 64 letters, digits, '-', '_', '.'", lambda: export_folder(log, '../etc'))
    folder = export_folder(log, 'may-1')
    log.flag(heard(log).id, FlagVerdict.FALSE_ALARM)
    refused('set audio_s of event_log above 0, then flag what it gets wrong', lambda: export_flagged(log, folder))
    log.flag(heard(log, SoundKeeper(log, 2.0), '2').id, FlagVerdict.FALSE_ALARM)
    assert export_flagged(log, folder) == (1, 1)
    refused('is there already and is never overwritten; give another name', lambda: export_flagged(log, folder))
    assert export_flagged(log, export_folder(log, 'may-2')) == (1, 1)


@pytest.mark.cures(
    "'{folder}' cannot be written ({error}); give a folder that can", 'free some space or set audio_s to 0'
)
def test_sound_is_kept_and_exported_where_it_can_be_written():
    with ordinary_user() as home:
        log = EventLog(home / 'events.db', PLENTY)
        try:
            sounds = log.sound_path(1).parent
            sounds.mkdir(exist_ok=True)
            sounds.chmod(0o500)
            refused('free some space or set audio_s to 0', lambda: heard(log, SoundKeeper(log, 2.0)))
            assert heard(log).text == 'Fire!'  # as with audio_s 0
            sounds.chmod(0o700)
            log.flag(heard(log, SoundKeeper(log, 2.0), '2').id, FlagVerdict.FALSE_ALARM)
            (home / 'closed').mkdir(mode=0o500)
            refused('give a folder that can', lambda: export_flagged(log, home / 'closed' / 'may'))
            assert export_flagged(log, home / 'may')[0] == 1
        finally:
            log.close()


@pytest.mark.cures('give ids, or --all alone')
def test_entries_are_deleted_by_their_numbers_or_all(log, capsys):
    for number in range(3):
        heard(log, name=str(number))
    command = ['events', 'delete', str(log.path)]
    assert main(command) == 1
    assert 'give ids, or --all alone' in capsys.readouterr().err
    assert main([*command, '1']) == 0
    assert main([*command, '--all']) == 0
    assert log.count == 0
