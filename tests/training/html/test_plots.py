"""Plots say the same in bytes, in words and in colours: deterministic, named for who cannot see, read on any page."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from training.html import plots

TICKS = [(0.0, '0'), (1.0, '1'), (2.0, '2')]


def drawn() -> dict[str, Markup]:
    """One of every kind."""
    rates = np.linspace(0.0, 1.0, 50)
    return {
        'curve': plots.curve({'recall': ([0, 1, 2], [0.5, 1.0, 2.0])}, 'streams', 'share', TICKS, TICKS),
        'det': plots.det_curve(rates, 1 - rates, (0.1, 0.25)),
        'bars': plots.interval_bars([('siren', 0.9, (0.8, 0.95), True), ('rain', 0.1, None, False)]),
        'histogram': plots.histogram([0.1, 0.5, 0.6, 2.0], 0.4, 'seconds'),
        'map': plots.heat_map(np.array([[1.0, -1.0, 0.0], [0.5, 0.0, 0.0]]), 1.0, 'translation', 'head', 'layer'),
    }


def texts(svg: Markup) -> list[str]:
    return [
        ''.join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag[-5:] == '}text'
    ]


def pictures(svg: Markup) -> list[np.ndarray]:
    """The pictures inside an SVG as uint8 [rows, columns, 3]."""
    coded = re.findall(r'data:image/png;base64,([^"]+)', svg)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert('RGB')) for data in coded]


def test_the_same_figures_give_the_same_bytes() -> None:
    first = drawn()
    assert first == drawn()
    assert not any(re.search(r'\d{4}-\d\d-\d\d', svg) for svg in first.values()), 'no date'


@pytest.mark.parametrize(
    ('kind', 'said'),
    [
        ('curve', 'Lines of share over streams: recall from 0.5 to 2'),
        ('det', 'in use: 25.0% misses at 10.0% false positives'),
        ('bars', 'siren 90% (80% to 95%); rain 10%'),
        ('histogram', 'Histogram of 4 values, seconds: median 0.55, highest 2'),
        ('map', 'translation: highest 1 at layer 0, head 0'),
    ],
)
def test_a_plot_is_an_image_whose_name_says_what_it_shows(kind: str, said: str) -> None:
    root = ElementTree.fromstring(drawn()[kind])
    assert root.get('role') == 'img'
    assert said in root.attrib['aria-label']


def test_text_and_axes_have_the_pages_colour_so_that_a_dark_page_shows_them() -> None:
    for kind, svg in drawn().items():
        root = ElementTree.fromstring(svg)
        styles = [e.get('style', '') for e in root.iter() if e.tag.endswith('}text') and e.get('id') is None]
        on_cells = 6 if kind == 'map' else 0  # whose colour is the same on any page
        assert len(styles) > on_cells and sum('fill: currentColor' in s for s in styles) == len(styles) - on_cells
        assert 'stroke: currentColor' in svg and '#000000' not in svg
        assert not re.search(r'<path[^>]*fill: #ffffff', svg), 'no white ground under it'


def test_several_plots_in_a_page_have_no_id_in_common_that_means_two_things() -> None:
    meanings: dict[str, set[str]] = {}
    for svg in (*drawn().values(), plots.histogram([1.0], 0.4, 'other')):
        for element in ElementTree.fromstring(svg).iter():
            if id_ := element.get('id'):
                meanings.setdefault(id_, set()).add(ElementTree.tostring(element, encoding='unicode').strip())
    assert meanings and all(len(found) == 1 for found in meanings.values())


def test_names_from_data_are_text_and_not_markup() -> None:
    curve = plots.curve({'<a> & b': ([0, 1], [0, 1])}, 'x', 'y', TICKS, TICKS)
    assert '&lt;a&gt; &amp; b' in curve and '<a>' not in curve and '<a> & b' in texts(curve)


def test_a_value_on_the_edge_of_a_bin_falls_into_the_bin_that_begins_there() -> None:
    """1.2 / 0.4 is a little less than 3 in binary."""
    heights = re.findall(r'median ([\d.]+), highest ([\d.]+)', plots.histogram([1.2], 0.4, 's'))
    assert heights == [('1.2', '1.2')]
    assert plots.binned([1.2, 1.3, -0.1, 0.0], 0.4) == {-1: 1, 0: 1, 3: 2}


def test_where_there_is_nothing_a_sentence_stands_instead_of_a_plot() -> None:
    assert plots.histogram([], 0.4, 's') == plots.interval_bars([]) == '<p>Nothing to show.</p>'


def test_the_dot_of_the_det_curve_lies_on_it_where_threshold_and_rates_agree() -> None:
    rates = np.linspace(0.01, 0.8, 80)
    root = ElementTree.fromstring(plots.det_curve(rates, 0.81 - rates, (float(rates[20]), 0.81 - float(rates[20]))))
    line = next(e for e in root.iter() if e.tag.endswith('path') and '#4a7fd6' in e.get('style', ''))
    points = np.array([float(n) for n in re.findall(r'-?\d+\.?\d*', line.attrib['d'])]).reshape(-1, 2)
    dots = [e for e in root.iter() if e.tag.endswith('use') and '#c8553d' in e.get('style', '')]
    dot = np.array([float(dots[0].attrib['x']), float(dots[0].attrib['y'])])
    assert np.min(np.linalg.norm(points - dot, axis=1)) < 2.0


def test_a_heat_map_is_red_where_something_is_lost_and_blue_where_it_is_gained() -> None:
    svg = drawn()['map']
    assert {'1.00', '-1.00', '0.50', '0.00'} <= set(texts(svg))
    (grid, *_) = pictures(svg)
    third = grid.shape[1] // 3
    red, blue, white = (grid[grid.shape[0] // 4, column * third + third // 2] for column in range(3))
    pale = grid[3 * grid.shape[0] // 4, third // 2]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50 and white.min() > 240
    assert red[1] < pale[1] < white[1]
