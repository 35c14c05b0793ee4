"""What `record` shows: whatever comes is told of in a sentence, and ends nothing."""

from __future__ import annotations

import pytest

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.bag_writer import BagWriter
from audio_interaction_ros.cli.record_progress import Progress
from tests.bag_of_sound import audio_cdr, info_cdr

PCM = PcmFormat(16_000, 1, 'S16LE')


@pytest.mark.parametrize('damage', [lambda info: info.replace(b'wave', b'\xff\xfe\xfdw'), lambda info: info[:9]])
def test_an_audio_info_that_cannot_be_read_is_said_and_the_recording_goes_on(tmp_path, capsys, damage):
    progress = Progress(BagWriter(tmp_path / 'bag'))
    progress.described(damage(info_cdr(PCM)))
    assert 'it is recorded all the same, but replay cannot read it' in capsys.readouterr().out
    progress.described(info_cdr(PCM))
    progress.heard(audio_cdr(0, b'\1')[:-3])
    assert 'it is recorded all the same, but replay leaves it out' in capsys.readouterr().out
