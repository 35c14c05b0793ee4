"""The table: the paper's figures beside ours, with intervals, as JSON, Markdown and a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from training.ablate.score import FIGURES, VariantScore
from training.ablate.variants import BASELINE, TABLES, VARIANTS
from training.files import write_whole
from training.html import pages, plots
from training.metrics import interval_of_sums

_SHARES = ('trigger_accuracy', 'balanced_accuracy', 'response_recall', 'text_token_accuracy', 'exact_replies')
_COMPARED = (*_SHARES, 'false_triggers_per_hour')
_FIXED = ('always_silent', 'due_to_decision_ms')  # by the labels alone, so without an interval
_NOTES = (
    "Ours are teacher-forced, on the test side of the baseline's corpus: the same streams for every variant, in its "
    'own chunks. Trigger accuracy counts control tokens, most of which are `silent`: read it beside what silence alone '
    'would reach. In balanced accuracy `response` and `silent` count the same. The thresholds are chosen on the '
    'validation side, one for balanced accuracy and one for the rest. A reply is exact if no token of it is wrong. Due '
    'to decision is what chunks and speaking make a reply wait, computing aside.',
    'Intervals are 95 % bootstraps over streams and say nothing about other seeds. All variants have the same seed, '
    'tokenizer and steps; stage 0, if it was trained, once for each chunk length.',
    "MMAU, Alpaca and latency are the paper's own and have no counterpart here; text tokens and exact replies stand "
    'for comprehension.',
)


@dataclass(frozen=True)
class _Sheet:
    heading: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def results(scores: Mapping[str, VariantScore], seed: int) -> dict[str, dict[str, Any]]:
    """Return the figures of every variant, by its name.

    Beside each stand its 95 % interval, its difference to the baseline on the same streams, and the paper's figures.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, score in scores.items():
        figures: dict[str, Any] = {'what': VARIANTS[name].title}
        figures |= {figure: _value(score, figure) for figure in FIGURES}
        figures['confidence_95'] = {
            figure: _interval([score], figure, seed) for figure in FIGURES if figure not in _FIXED
        }
        if name != BASELINE:
            baseline = scores[BASELINE]
            figures['less_baseline'] = {
                figure: {
                    'difference': _round(_value(score, figure) - _value(baseline, figure)),
                    'confidence_95': _interval([score, baseline], figure, seed),
                }
                for figure in _COMPARED
            }
        figures['paper'] = {
            table.name: dict(zip(table.columns, table.rows[name][1], strict=True))
            for table in TABLES
            if name in table.rows and table.columns
        }
        found[name] = figures | {'thresholds': score.thresholds, 'train_s': round(score.train_s, 1)}
    return found


def _value(score: VariantScore, figure: str) -> float:
    with np.errstate(divide='ignore', invalid='ignore'):
        return _round(float(FIGURES[figure]({name: np.sum(column) for name, column in score.counts.items()})))


def _round(value: float) -> float:
    return round(value, 4)


def _interval(scores: Sequence[VariantScore], figure: str, seed: int) -> list[float] | None:
    """Of the first one's figure, or of its difference to the second one's: then each resample has the same streams."""
    units = scores[0].streams
    assert all(score.streams == units for score in scores)  # all are scored on the same corpus
    names = list(scores[0].counts)
    columns = [score.counts[name] for score in scores for name in names]

    def figure_of(sums: np.ndarray) -> np.ndarray:
        values = [
            FIGURES[figure](dict(zip(names, part.T, strict=True))) for part in np.split(sums, len(scores), axis=1)
        ]
        return values[0] - values[1] if len(values) > 1 else values[0]

    interval = interval_of_sums(units, columns, figure_of, seed)
    return interval and [_round(value) for value in interval]


def write_tables(found: Mapping[str, Mapping[str, Any]], facts: str, out: Path) -> tuple[Path, Path]:
    """Write ablations.md and ablations.html into a folder and return their paths."""
    sheets = [*_beside_the_paper(found), _differences(found)]
    markdown, page = out / 'ablations.md', out / 'ablations.html'
    parts = ['# Ablations', facts, *_NOTES]
    for sheet in sheets:
        lines = [sheet.header, ('---',) * len(sheet.header), *sheet.rows]
        parts += [f'## {sheet.heading}', '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)]
    write_whole(markdown, ('\n\n'.join(parts) + '\n').encode())
    notes = Markup().join(Markup('<p>{}</p>').format(note.replace('`', '')) for note in _NOTES)
    sections = [('How to read this', notes)]
    sections += [(sheet.heading, pages.table(sheet.header, sheet.rows)) for sheet in sheets]
    for figure in _SHARES:
        bars = [(name, rates[figure], rates['confidence_95'][figure], True) for name, rates in found.items()]
        sections.append((figure.replace('_', ' ').capitalize(), plots.interval_bars(bars)))
    pages.write_page(page, 'Ablations', facts, sections)
    return markdown, page


def _beside_the_paper(found: Mapping[str, Mapping[str, Any]]) -> Iterator[_Sheet]:
    for table in TABLES:
        rows = []
        for name, (label, numbers) in table.rows.items():
            if name not in found:
                continue
            figures = found[name]
            paper = ['–' if number is None else f'{number:g}' for number in numbers]
            ours = [_shown(figures, figure) for figure in FIGURES]
            rows.append((f'{label} {VARIANTS[name].title}'.strip(), *paper, *ours))
        header = ('', *(f'paper: {column}' for column in table.columns), *(_heading(figure) for figure in FIGURES))
        yield _Sheet(f'{table.name}: {table.title}', header, rows)


def _differences(found: Mapping[str, Mapping[str, Any]]) -> _Sheet:
    rows = [
        (
            VARIANTS[name].title,
            *(_difference(figure, **figures['less_baseline'][figure]) for figure in _COMPARED),
            f'{figures["train_s"] / 60:.1f}',
        )
        for name, figures in found.items()
        if name != BASELINE
    ]
    header = ('', *(_heading(figure) for figure in _COMPARED), 'minutes of training')
    return _Sheet('Less the baseline, stream by stream', header, rows)


def _heading(figure: str) -> str:
    return figure.replace('_', ' ') + (', %' if figure in (*_SHARES, 'always_silent') else '')


def _scale(figure: str) -> float:
    return 100.0 if figure in (*_SHARES, 'always_silent') else 1.0


def _shown(figures: Mapping[str, Any], figure: str) -> str:
    scale, interval = _scale(figure), figures['confidence_95'].get(figure)
    shown = f'{scale * figures[figure]:.1f}'
    return f'{shown} ({scale * interval[0]:.1f} … {scale * interval[1]:.1f})' if interval else shown


def _difference(figure: str, difference: float, confidence_95: Sequence[float] | None) -> str:
    scale = _scale(figure)
    shown = f'{scale * difference:+.1f}'
    if confidence_95 is None:
        return shown
    return f'{shown} ({scale * confidence_95[0]:+.1f} … {scale * confidence_95[1]:+.1f})'
