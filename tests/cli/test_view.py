"""view makes one page of a recording, which holds what listen and replay would have said, and the sound."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.cli import main
from audio_interaction_ros.view.picture import COLUMN_S, MOST_COLUMNS, SoundPicture
from tests.bag_of_sound import s16_messages, write_bag

PCM = PcmFormat(16_000, 1, 'S16LE')
SOUND = np.random.default_rng(3).normal(0, 0.1, 12 * 6_400).astype(np.float32)


def view(capsys, recording: Path, checkpoint: Path, *options: str) -> tuple[dict, str]:
    """The summary line, and the page."""
    page = recording.parent / 'page.html'
    assert main(['view', str(recording), '--out', str(page), '--checkpoint', str(checkpoint), *options]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1]), page.read_text()


def sound_of(page: str) -> np.ndarray:
    found = re.search('data:audio/mpeg;base64,([A-Za-z0-9+/=]+)', page)
    assert found is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])), dtype='float32')
    assert rate == 16_000
    return samples


def test_a_file_is_decided_on_as_listen_does_and_its_sound_is_in_the_page(tmp_path, capsys, talkative_checkpoint):
    soundfile.write(tmp_path / 'a & <b>.wav', SOUND, 16_000)
    summary, page = view(capsys, tmp_path / 'a & <b>.wav', talkative_checkpoint)
    assert main(['listen', str(tmp_path / 'a & <b>.wav'), '--checkpoint', str(talkative_checkpoint)]) == 0
    listened = json.loads(capsys.readouterr().out)
    assert (summary['decisions'], summary['responses']) == (listened['chunks'], len(listened['responses']))
    assert summary['duration_s'] == pytest.approx(4.8)
    assert '<title>a &amp; &lt;b&gt;.wav</title>' in page
    heard = sound_of(page)
    assert len(heard) == pytest.approx(len(SOUND), abs=2_400)  # an MP3 begins and ends with some of its own
    assert np.std(heard) == pytest.approx(0.1, rel=0.3)


def test_the_page_asks_nothing_of_any_other_place(tmp_path, capsys, tiny_checkpoint):
    soundfile.write(tmp_path / 'a.wav', SOUND, 16_000)
    _, page = view(capsys, tmp_path / 'a.wav', tiny_checkpoint, '--no-sound')
    assert '<audio' not in page
    assert not re.findall(r'<(?:link|script|img|audio)[^>]*(?:src|href)\s*=\s*["\']?(?:https?:)?//', page)


def test_a_bag_has_its_gaps_as_silence_and_its_labels_beside_what_was_said(tmp_path, capsys, talkative_checkpoint):
    messages = [
        (stamp_ns + (1_000_000_000 if number >= 38 else 0), data)
        for number, (stamp_ns, data) in enumerate(s16_messages(SOUND, 16_000))
    ]
    bag = write_bag(tmp_path / 'bag', messages, PCM)
    (tmp_path / 'labels.csv').write_text('onset_s,end_s,category,respond\n1,2,smoke alarm,1\n3,4,<i>rain</i>,0\n')
    summary, page = view(capsys, bag, talkative_checkpoint, '--labels', str(tmp_path / 'labels.csv'))
    assert summary['duration_s'] == pytest.approx(4.8 + 1.0, abs=0.4)  # what was incomplete before the gap is lost
    assert main(['replay', str(bag), '--out', str(tmp_path / 'out'), '--checkpoint', str(talkative_checkpoint)]) == 0
    with (tmp_path / 'out' / 'decisions.csv').open(newline='') as file:
        assert summary['decisions'] == len(list(csv.DictReader(file)))
    assert 'smoke alarm' in page and '&lt;i&gt;rain&lt;/i&gt;' in page and '<i>rain</i>' not in page
    quiet = sound_of(page)[round(2.6 * 16_000) : round(3.2 * 16_000)]
    assert np.abs(quiet).max() < 1e-3


def test_columns_keep_the_extremes_and_are_few_however_long_the_sound():
    picture = SoundPicture(with_sound=False)
    click = np.zeros(1_000, np.float32)
    click[500], click[900] = 0.9, -0.7
    for _ in range(3):
        picture.add(click)  # in pieces that fit no column
    lowest, highest = picture.extremes()
    assert len(highest) == round(picture.duration_s / COLUMN_S - 0.5) == picture.mel().shape[1]
    assert (lowest.min(), highest.max()) == (pytest.approx(-0.7), pytest.approx(0.9))
    picture.quiet_until(2.5 * MOST_COLUMNS * COLUMN_S)
    lowest, highest = picture.extremes()
    assert MOST_COLUMNS / 2 < len(highest) <= MOST_COLUMNS and picture.mel().shape[1] == len(highest)
    assert (lowest.min(), highest.max()) == (pytest.approx(-0.7), pytest.approx(0.9))


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (['no.wav'], "'no.wav' is not there"),
        (['a.wav', '--labels', 'no.csv'], "'no.csv' is not a readable CSV file"),
        (['a.wav', '--out', 'no/page.html'], "'no/page.html' cannot be written"),
        (['a.wav', '--channels', '2'], '--sample-rate is not; give that too'),
    ],
)
def test_what_cannot_be_viewed_is_one_sentence(tmp_path, monkeypatch, capsys, tiny_checkpoint, options, sentence):
    monkeypatch.chdir(tmp_path)
    soundfile.write('a.wav', SOUND, 16_000)
    assert main(['view', *options, '--checkpoint', str(tiny_checkpoint)]) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error and '\n' not in error
