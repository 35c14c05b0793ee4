"""What an inspection found, as numbers and as one HTML page with the paper's Figures 7 and 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from training.html import pages, plots
from training.inspect.continuity import DISTANT, NEXT, WITHIN
from training.inspect.heads import LOG_PROBABILITY, RESPONSE, SILENT, TOKEN_MATCH, HeadScores
from training.inspect.inspection import Inspection

STRONGEST = 5  # heads of each figure that the table names
_LABELS = 14  # that fit under a plot
_FIGURES = {'token_match': TOKEN_MATCH, 'log_probability': LOG_PROBABILITY}
_TOKENS = {'all': None, 'silent': SILENT, 'response': RESPONSE}

Numbers = dict[str, Any]


def numbers_of(inspection: Inspection, seed: int) -> Numbers:
    """Return all that was measured, by category and over all, for JSON; `seed` is that of the intervals' resamples."""
    groups = inspection.groups()
    continuity: Numbers = {}
    heads: Numbers = {}
    for name, streams in groups.items():
        cosines, scores = inspection.cosines.of(streams), inspection.heads.of(streams)
        intervals = [cosines.interval(place, seed) for place in range(len(inspection.places))]
        continuity[name] = {
            'ratio': _rounded(cosines.ratio()),
            'confidence_95': [interval and _rounded(interval) for interval in intervals],
            'ratio_of_distant_chunks': _rounded(cosines.ratio(DISTANT)),
            'cosine_within': _rounded(cosines.mean(WITHIN)),
            'cosine_next': _rounded(cosines.mean(NEXT)),
            'cosine_distant': _rounded(cosines.mean(DISTANT)),
        }
        heads[name] = {
            'drains': {'silent': int(scores.drains[:, SILENT].sum()), 'response': int(scores.drains[:, RESPONSE].sum())}
        }
        for figure, column in _FIGURES.items():
            heads[name][figure] = {token: _rounded(scores.mean(column, at)) for token, at in _TOKENS.items()}
            heads[name][f'{figure}_drop'] = {token: _rounded(scores.drop(column, at)) for token, at in _TOKENS.items()}
            heads[name][f'strongest_by_{figure}'] = [
                _strong(scores, column, layer, head, seed) for layer, head in _strongest(scores, column)
            ]
    return {
        'streams': {name: int(streams.sum()) for name, streams in groups.items()},
        'without': inspection.without,
        'continuity': {'places': inspection.places, 'by_category': continuity},
        'heads': {'by_category': heads},
    }


def sections(numbers: Numbers) -> list[pages.Section]:
    """Return the sections of the page about what `numbers_of` measured."""
    heads, continuity = numbers['heads']['by_category'], numbers['continuity']
    return [
        ('Continuity across chunks, by layer', _curves(continuity)),
        ('The same between chunks that do not follow each other', _against_distant(continuity)),
        ('Continuity ratios', _ratios(continuity)),
        (
            'Control tokens lost without a head',
            Markup('<p>Drop of the share of drains after which the right control token is the likeliest of all.</p>')
            + _maps(heads, 'token_match_drop', 'all'),
        ),
        (
            'Log-probability lost without a head, where a response is right',
            Markup('<p>Drop of the mean log-probability of the right token, in nats.</p>')
            + _maps(heads, 'log_probability_drop', 'response'),
        ),
        ('Log-probability lost without a head, where silence is right', _maps(heads, 'log_probability_drop', 'silent')),
        ('The strongest heads', _strongest_table(heads)),
    ]


def _strongest(scores: HeadScores, figure: int) -> list[tuple[int, int]]:
    drop = scores.drop(figure)
    assert drop is not None  # every stream has drains
    order = np.argsort(-drop, axis=None, kind='stable')[:STRONGEST]
    places = (divmod(int(place), drop.shape[1]) for place in order)
    return [place for place in places if drop[place] > 0]


