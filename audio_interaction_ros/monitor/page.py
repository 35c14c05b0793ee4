"""One viewer's page, which Bokeh keeps up to date over its websocket."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import Button, ColumnDataSource, Div, Span
from bokeh.palettes import Magma256
from bokeh.plotting import figure

from audio_interaction_ros.monitor.state import COLUMN_S, COLUMNS, MEL_BINS, WINDOW_S, MonitorState, Snapshot

EVERY_MS = 500
_RED, _GREY, _BLUE = '#c0392b', '#8a8f98', '#3b6fb6'
_TABLE = '<table style="border-collapse:collapse;width:100%;text-align:left">{}</table>'


class LivePage:
    """A `LivePage` fills a viewer's document, and renews it twice a second.

    `thresholds` are drawn over the decisions. `set_listening` and `acknowledge` do what their buttons say; None where
    the viewer may only look.
    """

    def __init__(
        self,
        document: Document,
        state: MonitorState,
        thresholds: Sequence[float],
        set_listening: Callable[[bool], None] | None = None,
        acknowledge: Callable[[], None] | None = None,
    ) -> None:
        self._state = state
        self._mel = ColumnDataSource({'image': [np.zeros((MEL_BINS, COLUMNS), np.uint8)]})
        at = (np.arange(COLUMNS, dtype=np.float32) + 0.5) * COLUMN_S - WINDOW_S
        self._level = ColumnDataSource({'at': at, 'level': np.full(COLUMNS, -100.0, np.float32)})
        self._decisions = ColumnDataSource({'at': [], 'probability': [], 'colour': [], 'size': []})
        self._health, self._alerts, self._responses, self._nodes = (Div(sizing_mode='stretch_width') for _ in range(4))
        buttons = []
        if set_listening is not None:
            self._switch = Button(label='', width=220)
            self._switch.on_click(lambda: set_listening(not state.listening))
            buttons.append(self._switch)
        if acknowledge is not None:
            button = Button(label='Acknowledge all alerts', width=220)
            button.on_click(acknowledge)
            buttons.append(button)
        self._may_switch = set_listening is not None
        document.title = 'What the robot hears'
        document.add_root(
            column(
                Div(text='<h1>What the robot hears</h1>'),
                self._health,
                *([row(*buttons, sizing_mode='stretch_width')] if buttons else []),
                self._alerts,
                self._spectrogram(),
                self._level_plot(),
                self._decision_plot(thresholds),
                Div(text='<h2>What was said</h2>'),
                self._responses,
                Div(text='<h2>Nodes</h2>'),
                self._nodes,
                sizing_mode='stretch_width',
            )
        )
        self._show()
        document.add_periodic_callback(self._show, EVERY_MS)

    def _show(self) -> None:
        now = self._state.snapshot()
        self._mel.data = {'image': [now.mel]}
        self._level.data = {'at': self._level.data['at'], 'level': now.level}
        self._decisions.data = {
            'at': [decision.at_s for decision in now.decisions],
            'probability': [decision.probability for decision in now.decisions],
            'colour': [_RED if decision.responded else _GREY for decision in now.decisions],
            'size': [9 if decision.responded else 4 for decision in now.decisions],
        }
        for div, text in (
            (self._health, health_text(now)),
            (self._alerts, alerts_text(now)),
            (self._responses, responses_text(now)),
            (self._nodes, nodes_text(now)),
        ):
            if div.text != text:
                div.text = text
        if self._may_switch:
            self._switch.label = 'Close the microphone' if now.listening else 'Open the microphone'

    def _plot(self, title: str, height: int, low: float, high: float) -> figure:
        plot = figure(
            title=title, height=height, x_range=(-WINDOW_S, 0), y_range=(low, high), sizing_mode='stretch_width',
            tools='', toolbar_location=None,
        )  # fmt: skip
        plot.grid.visible = False
        plot.min_border_left = 60
        return plot

    def _spectrogram(self) -> figure:
        plot = self._plot('log-mel spectrogram of the last minute, −80 … +20 dB', 170, 0, MEL_BINS)
        plot.image(
            'image', x=-WINDOW_S, y=0, dw=WINDOW_S, dh=MEL_BINS, source=self._mel, palette=Magma256, level='image'
        )
        return plot

    def _level_plot(self) -> figure:
        plot = self._plot('level, dBFS', 100, -100, 0)
        plot.varea(x='at', y1=-100, y2='level', source=self._level, color=_BLUE)
        return plot

    def _decision_plot(self, thresholds: Iterable[float]) -> figure:
        plot = self._plot('P(response) after every drain; red: it spoke; dashed: the thresholds', 160, -0.03, 1.03)
        plot.line('at', 'probability', source=self._decisions, color=_GREY)
        plot.scatter('at', 'probability', source=self._decisions, color='colour', size='size')
        for threshold in thresholds:
            plot.add_layout(Span(location=threshold, dimension='width', line_dash='dashed', line_color=_BLUE))
        plot.xaxis.axis_label = 'seconds'
        return plot


def health_text(now: Snapshot) -> str:
    """Return the state of the whole, and why, as HTML."""
    reasons = ''.join(f'<li>{html.escape(reason)}</li>' for reason in now.reasons)
    colour = {'hearing': 'inherit', 'starting': 'inherit', 'switched off': _GREY}.get(now.health, _RED)
    said = f'<strong style="color:{colour}">{html.escape(now.health)}</strong>'
    return f'<div role="status" aria-live="polite">{said}{f"<ul>{reasons}</ul>" if reasons else ""}</div>'


def alerts_text(now: Snapshot) -> str:
    """Return the alerts as HTML; empty where there are none."""
    if not now.alerts:
        return ''
    rows = ''.join(
        f'<tr style="color:{_RED if alert.state not in ("cleared", "acknowledged") else "inherit"}">'
        f'<td>{alert.clock}</td><td>{html.escape(alert.severity)}</td><td>{html.escape(alert.state)}</td>'
        f'<td>{html.escape(alert.message)}</td></tr>'
        for alert in now.alerts
    )
    head = '<tr><th>time</th><th>severity</th><th>state</th><th>alert</th></tr>'
    return f'<div role="alert" aria-live="assertive">{_TABLE.format(head + rows)}</div>'


def responses_text(now: Snapshot) -> str:
    """Return what was said, the newest first, as HTML."""
    if not now.responses:
        return 'Nothing yet.'
    rows = ''.join(
        f'<tr><td>{response.clock}</td>'
        f'<td style="{f"color:{_RED};font-weight:600" if response.urgent else ""}">{html.escape(response.text)}'
        f'{"" if response.final else " …"}{" (cut short)" if response.cancelled else ""}</td>'
        f'<td>{response.probability:.2f}</td></tr>'
        for response in now.responses
    )
    head = '<tr><th>time</th><th>said</th><th>P(response)</th></tr>'
    return f'<div role="log" aria-live="polite">{_TABLE.format(head + rows)}</div>'


def nodes_text(now: Snapshot) -> str:
    """Return the nodes' newest diagnostics as HTML, with their values to unfold."""
    if not now.nodes:
        return 'No diagnostics yet.'
    rows = ''.join(
        f'<details><summary><strong>{html.escape(node.name)}</strong>: '
        f'<span style="color:{"inherit" if node.level == "ok" else _RED}">{html.escape(node.level)}</span> '
        f'{html.escape(node.message)}</summary>'
        + _TABLE.format(
            ''.join(f'<tr><td>{html.escape(key)}</td><td>{html.escape(value)}</td></tr>' for key, value in node.values)
        )
        + '</details>'
        for node in now.nodes
    )
    return f'<div>{rows}</div>'
