"""A file is replaced whole or not at all."""

from __future__ import annotations

import stat

import pytest

from audio_interaction_ros.files import replacing


def test_the_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / 'listening'
    path.write_text('old')
    with replacing(path) as file:
        file.write(b'new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / 'listening'
    path.write_text('old')
    with pytest.raises(RuntimeError, match='disk'), replacing(path) as file:
        file.write(b'half of')
        raise RuntimeError('disk full')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_only_its_owner_reads_what_is_private_although_a_crash_left_an_open_file(tmp_path):
    path = tmp_path / 'sound.flac'
    left = tmp_path / 'sound.flac.part'
    left.write_text('left by a crash')
    left.chmod(0o644)
    with replacing(path, 0o600) as file:
        file.write(b'private')
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
