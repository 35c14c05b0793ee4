"""What every plot shares: one style, and the way from a matplotlib figure to SVG inside a page.

The same figure gives the same bytes: no date, no random ids. Text and axes have the page's text colour, so that they
are read on a dark page as on a light one.
"""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from cycler import cycler
from markupsafe import Markup
from matplotlib.figure import Figure

# Each has a contrast of 3.8 and more to a white page and to the dark one (#16181c).
COLOURS = ('#4a7fd6', '#c8553d', '#2f8f5b', '#a3761a', '#8d62c9', '#1f8f99', '#cc5a94', '#7a7f87')
INK = '#123456'  # stands for the page's text colour: no plot draws in it otherwise

_SVG, _XLINK = 'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'
_STYLE: dict[Any, Any] = {
    'svg.fonttype': 'none',  # text stays text: small, found by a search, sharp at any size
    'svg.hashsalt': 'audio_interaction_ros',
    'font.family': 'sans-serif',
    'font.size': 9,
    'axes.labelsize': 9,
    'xtick.labelsize': 8.5,
    'ytick.labelsize': 8.5,
    'legend.fontsize': 8.5,
    'legend.frameon': False,
    'text.color': INK,
    'axes.edgecolor': INK,
    'axes.labelcolor': INK,
    'axes.titlecolor': INK,
    'axes.titlesize': 9,
    'xtick.color': INK,
    'ytick.color': INK,
    'axes.linewidth': 0.6,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.axisbelow': True,
    'axes.prop_cycle': cycler(color=COLOURS),
    'grid.color': INK,
    'grid.alpha': 0.15,
    'grid.linewidth': 0.6,
    'figure.facecolor': 'none',
    'axes.facecolor': 'none',
    'savefig.facecolor': 'none',
}

styled = mpl.rc_context(_STYLE)  # decorates every function that draws: matplotlib reads settings at any moment


def embed(figure: Figure, alt: str, dpi: float = 100.0) -> Markup:
    """Return a figure as an SVG element for a page. Call it inside a function that is `styled`.

    `alt` describes the figure to those who cannot see it; `dpi` is the resolution of pixel images inside it.
    """
    file = io.StringIO()
    figure.savefig(file, format='svg', dpi=dpi, metadata={'Date': None})
    root = ElementTree.fromstring(file.getvalue().replace(INK, 'currentColor'))
    for element in root.findall(f'{{{_SVG}}}metadata'):
        root.remove(element)
    _drop_unused_ids(root)
    width_px = float(root.attrib['viewBox'].split()[2]) * 96 / 72
    root.attrib.pop('width')
    root.attrib.pop('height')
    root.attrib |= {'role': 'img', 'aria-label': alt, 'style': f'width: {width_px:.0f}px'}
    ElementTree.register_namespace('', _SVG)
    ElementTree.register_namespace('xlink', _XLINK)
    return Markup(ElementTree.tostring(root, encoding='unicode'))


def _drop_unused_ids(root: ElementTree.Element) -> None:
    """Several plots stand in one page, and matplotlib calls the first axes of each of them axes_1.

    Ids that something refers to are made from what they name, so that they are equal only where that is.
    """
    text = [value for element in root.iter() for value in element.attrib.values() if '#' in value]
    for element in root.iter():
        if (id_ := element.get('id')) and not any(f'#{id_}' in value for value in text):
            del element.attrib['id']
