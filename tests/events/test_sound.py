"""Sound around an event: the right seconds, in time, and not a sample without an event."""

from __future__ import annotations

import stat

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.events.log import EntryKind, EventLog, EventLogError, Retention
from audio_interaction_ros.events.sound import LATE_S, SoundKeeper

RATE = 16_000
PCM = PcmFormat(RATE, 1, 'S16LE')
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / 'events.db', Retention(30.0, 100.0))
    yield log
    log.close()


def event(log, at_s, name='1'):
    return log.log(EntryKind.RESPONSE, name, START_NS + int(at_s * 1e9), 'mic', 'Fire!')


def ramp(from_s, to_s):
    """Every sample says when it is: [n, 1] with the second in it, as hundredths."""
    return (np.arange(round(from_s * RATE), round(to_s * RATE)) / RATE / 100).astype(np.float32)[:, None]


def hear(keeper, from_s, to_s, now_s=None):
    for begin_s in np.arange(from_s, to_s, 0.04):
        sound = ramp(begin_s, min(begin_s + 0.04, to_s))
        keeper.push(sound, PCM, START_NS + round(begin_s * 1e9), begin_s if now_s is None else now_s)


def kept(log, logged):
    samples, rate = soundfile.read(log.sound_path(logged.id))
    assert rate == RATE
    return samples * 100


def test_what_is_kept_is_what_was_heard_to_the_bit(log):
    """All of sixteen bits, the loudest among them: a scale of 32 767 on one way would move most of them."""
    heard = np.arange(-32_768, 32_768, dtype=np.int16)
    keeper = SoundKeeper(log, 8.0)
    for begin in range(0, len(heard), 1_024):
        samples = PCM.decode(heard[begin : begin + 1_024].tobytes())
        keeper.push(samples, PCM, START_NS + begin * 62_500, begin / RATE)
    logged = event(log, 2.0)
    keeper.want(logged, 4.1)
    keeper.forget()
    samples, _ = soundfile.read(log.sound_path(logged.id), dtype='int16')
    np.testing.assert_array_equal(samples, heard[: len(samples)])
    assert len(samples) == 10 * 6_400


def test_half_lies_before_and_half_after(log):
    keeper = SoundKeeper(log, 4.0)
    hear(keeper, 0.0, 10.4)
    logged = event(log, 10.0)
    keeper.want(logged, 10.4)
    keeper.keep_ready(10.4)
    assert not log.get(logged.id).has_sound  # what follows has not been heard yet
    hear(keeper, 10.4, 14.0)
    assert log.get(logged.id).has_sound
    seconds = kept(log, logged)
    assert seconds[0] == pytest.approx(8.0, abs=0.01) and seconds[-1] == pytest.approx(12.0, abs=0.01)
    assert np.diff(seconds).max() < 0.01
    assert stat.S_IMODE(log.sound_path(logged.id).stat().st_mode) == 0o600
    assert stat.S_IMODE(log.sound_path(logged.id).parent.stat().st_mode) == 0o700


def test_an_alarm_known_late_still_has_its_beginning(log):
    keeper = SoundKeeper(log, 4.0)
    hear(keeper, 0.0, 24.0)
    logged = event(log, 24.0 - LATE_S + 0.4)
    keeper.want(logged, 24.0)
    keeper.keep_ready(24.0)
    assert kept(log, logged)[0] == pytest.approx(24.0 - LATE_S - 1.6, abs=0.41)


def test_nothing_is_written_without_an_event(log, tmp_path):
    keeper = SoundKeeper(log, 10.0)
    hear(keeper, 0.0, 30.0)
    keeper.forget()
    assert not log.sound_path(0).parent.exists()


def test_a_gap_is_not_papered_over(log):
    keeper = SoundKeeper(log, 8.0)
    hear(keeper, 0.0, 8.0)
    hear(keeper, 9.0, 16.0)
    logged = event(log, 10.0)
    keeper.want(logged, 16.0)
    keeper.keep_ready(16.0)
    seconds = kept(log, logged)
    assert seconds[0] == pytest.approx(9.0, abs=0.01)
    assert np.diff(seconds).max() < 0.01


def test_when_listening_ends_what_was_wanted_is_kept_and_the_rest_forgotten(log):
    keeper = SoundKeeper(log, 6.0)
    hear(keeper, 0.0, 10.4)
    logged = event(log, 10.0)
    keeper.want(logged, 10.4)
    keeper.forget()
    assert kept(log, logged)[-1] == pytest.approx(10.4, abs=0.01)
    late = event(log, 9.0, '2')
    keeper.want(late, 11.0)
    keeper.forget()
    assert not log.get(late.id).has_sound


def test_a_stamp_from_nowhere_waits_for_a_while_and_leaves_nothing(log):
    keeper = SoundKeeper(log, 4.0)
    logged = event(log, 1e8)
    keeper.want(logged, 0.0)
    hear(keeper, 0.0, 4.0, now_s=0.0)
    keeper.keep_ready(1e6)
    assert not log.get(logged.id).has_sound
    assert not log.sound_path(logged.id).exists()


def test_an_entry_deleted_meanwhile_gets_no_sound(log):
    keeper = SoundKeeper(log, 4.0)
    hear(keeper, 0.0, 10.0)
    logged = event(log, 10.0)
    keeper.want(logged, 10.0)
    log.delete([logged.id])
    keeper.forget()
    assert not log.sound_path(logged.id).exists()


def test_a_folder_that_cannot_be_written_is_said_so(log):
    keeper = SoundKeeper(log, 4.0)
    hear(keeper, 0.0, 10.0)
    keeper.want(event(log, 10.0), 10.0)
    log.sound_path(0).parent.write_text('in the way')
    with pytest.raises(EventLogError, match='cannot be kept'):
        keeper.forget()


def test_events_that_too_many_wait_before_are_counted(log):
    keeper = SoundKeeper(log, 4.0)
    hear(keeper, 0.0, 1.2)
    for number in range(103):
        keeper.want(event(log, 1.0, str(number)), 1.2)
    keeper.want(log.get(1), 1.2)  # is waited for already
    assert keeper.dropped == 3
