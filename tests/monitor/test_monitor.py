"""The live page shows the last minute, to those who may look, and asks nothing of any other place."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from bokeh.client import pull_session
from bokeh.document import Document
from bokeh.models import Button, ColumnDataSource, Div

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.monitor.page import LivePage, alerts_text, health_text, nodes_text, responses_text
from audio_interaction_ros.monitor.server import Access, MonitorError, require_free, serve
from audio_interaction_ros.monitor.state import (
    COLUMN_S,
    COLUMNS,
    WINDOW_S,
    MonitorState,
    ShownAlert,
    ShownNode,
    ShownResponse,
)
from tests.system.ros import free_port

PCM = PcmFormat(48_000, 2, 'S16LE')
TOKEN = 'a token of enough length'


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def hear(state: MonitorState, clock: Clock, seconds: float, amplitude: float, block_s: float = 0.04) -> None:
    rng = np.random.default_rng(0)
    for _ in range(round(seconds / block_s)):
        clock.now_s += block_s
        frames = round(block_s * PCM.sample_rate_hz)
        state.sound(rng.uniform(-amplitude, amplitude, (frames, 2)).astype(np.float32), PCM)


def test_the_last_minute_is_shown_at_its_place_and_what_is_older_is_gone():
    clock = Clock()
    state = MonitorState(clock)
    hear(state, clock, 70, 0.01)
    hear(state, clock, 5, 0.5)
    clock.now_s += 10  # nothing comes any more
    now = state.snapshot()
    quiet, loud, nothing = (now.level[round((WINDOW_S - ago) / COLUMN_S)] for ago in (30.0, 12.0, 5.0))
    # Of white noise the mean of two channels has half the power, and what is below 8 kHz of 24 a third of that.
    assert quiet == pytest.approx(-52.6, abs=1) and loud == pytest.approx(-18.6, abs=1) and nothing == -100
    assert now.mel.shape[1] == COLUMNS and not now.mel[:, round((WINDOW_S - 5.0) / COLUMN_S)].any()


def test_bursts_leave_no_holes():
    clock = Clock()
    state = MonitorState(clock)
    hear(state, clock, 20, 0.1, block_s=0.4)
    assert (state.snapshot().level[-round(18 / COLUMN_S) : -round(1 / COLUMN_S)] > -60).all()


def test_a_closed_microphone_shows_nothing_of_before():
    clock = Clock()
    state = MonitorState(clock)
    hear(state, clock, 2, 0.5)
    state.decision(0.9, responded=True)
    state.forget_sound()
    now = state.snapshot()
    assert not now.mel.any() and now.decisions == ()


def test_everything_that_is_kept_is_bounded():
    state = MonitorState(Clock())
    for number in range(1_000):
        state.response(ShownResponse(str(number), '12:00:00', 'Bless you!', False, True, False, 0.9))
        state.alert(ShownAlert(str(number), '12:00:00', 'fire', 'danger', 'raised', 'Fire!'))
        state.node(ShownNode(f'/node_{number}', 'ok', '', ()))
        state.decision(0.5, responded=False)
    now = state.snapshot()
    assert (len(now.responses), len(now.alerts), len(now.nodes), len(now.decisions)) == (50, 20, 50, 400)
    assert now.responses[0].id == '999'  # the newest first


def test_what_nodes_and_people_say_is_shown_as_text():
    state = MonitorState(Clock())
    hostile = '<script>alert(1)</script>'
    state.response(ShownResponse('1', '12:00:00', hostile, True, False, False, 0.9))
    state.alert(ShownAlert('1', '12:00:00', 'fire', hostile, 'raised', hostile))
    state.node(ShownNode(hostile, 'ok', hostile, ((hostile, hostile),)))
    state.health('degraded', (hostile,))
    now = state.snapshot()
    for page in (responses_text(now), alerts_text(now), nodes_text(now), health_text(now)):
        assert '<script>' not in page and '&lt;script&gt;' in page


@pytest.mark.parametrize(
    ('given', 'sentence'),
    [
        ({'address': '0.0.0.0'}, r'which others can reach.*keep 127\.0\.0\.1'),
        ({'address': '192.168.1.5', 'token': 'short', 'certificate': 'a', 'key': 'b'}, 'at least 16 characters'),
        ({'address': '192.168.1.5', 'token': TOKEN}, 'certificate and key'),
        ({'address': '127.0.0.1', 'certificate': 'a'}, 'one of certificate and key'),
    ],
)
def test_nobody_else_can_look_without_a_token_and_tls(given, sentence):
    with pytest.raises(MonitorError, match=sentence):
        Access(port=8642, **given)
    assert Access('::1', 8642).is_local and Access('localhost', 8642).is_local


@contextmanager
def served(
    state: MonitorState, said: list[object] | None = None, documents: list[Document] | None = None, **options: object
) -> Iterator[Access]:
    access, stop = Access('127.0.0.1', free_port(), **options), threading.Event()
    controls = () if said is None else (said.append, lambda: said.append('acknowledged'))

    def fill(document: Document) -> None:
        LivePage(document, state, [0.7], *controls)
        if documents is not None:
            documents.append(document)

    thread = threading.Thread(target=serve, args=(access, fill, stop))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f'{access.url}static/js/bokeh.min.js').close()
                break
            except OSError:
                assert time.monotonic() < deadline and thread.is_alive()
                time.sleep(0.05)
        yield access
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def texts(document) -> str:
    return ' '.join(div.text for div in document.select({'type': Div}))


def test_a_viewer_sees_what_comes_and_the_browser_asks_nobody_else():
    clock, said, documents = Clock(), [], []
    state = MonitorState(clock)
    state.response(ShownResponse('1', '12:00:00', 'A siren!', True, True, False, 0.9))
    with served(state, said, documents) as access:
        page = urllib.request.urlopen(access.url).read().decode()
        assert not re.findall(r'(?:src|href)\s*=\s*["\'](?:https?:)?//', page)
        with pull_session(url=access.url) as session:
            assert 'A siren!' in texts(session.document)
            document = documents[-1]  # of which Bokeh sends this viewer every change
            hear(state, clock, 2, 0.5)
            state.response(ShownResponse('2', '12:00:02', 'Fire!', True, True, False, 0.9))
            (image,) = (s for s in document.select({'type': ColumnDataSource}) if 'image' in s.data)
            deadline = time.monotonic() + 60
            while 'Fire!' not in texts(document) or not np.asarray(image.data['image'][0]).any():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            labels = sorted(button.label for button in document.select({'type': Button}))
            assert labels == ['Acknowledge all alerts', 'Close the microphone']


def test_without_the_token_nothing_is_shown_and_not_everybody_at_once():
    state = MonitorState(Clock())
    state.response(ShownResponse('1', '12:00:00', 'A siren!', True, True, False, 0.9))
    with served(state, token=TOKEN, most_viewers=1) as access:
        for wrong in ({}, {'token': 'guessed'}):
            with pull_session(url=access.url, arguments=wrong) as session:
                assert 'token is missing or wrong' in texts(session.document)
                assert 'A siren!' not in texts(session.document)
        with pull_session(url=access.url, arguments={'token': TOKEN}) as session:
            assert 'A siren!' in texts(session.document)
            assert not list(session.document.select({'type': Button}))  # who may only look has none
            with pull_session(url=access.url, arguments={'token': TOKEN}) as other:
                assert 'are looking' in texts(other.document)


@pytest.mark.cures('give another port, or an address of this machine')
def test_a_port_that_is_taken_is_one_sentence():
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MonitorError, match=r'cannot be listened on .*; give another port'):
            require_free(Access('127.0.0.1', port))
    require_free(Access('127.0.0.1', free_port()))
