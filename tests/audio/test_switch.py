"""The listening switch, and what it remembers."""

from __future__ import annotations

import pytest

from audio_interaction_ros.audio.switch import ListeningSwitch, SwitchError


def test_without_a_file_every_start_is_as_told(tmp_path):
    for on in (True, False):
        ListeningSwitch(on, '').set(not on)
        assert ListeningSwitch(on, '').on is on


def test_with_a_file_the_next_process_starts_as_this_one_was_left(tmp_path):
    file = str(tmp_path / 'listening')
    assert ListeningSwitch(True, file).on
    ListeningSwitch(True, file).set(False)
    assert not ListeningSwitch(True, file).on
    ListeningSwitch(False, file).set(True)
    assert ListeningSwitch(False, file).on


def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path):
    (tmp_path / 'odd').write_text('maybe')
    with pytest.raises(SwitchError, match="says 'maybe'; true or false expected"):
        ListeningSwitch(True, str(tmp_path / 'odd'))
    (tmp_path / 'folder').mkdir()
    with pytest.raises(SwitchError, match='cannot be read'):
        ListeningSwitch(True, str(tmp_path / 'folder'))


def test_off_is_off_although_it_cannot_be_remembered(tmp_path):
    switch = ListeningSwitch(True, str(tmp_path / 'missing' / 'listening'))
    with pytest.raises(SwitchError, match='cannot remember it'):
        switch.set(False)
    assert not switch.on
