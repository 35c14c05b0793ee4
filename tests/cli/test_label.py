"""label serves a page on this machine alone, whose keys mark what is saved at once."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bokeh.client import pull_session
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.cli import main
from audio_interaction_ros.labels import read_labels
from audio_interaction_ros.monitor.server import Access, serve
from audio_interaction_ros.view.labelling import LabellingPage
from audio_interaction_ros.view.marks import Marks
from audio_interaction_ros.view.picture import SoundPicture
from audio_interaction_ros.view.recording import see_bag, see_file
from tests.bag_of_sound import START_NS, s16_messages, write_bag
from tests.system.ros import free_port

SOUND = np.random.default_rng(3).normal(0, 0.1, 12 * 6_400).astype(np.float32)


def page(document: Document, labels: Path) -> tuple[Marks, ColumnDataSource]:
    picture = SoundPicture()
    picture.add(SOUND)
    marks = Marks(labels, picture.duration_s)
    LabellingPage(document, '<kitchen>', picture, picture.mp3() or b'', marks, ['siren'])
    (command,) = (one for one in document.select({'type': ColumnDataSource}) if 'key' in one.data)
    return marks, command


def press(command: ColumnDataSource, key: str, at_s: float, text: str = '') -> None:
    count = command.data['count'][0] + 1
    command.data = {'count': [count], 'key': [key], 'at': [at_s], 'text': [text]}


def test_keys_of_the_page_make_marks_that_it_shows_and_that_are_saved(tmp_path: Path):
    document = Document()
    _, command = page(document, tmp_path / 'kitchen.csv')
    for key, at_s, text in (('e', 1.0, ''), ('e', 2.0, ''), ('name', 2.0, '<b>siren</b>')):
        press(command, key, at_s, text)
    (event,) = read_labels(tmp_path / 'kitchen.csv')
    assert (event.onset_s, event.end_s, event.category) == (1.0, 2.0, '<b>siren</b>')
    (bars,) = (one for one in document.select({'type': ColumnDataSource}) if 'colour' in one.data)
    assert list(bars.data['left']) == [1.0] and list(bars.data['row']) == ['answer']
    (asked,) = (one for one in document.select({'type': ColumnDataSource}) if 'ask' in one.data)
    told = dict(asked.data)
    for key, at_s in (('name', 2.0), ('e', 3.0), ('e', 4.0)):  # asks for the very same once more
        press(command, key, at_s, 'unnamed')
    assert told['ask'] == ['category'] and dict(asked.data) != told
    press(command, 'x', 0.0)
    press(command, 'name', 0.0, '<b>siren</b>')
    shown = ' '.join(div.text for div in document.select({'type': Div}))
    assert '1 mark, saved' in shown and '&lt;b&gt;siren&lt;/b&gt;' in shown and '<b>siren' not in shown


def test_a_browser_on_this_machine_gets_the_page_and_a_key_of_it_reaches_the_disk(tmp_path: Path):
    access, stop = Access('127.0.0.1', free_port()), threading.Event()
    labels = tmp_path / 'kitchen.csv'
    thread = threading.Thread(target=serve, args=(access, lambda document: page(document, labels) and None, stop))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                html = urllib.request.urlopen(access.url).read().decode()
                break
            except OSError:
                assert time.monotonic() < deadline and thread.is_alive()
                time.sleep(0.05)
        assert not re.findall(r'(?:src|href)\s*=\s*["\'](?:https?:)?//', html)
        with pull_session(url=access.url) as session:
            (command,) = (one for one in session.document.select({'type': ColumnDataSource}) if 'key' in one.data)
            press(command, 's', 3.0)
            while not labels.exists():
                assert time.monotonic() < deadline
                session.force_roundtrip()
        assert [(one.onset_s, one.hazard) for one in read_labels(labels)] == [(3.0, False)]
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_file_and_a_bag_are_seen_without_a_model(tmp_path: Path):
    soundfile.write(tmp_path / 'a.wav', SOUND, 16_000)
    bag = write_bag(tmp_path / 'bag', s16_messages(SOUND, 16_000), PcmFormat(16_000, 1, 'S16LE'))
    of_file, of_bag = SoundPicture(), SoundPicture()
    assert see_file(tmp_path / 'a.wav', of_file) == []
    assert see_bag(bag, None, None, of_bag) == START_NS
    np.testing.assert_allclose(of_file.extremes(), of_bag.extremes(), atol=1e-4)
    assert of_file.duration_s == of_bag.duration_s == pytest.approx(4.8)


@pytest.mark.parametrize(
    ('labels', 'port', 'sentence'),
    [('onset_s,end_s,category\n3,2,siren\n', None, 'end after onset'), (None, 1, 'cannot be listened on')],
)
def test_what_cannot_be_labelled_is_one_sentence(tmp_path, capsys, labels: str | None, port: int | None, sentence: str):
    soundfile.write(tmp_path / 'a.wav', SOUND, 16_000)
    if labels:
        (tmp_path / 'a.csv').write_text(labels)
    if port is not None:
        access = Access('127.0.0.1', free_port())
        import socket

        with socket.create_server((access.address, access.port)):
            assert main(['label', str(tmp_path / 'a.wav'), '--port', str(access.port)]) == 1
    else:
        assert main(['label', str(tmp_path / 'a.wav')]) == 1
    assert sentence in capsys.readouterr().err
