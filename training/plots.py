"""Small plots as inline SVG: curves, a detection error trade-off, bars with intervals, a histogram, a heat map."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 15, 45
_COLOURS = ('#3f6fb0', '#b00020', '#3a7d44', '#8a5a00', '#6a3d9a', '#008b8b', '#d6569b', '#555555')
_MOST_INSIDE = 3  # names of curves that find room within the plot
_LOST, _GAINED = (176, 0, 32), (63, 111, 176)  # red, green, blue
_DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)

Axis = Sequence[tuple[float, str]]  # where a tick stands, and its label


def curve(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_title: str,
    y_title: str,
    x_ticks: Axis,
    y_ticks: Axis,
    dots: bool = True,
) -> str:
    """Lines of (x, y) by name, within the range of the ticks; many names stand beside the plot."""
    beside = len(series) > _MOST_INSIDE
    name_x, anchor = (_WIDTH - _RIGHT + 10, 'start') if beside else (_WIDTH - _RIGHT - 6, 'end')
    parts = [_frame(x_title, y_title, x_ticks, y_ticks)]
    for number, (name, (xs, ys)) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(_x(x, x_ticks), _y(y, y_ticks)) for x, y in zip(xs, ys, strict=True)]
        line = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{line}"/>')
        if dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        at = _TOP + 16 * (number + 1)
        parts.append(f'<text x="{name_x}" y="{at}" text-anchor="{anchor}" fill="{colour}">{html.escape(name)}</text>')
    return _svg(parts, _WIDTH + (max(map(len, series)) * 7 if beside else 0))


def det_curve(false_positive_rate: np.ndarray, miss_rate: np.ndarray, at: tuple[float, float] | None) -> str:
    """The detection error trade-off on normal-deviate axes; `at`: (false-positive rate, miss rate) of one threshold."""

    def deviates(rates: Sequence[float] | np.ndarray) -> np.ndarray:
        return ndtri(np.clip(rates, _DET_TICKS[0], _DET_TICKS[-1]))

    ticks = [(float(ndtri(rate)), f'{100 * rate:g} %') for rate in _DET_TICKS]
    series = {'all thresholds': (deviates(false_positive_rate).tolist(), deviates(miss_rate).tolist())}
    drawn = curve(series, 'false-positive rate', 'miss rate', ticks, ticks, dots=False)
    if at is None:
        return drawn
    x, y = deviates(at)
    dot = f'<circle cx="{_x(x, ticks):.1f}" cy="{_y(y, ticks):.1f}" r="5" fill="{_COLOURS[1]}"/>'
    return drawn.replace('</svg>', f'{dot}</svg>') + '<p>The dot is the threshold in use.</p>'


def interval_bars(rows: Sequence[tuple[str, float, Sequence[float] | None, bool]]) -> str:
    """(name, share, its interval, whether more is better) as horizontal bars from 0 to 100 %."""
    height, label, width = 20, 220, 300
    parts = []
    for number, (name, share, interval, good) in enumerate(rows):
        y = number * height
        parts.append(f'<text x="{label - 8}" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>')
        colour = _COLOURS[0] if good else _COLOURS[1]
        parts.append(f'<rect x="{label}" y="{y + 3}" width="{width * share:.1f}" height="13" fill="{colour}"/>')
        if interval:
            low, high = (label + width * value for value in interval)
            parts.append(f'<path d="M{low:.1f} {y + 9.5}H{high:.1f}" stroke="#222" stroke-width="1.5"/>')
        parts.append(f'<text x="{label + width + 8}" y="{y + 14}">{100 * share:.0f} %</text>')
    total = label + width + 60
    return f'<svg viewBox="0 0 {total} {len(rows) * height}" width="{total}">{"".join(parts)}</svg>'


def histogram(values: Sequence[float], width: float, x_title: str) -> str:
    """How many values fall into each bin of a width."""
    if not values:
        return '<p>nothing to show</p>'
    bins = np.floor(np.asarray(values) / width).astype(int)
    first, last = min(0, int(bins.min())), int(bins.max()) + 1
    counts = [int((bins == bin_).sum()) for bin_ in range(first, last)]
    step = max(1, (last - first) // 8)
    x_ticks = [(bin_ * width, f'{bin_ * width:g}') for bin_ in range(first, last, step)] + [(last * width, '')]
    y_ticks = [(0.0, '0'), (float(max(counts)), str(max(counts)))]
    parts = [_frame(x_title, 'count', x_ticks, y_ticks)]
    for number, count in enumerate(counts):
        left, right = (_x((first + number + edge) * width, x_ticks) for edge in (0, 1))
        top = _y(count, y_ticks)
        parts.append(
            f'<rect x="{left + 1:.1f}" y="{top:.1f}" width="{max(right - left - 2, 1):.1f}" '
            f'height="{_HEIGHT - _BOTTOM - top:.1f}" fill="{_COLOURS[0]}"/>'
        )
    return _svg(parts)


def heat_map(values: np.ndarray, largest: float, title: str, x_title: str, y_title: str) -> str:
    """float [rows, columns] as a grid, the first row at the top: from blue (−largest) over white to red (largest)."""
    rows, columns = values.shape
    cell = int(np.clip(200 // max(rows, columns), 7, 26))
    left, top = 44, 38
    parts = [f'<text x="{left}" y="14">{html.escape(title)}</text>']
    for (row, column), value in np.ndenumerate(values):
        share = min(abs(value) / largest, 1.0) if largest else 0.0
        colour = ','.join(str(round(255 + share * (end - 255))) for end in (_LOST if value > 0 else _GAINED))
        parts.append(
            f'<rect x="{left + column * cell}" y="{top + row * cell}" width="{cell}" height="{cell}" stroke="#eee" '
            f'fill="rgb({colour})"><title>{y_title} {row}, {x_title} {column}: {value:.4g}</title></rect>'
        )
    for count, across in ((rows, False), (columns, True)):
        for number in range(0, count, -(-count // 9)):
            middle = number * cell + cell / 2
            x, y = (left + middle, top - 4) if across else (left - 6, top + middle + 4)
            parts.append(f'<text x="{x}" y="{y}" text-anchor="{"middle" if across else "end"}">{number}</text>')
    middle = top + rows * cell / 2
    parts.append(f'<text x="12" y="{middle}" transform="rotate(-90 12 {middle})" text-anchor="middle">{y_title}</text>')
    width, height = left + max(columns * cell, 7 * len(title)) + 16, top + rows * cell + 22
    parts.append(f'<text x="{left + columns * cell / 2}" y="{height - 6}" text-anchor="middle">{x_title}</text>')
    return f'<svg viewBox="0 0 {width} {height}" width="{width}">{"".join(parts)}</svg>'


def strip(points: Sequence[tuple[float, float]]) -> str:
    """P(response) over a whole stream, as wide as the page: (share of its length, probability)."""
    line = ' '.join(f'{100 * x:.2f},{20 - 20 * y:.2f}' for x, y in points)
    return (
        '<svg viewBox="0 0 100 20" preserveAspectRatio="none" width="100%" height="40">'
        '<rect width="100" height="20" fill="#f5f5f5"/>'
        f'<polyline fill="none" stroke="{_COLOURS[0]}" stroke-width=".4" points="{line}"/></svg>'
    )


def _x(value: float, ticks: Axis) -> float:
    first, last = ticks[0][0], ticks[-1][0]
    return _LEFT + (value - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, ticks: Axis) -> float:
    first, last = ticks[0][0], ticks[-1][0]
    return _HEIGHT - _BOTTOM - (value - first) / (last - first) * (_HEIGHT - _TOP - _BOTTOM)


def _frame(x_title: str, y_title: str, x_ticks: Axis, y_ticks: Axis) -> str:
    parts = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_HEIGHT - _TOP - _BOTTOM}" '
        'fill="none" stroke="#999"/>'
    ]
    for value, label in x_ticks:
        x = _x(value, x_ticks)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{html.escape(label)}</text>')
    for value, label in y_ticks:
        y = _y(value, y_ticks)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>')
    centre = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{centre}" y="{_HEIGHT - 8}" text-anchor="middle">{html.escape(x_title)}</text>')
    parts.append(
        f'<text x="14" y="{_HEIGHT / 2}" transform="rotate(-90 14 {_HEIGHT / 2})" text-anchor="middle">'
        f'{html.escape(y_title)}</text>'
    )
    return ''.join(parts)


def _svg(parts: Sequence[str], width: int = _WIDTH) -> str:
    return f'<svg viewBox="0 0 {width} {_HEIGHT}" width="{width}">{"".join(parts)}</svg>'
