"""The event log: hostile text stays text, what is deleted is gone, and no limit is passed."""

from __future__ import annotations

import sqlite3
import stat
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio_interaction_ros.events.log import MAX_TEXT, EntryKind, EventLog, EventLogError, FlagVerdict, Retention

STAMP_NS = 1_700_000_000_123_456_789
PLENTY = Retention(days=30.0, megabytes=100.0)
HOSTILE = [
    "'); DROP TABLE events; --",
    '" OR 1=1; DELETE FROM events --',
    '\x1b]0;owned\x07\x1b[2J\x9b31m',
    '\u202egnp.exe\u0000tail',
    '{"verdict": 1}',
    '%s %d {0} $(reboot) `id`',
    '\ud800 a lone surrogate',
]


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / 'events.db', PLENTY)
    yield log
    log.close()


def say(log, number=1, text='Fire!'):
    return log.log(EntryKind.RESPONSE, f'{number}-5', STAMP_NS + number, 'mic', text, 0.9, {'chunk_index': 5})


@pytest.mark.parametrize('text', HOSTILE)
def test_hostile_text_is_stored_as_text_wherever_it_comes_in(log, text):
    say(log)
    event = log.log(EntryKind.ALERT, text, STAMP_NS, text, text, 0.5, {'hazard': text, 'response_id': text})
    fitting = text.encode('utf-8', 'replace').decode()
    assert (event.source_id, event.frame_id, event.text, event.evidence['hazard']) == (fitting,) * 4
    assert log.flag(event.id, FlagVerdict.FALSE_ALARM, text).heard == fitting
    log.add_evidence(EntryKind.ALERT, text, {'state': text})
    assert log.get(event.id).evidence == {'hazard': fitting, 'response_id': fitting, 'state': fitting}
    assert log.count == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source_id=st.text(max_size=150),
    text=st.text(max_size=300),
    evidence=st.dictionaries(
        st.sampled_from(['stream_id', 'level_dbfs', 'hazard', 'cancelled']),
        st.one_of(st.integers(0, 2**64 - 1), st.floats(width=32), st.text(max_size=50), st.booleans()),
    ),
    probability=st.floats(width=32),
)
def test_what_goes_in_comes_out(log, source_id, text, evidence, probability):
    event = log.log(EntryKind.RESPONSE, source_id, -1, '', text, probability, evidence)
    back = log.get(event.id)
    finite = {
        name: value for name, value in evidence.items() if not isinstance(value, float) or abs(value) < float('inf')
    }
    assert {name: value for name, value in back.evidence.items() if value is not None and name in evidence} == finite
    assert back.source_id == source_id.encode('utf-8', 'replace').decode()
    if text:
        assert back.text == text.encode('utf-8', 'replace').decode()
    log.delete([event.id])


def test_a_megabyte_of_text_is_cut_with_a_note(log):
    event = say(log, text='x' * 1_000_000)
    assert len(event.text) == MAX_TEXT
    assert event.text.endswith('… (1000000 characters)')
    with pytest.raises(EventLogError, match='1000000 characters'):
        log.flag(event.id, FlagVerdict.FALSE_ALARM, 'x' * 1_000_000)


def test_a_response_and_its_decision_are_one_entry_in_whatever_order_they_come(log):
    first = log.log(EntryKind.RESPONSE, '7-5', STAMP_NS, 'mic', '', 0.9, {'level_dbfs': -30.0})
    whole = log.log(EntryKind.RESPONSE, '7-5', STAMP_NS, 'mic', 'Fire!', None, {'emotion': 'urgent'})
    assert whole.id == first.id
    other = log.log(EntryKind.RESPONSE, '8-5', STAMP_NS, 'mic', 'Fire!', 0.9, {'emotion': 'urgent'})
    log.log(EntryKind.RESPONSE, '8-5', STAMP_NS, 'mic', '', 0.9, {'level_dbfs': -30.0})
    other = log.get(other.id)
    assert (whole.text, whole.probability, whole.evidence) == (other.text, other.probability, other.evidence)
    assert whole.evidence == {'level_dbfs': -30.0, 'emotion': 'urgent'}


def test_evidence_is_added_only_to_what_is_there(log):
    log.add_evidence(EntryKind.ALERT, 'fire-1', {'state': 'CLEARED'})
    assert log.count == 0


def test_pages_turn_without_a_gap_and_flags_are_found(log):
    ids = [say(log, number).id for number in range(1, 26)]
    listed, page = [], log.newest(10)
    while page:
        listed += [event.id for event in page]
        page = log.newest(10, before_id=page[-1].id)
    assert listed == ids[::-1]
    log.flag(ids[3], FlagVerdict.WRONG_WORDS, 'kettle')
    log.flag(0, FlagVerdict.FALSE_ALARM)
    assert [event.id for event in log.newest(10, flagged_only=True)] == [ids[-1], ids[3]]
    assert log.flags_since(time.time_ns() - 10**9) == 2
    assert log.flags_since(time.time_ns() + 10**9) == 0
    log.flag(ids[3], FlagVerdict.NONE)
    assert [event.id for event in log.newest(10, flagged_only=True)] == [ids[-1]]


def test_wrong_words_need_to_be_told_what_it_was(log):
    say(log)
    with pytest.raises(EventLogError, match='what it really was'):
        log.flag(0, FlagVerdict.WRONG_WORDS, '  ')


