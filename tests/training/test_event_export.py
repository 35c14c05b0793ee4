"""What a robot got wrong, exported from its event log, is a clip library that training reads."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.events.export import COLUMNS, export_flagged, export_folder
from audio_interaction_ros.events.log import EntryKind, EventLog, EventLogError, FlagVerdict, Retention
from training.clips.sounds import SoundClip
from training.sources.clip_library import load_library, split

DAY_NS = 86_400 * 10**9
STAMP_NS = 1_700_000_000_000_000_000


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / 'events.db', Retention(30.0, 100.0))
    yield log
    log.close()


def say(log, number, text='Fire! I hear flames.', sound=True, day=0):
    event = log.log(EntryKind.RESPONSE, f'1-{number}', STAMP_NS + day * DAY_NS, 'mic', text, 0.9, {})
    if sound:
        assert log.mark_sound(event.id)
        log.sound_path(event.id).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).normal(0, 0.1, 6 * 16_000)
        soundfile.write(log.sound_path(event.id), noise, 16_000, subtype='PCM_16')
    return event.id


def test_flagged_events_become_clips_that_training_reads(log, tmp_path):
    kettle, tea, _fine, silent = say(log, 1), say(log, 2, day=1), say(log, 3), say(log, 4, sound=False)
    log.flag(kettle, FlagVerdict.FALSE_ALARM, 'kettle')
    log.flag(tea, FlagVerdict.WRONG_WORDS, 'baby cry')
    log.flag(silent, FlagVerdict.FALSE_ALARM)
    folder = tmp_path / 'my export'
    assert export_flagged(log, folder) == (2, 1)

    clips = load_library(folder)
    assert [(clip.category, clip.respond) for clip in clips] == [('kettle', False), ('baby cry', True)]
    assert len({clip.recording for clip in clips}) == 2  # two days
    assert sum(map(len, split(clips))) == 2
    for clip in clips:
        samples = clip.read().samples
        assert len(samples) == 6 * 16_000
        assert SoundClip.of(clip.category, bool(clip.respond), clip.source_id, samples).audible
    with (folder / 'manifest.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]['respond'] == '0' and rows[0]['duration_s'] == '6.000'
    log.delete(None)
    assert len(load_library(folder)[0].read().samples), 'an export is its own copy'


def test_what_nobody_named_and_hostile_text_are_exported_as_text(log, tmp_path):
    log.flag(say(log, 1, text='a,"b\r\n=cmd()\x1b[2J'), FlagVerdict.FALSE_ALARM)
    log.flag(say(log, 2), FlagVerdict.FALSE_ALARM, '../../etc,\n"passwd"')
    assert export_flagged(log, tmp_path / 'out') == (2, 0)
    first, second = load_library(tmp_path / 'out')
    assert first.category == 'false alarm'
    assert '\x1b' not in first.caption and '\n' not in first.caption
    assert second.category == '../../etc, "passwd"'
    assert second.path == tmp_path / 'out' / 'event-2.flac'


def test_nothing_is_overwritten_and_nothing_written_in_vain(log, tmp_path):
    log.flag(say(log, 1, sound=False), FlagVerdict.FALSE_ALARM)
    with pytest.raises(EventLogError, match='1 events are flagged and none of them has sound'):
        export_flagged(log, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    log.flag(say(log, 2), FlagVerdict.FALSE_ALARM)
    export_flagged(log, tmp_path / 'out')
    with pytest.raises(EventLogError, match='never overwritten'):
        export_flagged(log, tmp_path / 'out')


@pytest.mark.parametrize(
    'name', ['', '.', '..', '../up', '/etc', 'a/b', 'x' * 65, 'new\nline', '~root', 'nul\0', '-rf']
)
def test_a_name_from_elsewhere_leads_nowhere_else(log, name):
    with pytest.raises(EventLogError, match='letters, digits') as refused:
        export_folder(log, name)
    assert '\n' not in str(refused.value)


def test_an_export_by_name_lies_beside_the_log(log, tmp_path):
    assert export_folder(log, 'week-3') == tmp_path / 'events.db.exports' / 'week-3'
