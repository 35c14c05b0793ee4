"""The page of a recording: one HTML file that needs nothing else, drawn by Bokeh."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np
from bokeh.embed import components
from bokeh.layouts import gridplot
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, Range1d, Span
from bokeh.palettes import Magma256
from bokeh.plotting import figure
from bokeh.resources import Resources
from markupsafe import Markup

from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.model.deciding import Threshold
from audio_interaction_ros.view.picture import MEL_BINS, SoundPicture
from audio_interaction_ros.view.recording import HeardRecording

_BLUE, _RED, _GREY, _GREEN = '#3b6fb6', '#c0392b', '#8a8f98', '#2e8b57'
_MOST_POINTS = 50_000  # decisions; of more, the highest of several


def recording_page(
    heard: HeardRecording, thresholds: Mapping[str, Threshold], checkpoint: str, labels: Sequence[SceneEvent] = ()
) -> str:
    """Return the HTML: spectrogram, wave, probability with its thresholds, what was said and what is labelled.

    The sound is in it where `heard.picture` kept it. It asks nothing of any other place.
    """
    duration_s = heard.picture.duration_s
    time = Range1d(0.0, duration_s, bounds=(0.0, duration_s), min_interval=min(0.5, duration_s))
    plots = [spectrogram(heard.picture, time), wave(heard.picture, time), _decisions(heard, time, thresholds)]
    if heard.sayings or labels:
        plots.append(_events(heard, time, labels))
    cursors = []
    mp3 = heard.picture.mp3()
    for number, plot in enumerate(plots):
        cursor = Span(location=0.0, dimension='height', line_color=_GREEN, line_width=2, name=f'cursor-{number}')
        plot.add_layout(cursor)
        cursors.append(cursor.name)
        if mp3 is not None:
            plot.js_on_event('tap', CustomJS(code='hear(cb_obj.x + 1)'))
    plots[-1].xaxis.axis_label = 'seconds'
    grid = gridplot([[plot] for plot in plots], sizing_mode='stretch_width', toolbar_options={'logo': None})
    script, div = components(grid)
    said = f'{len(heard.sayings)} responses' if len(heard.sayings) != 1 else '1 response'
    template = jinja2.Environment(autoescape=True).from_string(Path(__file__).with_name('page.html').read_text())
    html: str = template.render(
        title=heard.name,
        summary=f'{clock(duration_s)}, {len(heard.moments)} decisions, {said}; checkpoint {checkpoint}',
        remarks=heard.remarks,
        scripts=Markup(Resources('inline', components=['bokeh', 'bokeh-gl']).render()),
        plots=Markup(div + script),
        sound=base64.b64encode(mp3).decode() if mp3 is not None else '',
        sayings=heard.sayings,
        named=any(saying.heard for saying in heard.sayings),
        labels=labels,
        clock=clock,
        cursors=cursors,
    )
    return html


def clock(seconds: float) -> str:
    """Return seconds as 1:02.5, or 3:01:02.5 from an hour on."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f'{hours}:{minutes:02d}:{rest:04.1f}' if hours else f'{minutes}:{rest:04.1f}'


def plot_over_time(title: str, time: Range1d, height: int, **settings: object) -> figure:
    """Return an empty plot over `time`, which it shares with those above and below it; `settings` are Bokeh's."""
    plot = figure(
        title=title, x_range=time, height=height, sizing_mode='stretch_width', toolbar_location='right',
        tools='xpan,xwheel_zoom,xzoom_in,xzoom_out,reset', active_scroll='xwheel_zoom', output_backend='webgl',
        **settings,
    )  # fmt: skip
    plot.grid.visible = False
    plot.min_border_left = 60
    return plot


def spectrogram(picture: SoundPicture, time: Range1d) -> figure:
    """Return a plot of the log-mel of a sound."""
    plot = plot_over_time('log-mel spectrogram, −80 … +20 dB', time, 200, y_range=(0, MEL_BINS))
    plot.image([picture.mel()], x=0, y=0, dw=picture.duration_s, dh=MEL_BINS, palette=Magma256, level='image')
    plot.yaxis.axis_label = 'mel bin'
    return plot


def wave(picture: SoundPicture, time: Range1d) -> figure:
    """Return a plot of the waveform of a sound, by its extremes."""
    plot = plot_over_time('waveform', time, 110, y_range=(-1, 1))
    lowest, highest = picture.extremes()
    at = (np.arange(len(lowest), dtype=np.float32) + 0.5) * (picture.duration_s / max(1, len(lowest)))
    plot.varea(x=at, y1=lowest, y2=highest, color=_BLUE)
    return plot


def _decisions(heard: HeardRecording, time: Range1d, thresholds: Mapping[str, Threshold]) -> figure:
    plot = plot_over_time('P(response) after every drain; dashed: the thresholds', time, 190, y_range=(-0.03, 1.03))
    moments = heard.moments
    each = -(-len(moments) // _MOST_POINTS) or 1
    shown = [max(moments[at : at + each], key=lambda m: m.probability) for at in range(0, len(moments), each)]
    source = ColumnDataSource(
        {
            'at': [moment.at_s for moment in shown],
            'probability': [moment.probability for moment in shown],
            'heard': [moment.heard for moment in shown],
            'colour': [_RED if moment.responded else _GREY for moment in shown],
            'size': [9 if moment.responded else 4 for moment in shown],
        }
    )
    plot.line('at', 'probability', source=source, color=_GREY)
    dots = plot.scatter('at', 'probability', source=source, color='colour', size='size')
    plot.add_tools(HoverTool(renderers=[dots], tooltips=[('at', '@at s'), ('P', '@probability'), ('heard', '@heard')]))
    for value in sorted({threshold.at_once for threshold in thresholds.values()}):
        plot.add_layout(Span(location=value, dimension='width', line_dash='dashed', line_color=_BLUE))
    return plot


def _events(heard: HeardRecording, time: Range1d, labels: Sequence[SceneEvent]) -> figure:
    rows = (['labelled'] if labels else []) + ['said']
    plot = plot_over_time('red: urgent, or deserving an answer', time, 60 + 40 * len(rows), y_range=rows)
    said: dict[str, list[object]] = {
        'left': [saying.at_s for saying in heard.sayings],
        'right': [saying.at_s + 0.4 for saying in heard.sayings],
        'row': ['said'] * len(heard.sayings),
        'text': [saying.text for saying in heard.sayings],
        'colour': [_RED if saying.emotion == 'urgent' else _BLUE for saying in heard.sayings],
    }
    marked: dict[str, list[object]] = {
        'left': [label.onset_s for label in labels],
        'right': [label.end_s for label in labels],
        'row': ['labelled'] * len(labels),
        'text': [label.category for label in labels],
        'colour': [_RED if label.hazard else _GREY for label in labels],
    }
    source = ColumnDataSource({name: [*marked[name], *said[name]] for name in said})
    bars = plot.hbar(y='row', left='left', right='right', height=0.8, color='colour', alpha=0.7, source=source)
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[('', '@text'), ('at', '@left s')]))
    return plot