@pytest.mark.parametrize('id_', [99, 2**63, 2**64 - 1])
def test_an_entry_that_is_not_there_is_said_so(log, id_):
    say(log)
    with pytest.raises(EventLogError, match=f'there is no event {id_}'):
        log.get(id_)
    assert log.delete([id_]) == 0
    assert len(log.newest(5, before_id=2**64 - 1)) == 1


def test_an_empty_log_says_so(log):
    with pytest.raises(EventLogError, match='empty'):
        log.get(0)


def test_what_is_deleted_is_in_no_file_any_more(log, tmp_path):
    secrets = [f'the secret of room {number} is kingfisher'.encode() for number in range(200)]
    ids = [say(log, number, secret.decode()).id for number, secret in enumerate(secrets)]

    def on_disk(secret):
        return any(secret in file.read_bytes() for file in tmp_path.iterdir())

    assert on_disk(secrets[0])
    assert log.delete([ids[0], ids[1], 10_000]) == 2
    assert not on_disk(secrets[0]) and not on_disk(secrets[1]) and on_disk(secrets[2])
    assert log.delete(None) == 198
    assert not any(map(on_disk, secrets))


def test_a_number_is_never_given_twice(log):
    first = say(log).id
    log.delete(None)
    assert say(log).id > first


def test_the_sound_goes_with_its_entry(log):
    kept, gone = say(log, 1).id, say(log, 2).id
    for id_ in (kept, gone):
        assert log.mark_sound(id_)
        log.sound_path(id_).parent.mkdir(exist_ok=True)
        log.sound_path(id_).write_bytes(b'sound')
    assert log.get(gone).has_sound
    log.delete([gone])
    assert log.sound_path(kept).exists() and not log.sound_path(gone).exists()
    assert not log.mark_sound(gone)
    orphan = log.sound_path(12_345)
    orphan.write_bytes(b'left by a crash')
    log.tidy()
    assert log.sound_path(kept).exists() and not orphan.exists()


def test_only_its_owner_may_read_it(log, tmp_path):
    say(log)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_old_entries_go(tmp_path):
    log = EventLog(tmp_path / 'events.db', PLENTY)
    old, new = say(log, 1).id, say(log, 2).id
    log.close()
    with sqlite3.connect(tmp_path / 'events.db') as database:
        database.execute('UPDATE events SET logged_ns = logged_ns - ? WHERE id = ?', (31 * 86_400 * 10**9, old))
    log = EventLog(tmp_path / 'events.db', PLENTY)
    assert [event.id for event in log.newest(10)] == [new]
    log.close()


def test_a_flood_stays_within_the_limit_and_spares_what_was_flagged(tmp_path):
    log = EventLog(tmp_path / 'events.db', Retention(days=30.0, megabytes=1.0))
    flagged = log.flag(say(log, 0).id, FlagVerdict.FALSE_ALARM, 'kettle').id
    largest = 0
    for number in range(1, 1_500):
        say(log, number, 'x' * 4_000)
        if number % 50 == 0:
            largest = max(largest, sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert largest < 2e6  # what waits in the write-ahead log comes on top
    log.tidy()
    assert log.size_bytes <= 1e6
    assert 100 < log.count < 300
    assert log.expired == log.get(0).id - log.count
    assert log.get(flagged).heard == 'kettle'
    log.close()


def test_sound_counts_against_the_limit(tmp_path):
    log = EventLog(tmp_path / 'events.db', Retention(days=30.0, megabytes=1.0))
    for number in range(10):
        event = say(log, number)
        log.mark_sound(event.id)
        log.sound_path(event.id).parent.mkdir(exist_ok=True)
        log.sound_path(event.id).write_bytes(bytes(200_000))
    log.tidy()
    assert log.size_bytes <= 1e6
    log.close()


def test_two_processes_may_use_it(log, tmp_path):
    other = EventLog(tmp_path / 'events.db')
    event = say(log)
    other.flag(event.id, FlagVerdict.FALSE_ALARM)
    assert log.get(event.id).verdict is FlagVerdict.FALSE_ALARM
    other.delete(None)
    assert log.count == 0
    other.close()


def test_it_survives_being_left_open(tmp_path):
    EventLog(tmp_path / 'events.db', PLENTY).log(EntryKind.RESPONSE, '1-1', 1, '', 'Fire!')
    log = EventLog(tmp_path / 'events.db')  # the first one was never closed, as after kill -9
    assert log.get(0).text == 'Fire!'
    log.close()


@pytest.mark.parametrize('content', [b'not a database at all, but long enough to look at' * 100, None])
def test_a_file_that_is_no_event_log_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / 'other.db'
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute('CREATE TABLE precious (x)')
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(EventLogError, match=r'is no event log|not a database') as refused:
        EventLog(path, PLENTY)
    assert '\n' not in str(refused.value)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    for path in (tmp_path / 'no such folder' / 'events.db', tmp_path):
        with pytest.raises(EventLogError, match='give a path'):
            EventLog(path, PLENTY)
    with pytest.raises(EventLogError, match='there is no event log'):
        EventLog(tmp_path / 'missing.db')
    assert list(tmp_path.iterdir()) == []