def _strong(scores: HeadScores, figure: int, layer: int, head: int, seed: int) -> Numbers:
    drops = {token: scores.drop(figure, at) for token, at in _TOKENS.items()}
    interval = scores.interval(layer, head, figure, seed)
    return {
        'head': f'L{layer}H{head}',
        **{f'drop_{token}': None if drop is None else _rounded(drop[layer, head]) for token, drop in drops.items()},
        'confidence_95': interval and _rounded(interval),
    }


def _rounded(values: Any) -> Any:
    return None if values is None else np.round(values, 5).tolist()


def _curves(continuity: Numbers) -> Markup:
    return by_place(
        continuity['places'],
        {name: found['ratio'] for name, found in continuity['by_category'].items()},
        'continuity ratio',
    )


def _against_distant(continuity: Numbers) -> Markup:
    found = continuity['by_category']['all']
    series = {'next chunk': found['ratio'], 'chunk half a stream away': found['ratio_of_distant_chunks']}
    return Markup(
        '<p>Where both are alike, vectors resemble each other whatever they follow, and a high ratio says nothing '
        'about continuity.</p>'
    ) + by_place(continuity['places'], series, 'ratio to pairs within a chunk')


def by_place(places: list[str], series: Mapping[str, list[float]], y_title: str) -> Markup:
    """Return a plot of values by where in the network they were measured, a line for each series."""
    step = -(-len(places) // _LABELS)
    x_ticks = [(float(n), _short(name) if n % step == 0 else '') for n, name in enumerate(places)]
    low = min(0.0, np.floor(5 * min(map(min, series.values()))) / 5)
    high = max(1.0, np.ceil(5 * max(map(max, series.values()))) / 5)
    y_ticks = [(float(y), f'{y:.1f}') for y in np.arange(low, high + 0.1, 0.2)]
    drawn = {name: (range(len(places)), ratios) for name, ratios in series.items()}
    return plots.curve(drawn, 'encoder (E), projector, layers of the language model (L)', y_title, x_ticks, y_ticks)


def _short(place: str) -> str:
    names = {'convolutions': 'conv', 'encoder output': 'E out', 'projector': 'proj'}
    return names.get(place) or place.replace('encoder layer ', 'E').replace('layer ', 'L')


def _ratios(continuity: Numbers) -> Markup:
    rows = []
    for place, name in enumerate(continuity['places']):
        row: list[object] = [name]
        for found in continuity['by_category'].values():
            interval = found['confidence_95'][place]
            shown = f'{found["ratio"][place]:.3f}'
            row.append(f'{shown} ({interval[0]:.3f} … {interval[1]:.3f})' if interval else shown)
        rows.append(row)
    return pages.table(['', *continuity['by_category']], rows)


def _maps(heads: Numbers, figure: str, token: str) -> Markup:
    drops = {name: np.array(found[figure][token]) for name, found in heads.items() if found[figure][token]}
    if not drops:
        return Markup('<p>No drain asks for {}.</p>').format(token)
    largest = max(float(np.abs(drop).max()) for drop in drops.values())
    drawn = Markup().join(plots.heat_map(drop, largest, name, 'head', 'layer') for name, drop in drops.items())
    return Markup(
        '<div class="plots">{}</div><p>Red: lost without the head, at most {:.3g}; blue: gained, on the same scale.</p>'
    ).format(drawn, largest)


def _strongest_table(heads: Numbers) -> Markup:
    rows = []
    for name, found in heads.items():
        for figure in _FIGURES:
            for strong in found[f'strongest_by_{figure}']:
                interval = strong['confidence_95']
                cells = (strong['drop_all'], interval and f'{interval[0]:.4f} … {interval[1]:.4f}')
                rows.append(
                    (
                        name,
                        figure.replace('_', ' '),
                        strong['head'],
                        *cells,
                        strong['drop_silent'],
                        strong['drop_response'],
                    )
                )
    header = ('category', 'figure', 'head', 'drop', '95 % interval', 'where silence is right', 'where a response is')
    return pages.table(header, rows)
