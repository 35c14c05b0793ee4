"""What the pictures share: colours that read on light and dark pages, the width of a page, and how they are written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

IMAGES = Path(__file__).parents[1] / 'images'

# A ground of its own, so that a picture reads the same on a light page and on a dark one.
GROUND, INK, SOFT, RULE = '#fbfaf6', '#1d2330', '#5d6573', '#d5d3cb'
BLUE, RED, GREEN, AMBER, VIOLET, GREY = '#2563a8', '#bd2f27', '#2b7d4c', '#b26a00', '#6d4aa3', '#8a8f99'
WIDTH_INCHES = 9.6
SMALLEST_POINTS = 8.5  # 11 px where the picture is 900 px wide

mpl.rcParams.update(
    {
        'axes.edgecolor': RULE,
        'axes.facecolor': GROUND,
        'axes.labelcolor': SOFT,
        'axes.spines.right': False,
        'axes.spines.top': False,
        'figure.facecolor': GROUND,
        'font.family': 'DejaVu Sans',  # comes with matplotlib, so everybody draws the same letters
        'font.size': 9.0,
        'savefig.facecolor': GROUND,
        'svg.fonttype': 'path',
        'svg.hashsalt': 'audio_interaction_ros',  # the same picture is the same bytes
        'text.color': INK,
        'xtick.color': SOFT,
        'ytick.color': SOFT,
    }
)


def page(height_inches: float) -> Figure:
    """Return an empty figure as wide as a page of the documents."""
    return Figure(figsize=(WIDTH_INCHES, height_inches))


def blank(figure: Figure, width: float, height: float) -> Axes:
    """Add axes without ticks that fill the figure: x from 0 to `width`, y from 0 at the top down to `height`."""
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, width), ylim=(height, 0.0))
    axes.axis('off')
    return axes


def box(
    axes: Axes, left: float, top: float, width: float, height: float, colour: str, face: str = GROUND, line: float = 1.2
) -> None:
    """Draw a rectangle with round corners; y grows downwards."""
    radius = min(width / 5, height / 5, 0.15)
    axes.add_patch(
        FancyBboxPatch(
            (left + radius, top + radius),
            width - 2 * radius,
            height - 2 * radius,
            boxstyle=f'round,pad={radius}',
            edgecolor=colour,
            facecolor=face,
            linewidth=line,
        )
    )


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Return the lane of each span (left, right), so that no two in one lane overlap; the first that is free."""
    ends: list[float] = []
    chosen = []
    for left, right in spans:
        lane = next((number for number, end in enumerate(ends) if end <= left), len(ends))
        if lane == len(ends):
            ends.append(right)
        ends[lane] = right
        chosen.append(lane)
    return chosen


def write(figure: Figure, path: Path) -> None:
    """Write the figure as SVG. Raises ValueError for text too small to read in a document."""
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    small = [text.get_text() for text in texts if float(text.get_fontsize()) < SMALLEST_POINTS]
    if small:
        raise ValueError(
            f'{path.name}: text smaller than {SMALLEST_POINTS} points: {small}; make it larger or leave it out'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.StringIO()
    figure.savefig(drawn, format='svg', metadata={'Date': None})
    path.write_text('\n'.join(line.rstrip() for line in drawn.getvalue().splitlines()) + '\n')
