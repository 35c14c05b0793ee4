"""A page is one file that is read, heard and understood wherever it is opened."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest
import soundfile
from markupsafe import Markup

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.html import pages
from training.html.spectrograms import LEFT_SHARE

SECONDS = 4.0
TONE = (0.5 * np.sin(2 * np.pi * 440.0 * np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype(
    np.float32
)
VOID = {'meta', 'link', 'img', 'br', 'input', 'hr'}


class Nesting(HTMLParser):
    """What is open while a page is read; complains of what closes something else."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


def stream() -> Markup:
    return pages.stream(
        'A <tone>',
        'of 440 Hz',
        TONE,
        [pages.Span(1.0, 3.0, 'tone & more', 'respond')],
        {'wanted': [pages.Mark(2.0, 'A tone!')], 'said': [pages.Mark(1.0, 'Hm.'), pages.Mark(3.0, '"Tone"')]},
        [(0.4 * (n + 1), 0.1 * n) for n in range(10)],
    )


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp('page') / 'new' / 'page.html'
    sections = [
        ('Numbers', pages.table(['', 'a < b'], [['x', 1], ['<y>', None]])),
        ('Counts', pages.bars({'rain': 1, 'wind': 4})),
        ('Streams', stream()),
    ]
    pages.write_page(path, 'A & B', 'one · two', sections)
    return path.read_text(encoding='utf-8')


def test_a_page_is_well_formed_and_complete_in_itself(page: str) -> None:
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    assert page.startswith('<!doctype html>') and '<title>A &amp; B</title>' in page
    assert not re.search(r'(src|href)="(?!data:|#)|url\((?!#)|@import|<script|<link', page)


def test_a_page_fits_a_phone_and_a_dark_screen(page: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert 'color-scheme: light dark' in page and 'prefers-color-scheme: dark' in page
    assert page.count('<table') == page.count('<div class="wide"><table'), 'what is too wide scrolls by itself'


def test_every_text_is_escaped(page: str) -> None:
    for raw in ('<y>', 'a < b', '<tone>', 'tone & more', '"Tone"'):
        assert raw not in page


def test_the_sound_in_a_page_is_the_sound(page: str) -> None:
    (coded,) = re.findall(r'<audio [^>]*src="data:audio/mpeg;base64,([^"]+)"', page)
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(coded)), dtype='float32')
    assert rate_hz == SAMPLE_RATE_HZ and len(samples) == len(TONE)
    assert np.sqrt(np.mean((samples - TONE)[800:-800] ** 2)) < 0.05


def test_the_same_stream_gives_the_same_bytes() -> None:
    assert stream() == stream()


def test_what_sounds_and_what_is_said_stand_at_their_second_and_once_more_in_words(page: str) -> None:
    assert 'class="respond" style="left: 25.00%; width: 50.00%"' in page
    assert [float(left) for left in re.findall(r'class="mark" style="left: ([\d.]+)%', page)] == [50.0, 25.0, 75.0]
    assert page.count(f'<b style="width: {LEFT_SHARE:.0%}">') == 3, 'a lane for sounds and one each for wanted and said'
    words = page[page.index('<details>') :]
    assert '<td>1.0 – 3.0 s</td><td>tone &amp; more</td>' in words and '<td>2.0 s</td><td>A tone!</td>' in words


def test_a_mark_ends_where_the_next_one_begins(page: str) -> None:
    assert re.findall(r'class="mark" style="left: [\d.]+%; width: ([\d.]+)%', page) == ['50.00', '50.00', '25.00']


def test_an_empty_cell_is_empty_and_an_interval_is_not_broken() -> None:
    assert '<th scope="row">x</th><td></td><td>0.5 (0.4\u00a0…\u00a00.6)</td></tr>' in pages.table(
        ['', 'a', 'b'], [['x', None, '0.5 (0.4 … 0.6)']]
    )


def test_the_longest_bar_is_the_whole_width_and_no_count_is_a_word(page: str) -> None:
    assert re.findall(r'<i style="width: ([\d.]+)%">', page) == ['25.0', '100.0']
    assert pages.bars({}).strip() == '<p>None.</p>'
    assert 'width: 0.0%' in pages.bars({'rain': 0})


def test_a_template_that_lacks_a_value_is_refused() -> None:
    with pytest.raises(jinja2.UndefinedError, match='counts'):
        pages.render('bars.html')
