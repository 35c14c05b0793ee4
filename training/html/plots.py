"""Plots for pages: curves, a detection error trade-off, bars with intervals, a histogram, a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.stats import norm

from training.html.svg import COLOURS, INK, embed, styled

Axis = Sequence[tuple[float, str]]  # where a tick stands, and its label

_WIDTH_IN, _HEIGHT_IN = 4.6, 2.8  # a little wider than a phone, so that text is hardly scaled there
_DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_MOST_WRITTEN = 100  # cells of a heat map that have room for their values


@styled
def curve(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_title: str,
    y_title: str,
    x_ticks: Axis,
    y_ticks: Axis,
) -> Markup:
    """Return a plot of lines, each (x, y) by name, within the range of the ticks.

    A legend stands under it. Ticks are (position, label).
    """
    legend_rows = -(-len(series) // 2)
    figure, axes = _axes(height_in=_HEIGHT_IN + 0.2 * legend_rows)
    for name, (xs, ys) in series.items():
        axes.plot(xs, ys, label=name, marker='o', markersize=3.5)
    for ticks, axis in ((x_ticks, axes.xaxis), (y_ticks, axes.yaxis)):
        axis.set_ticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set(xlabel=x_title, ylabel=y_title, xlim=_span(x_ticks), ylim=_span(y_ticks))
    figure.legend(loc='outside lower left', ncols=2)
    lines = (f'{name} from {ys[0]:.3g} to {ys[-1]:.3g}' for name, (_, ys) in series.items() if len(ys))
    return embed(figure, f'Lines of {y_title} over {x_title}: {"; ".join(lines)}')


@styled
def det_curve(false_positive_rate: np.ndarray, miss_rate: np.ndarray, at: tuple[float, float] | None) -> Markup:
    """Return the detection error trade-off on normal-deviate axes.

    Rates are float [thresholds]; `at` is (false-positive rate, miss rate) of the threshold in use, drawn as a dot.
    """
    figure, axes = _axes(height_in=3.4)
    lowest, highest = _DET_TICKS[0], _DET_TICKS[-1]

    def clipped(rates: np.ndarray) -> np.ndarray:
        return np.clip(rates, lowest, highest)

    axes.plot(clipped(false_positive_rate), clipped(miss_rate))
    alt = 'Miss rate over false-positive rate for all thresholds'
    if at is not None:
        axes.plot(*clipped(np.array(at)), 'o', color=COLOURS[1], label='threshold in use', clip_on=False)
        axes.legend(loc='upper right')
        alt += f'; in use: {at[1]:.1%} misses at {at[0]:.1%} false positives'
    for set_scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        set_scale('function', functions=(lambda rates: norm.ppf(clipped(rates)), norm.cdf))
        axis.set_ticks(_DET_TICKS, [f'{100 * rate:g}' for rate in _DET_TICKS])
    axes.set(xlabel='false-positive rate, %', ylabel='miss rate, %', xlim=(lowest, highest), ylim=(lowest, highest))
    return embed(figure, alt)


@styled
def interval_bars(rows: Sequence[tuple[str, float, Sequence[float] | None, bool]]) -> Markup:
    """Return horizontal bars from 0 to 100 %, with their intervals.

    Rows are (name, share from 0 to 1, its interval or None, whether more is better).
    """
    if not rows:
        return Markup('<p>Nothing to show.</p>')
    figure, axes = _axes(height_in=0.3 + 0.21 * len(rows))
    said = []
    for place, (name, share, interval, good) in enumerate(rows):
        axes.barh(place, share, height=0.7, color=COLOURS[0] if good else COLOURS[1])
        if interval:
            axes.hlines(place, interval[0], interval[1], color=INK, linewidth=1.2)
        between = f' ({interval[0]:.0%} to {interval[1]:.0%})' if interval else ''
        said.append(f'{name} {share:.0%}{between}')
        axes.text(1.02, place, f'{share:.0%}', va='center')
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='y', visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    return embed(figure, f'Bars with 95 % intervals: {"; ".join(said)}')


@styled
def histogram(values: Sequence[float], width: float, x_title: str) -> Markup:
    """Return a histogram of values in bins of `width`, which begin at multiples of it."""
    if not values:
        return Markup('<p>Nothing to show.</p>')
    counts = binned(values, width)
    figure, axes = _axes()
    axes.bar([width * place for place in counts], list(counts.values()), width=0.94 * width, align='edge')
    axes.set(xlabel=x_title, ylabel='count', xlim=(width * min(0, *counts), width * (max(counts) + 1)))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis='x', visible=False)
    median = f'{np.median(values):.3g}'
    return embed(figure, f'Histogram of {len(values)} values, {x_title}: median {median}, highest {max(values):.3g}')


def binned(values: Sequence[float], width: float) -> dict[int, int]:
    """Return how many values lie in n × width … (n + 1) × width, by n, in order, without empty bins."""
    # Rounded first: 1.2 / 0.4 is a little less than 3, and a value on the edge would fall a bin too low.
    places, counts = np.unique(np.floor(np.round(np.asarray(values) / width, 6)), return_counts=True)
    return dict(zip(places.astype(int).tolist(), counts.tolist(), strict=True))


@styled
def heat_map(values: np.ndarray, largest: float, title: str, x_title: str, y_title: str) -> Markup:
    """Return float [rows, columns] as a heat map with the first row at the top.

    Blue is −`largest`, white 0, red `largest`.
    """
    rows, columns = values.shape
    cell_in = float(np.clip(2.6 / max(rows, columns), 0.1, 0.4))
    figure = Figure(figsize=(max(columns * cell_in + 1.3, 2.2), rows * cell_in + 0.8), layout='constrained')
    axes = figure.add_subplot()
    limit = largest or 1.0
    grid = axes.imshow(values, cmap='RdBu_r', vmin=-limit, vmax=limit, interpolation='none')
    axes.set(title=title, xlabel=x_title, ylabel=y_title)
    for count, axis in ((columns, axes.xaxis), (rows, axes.yaxis)):
        numbers = range(0, count, -(-count // 9))
        axis.set_ticks(numbers, [str(number) for number in numbers])
    axes.tick_params(length=0)
    if values.size <= _MOST_WRITTEN and cell_in >= 0.3:
        for (row, column), value in np.ndenumerate(values):
            # On the cell's own colour, which is the same on a dark page.
            colour = 'white' if abs(value) > 0.6 * limit else 'black'
            axes.text(column, row, f'{value:.2f}', ha='center', va='center', fontsize=6, color=colour)
    figure.colorbar(grid, ax=axes, shrink=0.9).outline.set_visible(False)
    row, column = np.unravel_index(np.argmax(values), values.shape)
    return embed(figure, f'Heat map, {title}: highest {values.max():.3g} at {y_title} {row}, {x_title} {column}')


def _axes(height_in: float = _HEIGHT_IN) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout='constrained')
    axes = figure.add_subplot()
    axes.grid(visible=True)
    return figure, axes


def _span(ticks: Axis) -> tuple[float, float]:
    return ticks[0][0], ticks[-1][0]
