"""A page on this machine alone, to mark on the waveform, by keys, what sounds when and which words are spoken."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, Div, HoverTool, Range1d, Span
from bokeh.plotting import figure

from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.view.marks import SPEECH, Marks
from audio_interaction_ros.view.page import clock, plot_over_time, spectrogram, wave
from audio_interaction_ros.view.picture import SoundPicture

EVERY_MS = 150
_RED, _GREY, _BLUE, _GREEN = '#c0392b', '#8a8f98', '#3b6fb6', '#2e8b57'
_ROWS = {'answer': _RED, 'silence': _GREY, 'words': _BLUE}  # from above
_WIDTH_S = 30.0  # what is seen at first
_KEYS = (
    ('space', 'play, stop'),
    ('← →', '0.1 s, with shift 1 s'),
    ('PgUp PgDn', 'half a page'),
    ('+ −', 'zoom'),
    ('e', 'begin and end what deserves an answer'),
    ('s', 'begin and end what deserves silence'),
    ('w', 'begin and end spoken words'),
    ('n p', 'next, previous mark'),
    ('enter', 'name it, or type its words'),
    ('[ ]', 'its onset, its end to the cursor'),
    ('r', 'answer or silence'),
    ('x', 'remove it'),
    ('u', 'undo'),
)


class LabellingPage:
    """A `LabellingPage` fills a viewer's document with a recording and its marks, and does what its keys say.

    Several pages may show the same marks. `sound` is an MP3, `known` are categories to choose among.
    """

    def __init__(
        self, document: Document, name: str, picture: SoundPicture, sound: bytes, marks: Marks, known: Sequence[str]
    ) -> None:
        self._marks, self._seen, self._told = marks, -1, 0
        duration_s = picture.duration_s
        time = Range1d(0.0, min(_WIDTH_S, duration_s), bounds=(0.0, duration_s), min_interval=min(0.5, duration_s))
        self._command = ColumnDataSource({'count': [0], 'key': [''], 'at': [0.0], 'text': ['']})
        self._shown = ColumnDataSource({'count': [0], 'ask': [''], 'value': [''], 'go': [-1.0]})
        self._bars = ColumnDataSource({key: [] for key in ('left', 'right', 'row', 'text', 'colour', 'line')})
        # What nothing draws is sent to and fro only as part of something that is drawn.
        self._status = Div(sizing_mode='stretch_width', tags=[self._command, self._shown])
        self._table = Div(sizing_mode='stretch_width')
        plots = [spectrogram(picture, time), wave(picture, time), self._mark_plot(time)]
        cursors = []
        for plot in plots:
            cursor = Span(location=0.0, dimension='height', line_color=_GREEN, line_width=2)
            plot.add_layout(cursor)
            plot.js_on_event('tap', CustomJS(code='window.labelling_go(cb_obj.x)'))
            cursors.append(cursor)
        plots[-1].xaxis.axis_label = 'seconds'
        script = CustomJS(
            args={
                'command': self._command,
                'shown': self._shown,
                'cursors': cursors,
                'time': time,
                'duration': duration_s,
                'categories': list(known),
                'sound': f'data:audio/mpeg;base64,{base64.b64encode(sound).decode()}',
            },
            code=Path(__file__).with_suffix('.js').read_text(),
        )
        document.js_on_event(DocumentReady, script)
        keys = ' · '.join(f'<b>{html.escape(key)}</b> {html.escape(what)}' for key, what in _KEYS)
        document.title = f'{name}: labels'
        document.add_root(
            column(
                Div(text=f'<h1>{html.escape(name)}</h1><p>{keys}</p>', sizing_mode='stretch_width'),
                self._status,
                *plots,
                self._table,
                sizing_mode='stretch_width',
            )
        )
        self._command.on_change('data', self._pressed)
        self._show()
        document.add_periodic_callback(self._show, EVERY_MS)

    def _pressed(self, _: str, __: object, data: dict[str, Sequence[Any]]) -> None:
        key = str(data['key'][0])
        self._marks.press(key, float(data['at'][0]), str(data['text'][0]))
        chosen = self._marks.selected
        going = chosen.onset_s if chosen is not None and key in ('n', 'p') else -1.0
        asking, value = self._marks.asking, ''
        if asking and chosen is not None:
            value = chosen.text if asking == 'words' else chosen.category
        if asking or going >= 0:
            self._told += 1  # without it, the same again would be no change, and not be sent
            self._shown.data = {'count': [self._told], 'ask': [asking], 'value': [value], 'go': [going]}
        self._show()

    def _show(self) -> None:
        """Draw the marks if they changed, by this page or by another."""
        self._marks.retry()
        if self._seen == self._marks.version:
            return
        self._seen = self._marks.version
        events, chosen = self._marks.events, self._marks.selected
        rows = [_row(event) for event in events]
        self._bars.data = {
            'left': [event.onset_s for event in events],
            'right': [event.end_s for event in events],
            'row': rows,
            'text': [event.text or event.category for event in events],
            'colour': [_ROWS[row] for row in rows],
            'line': ['black' if event is chosen else 'white' for event in events],
        }
        self._status.text = status_text(self._marks)
        self._table.text = table_text(events, chosen)

    def _mark_plot(self, time: Range1d) -> figure:
        plot = plot_over_time('marks; framed in black: the selected one', time, 170, y_range=[*reversed(_ROWS)])
        bars = plot.hbar(
            y='row', left='left', right='right', height=0.8, color='colour', line_color='line', line_width=2,
            alpha=0.75, source=self._bars,
        )  # fmt: skip
        plot.text('left', 'row', 'text', x_offset=4, text_baseline='middle', text_font_size='13px', source=self._bars)
        plot.add_tools(HoverTool(renderers=[bars], tooltips=[('', '@text'), ('from', '@left s'), ('to', '@right s')]))
        return plot


def _row(event: SceneEvent) -> str:
    return 'words' if event.category == SPEECH else 'answer' if event.hazard else 'silence'


def status_text(marks: Marks) -> str:
    """Return as HTML what is marked and where it is kept, or why it is not."""
    if marks.problem:
        return f'<p role="alert" style="color:{_RED}"><b>Not saved: {html.escape(marks.problem)}</b></p>'
    begun = ' The selected one is begun: the same key ends it.' if marks.is_open else ''
    count = f'{len(marks.events)} marks' if len(marks.events) != 1 else '1 mark'
    return f'<p role="status">{count}, saved in {html.escape(str(marks.path))}.{begun}</p>'


def table_text(events: Sequence[SceneEvent], chosen: SceneEvent | None) -> str:
    """Return the marks as an HTML table, the selected one in bold."""
    head = '<tr><th>from</th><th>to</th><th>deserves</th><th>what</th><th>words</th></tr>'
    rows = []
    for event in events:
        times = f'<td>{clock(event.onset_s)}</td><td>{clock(event.end_s)}</td>'
        what = f'<td>{html.escape(event.category)}</td><td>{html.escape(event.text)}</td>'
        weight = ' style="font-weight:bold"' if event is chosen else ''
        rows.append(f'<tr{weight}>{times}<td>{"an answer" if event.hazard else "silence"}</td>{what}</tr>')
    return f'<table style="text-align:left;border-spacing:1rem 0">{head}{"".join(rows)}</table>'
