"""One HTML page about an evaluation: figures with their intervals, plots, and ten streams to look at and listen to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup

from audio_interaction_ros.audio.formats import Samples
from training.evaluate.hearing import Heard, end_s
from training.evaluate.trials import Trial
from training.html import pages, plots
from training.metrics import det_points

SHOWN = 10
_BIN_S = 0.4  # answers come at the end of chunks
_NUMBERS = (
    'trials', 'balanced_accuracy', 'recall', 'false_positive_rate', 'response_correct', 'onset_to_response_s',
)  # fmt: skip
_OF_SETS = (
    'trials', 'balanced_accuracy', 'auc', 'recall', 'false_positive_rate', 'response_correct', 'false_alarms_per_hour',
)  # fmt: skip
_YARDSTICKS = {'hazard_classes': 'YAMNet, hazard classes', 'linear_probe': 'YAMNet, linear probe'}

T = TypeVar('T')


@dataclass(frozen=True)
class Example:
    """An `Example` is a stream that was heard: what sounds in it, what should be said and what was.

    `samples` are float32 [n] at 16 kHz.
    """

    title: str
    note: str
    samples: Samples
    spans: tuple[pages.Span, ...]
    heard: Heard
    wanted: tuple[pages.Mark, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """An `Evaluation` is what a command found: its JSON, the trials for the plots, examples, sections of its own.

    `beside` writes further files, each by the end of its name; its beginning is the page's.
    """

    figures: dict[str, Any]
    trials: Sequence[Trial]
    examples: Sequence[Example]
    sections: Sequence[pages.Section] = ()
    beside: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def ten(items: Sequence[T], wrong: Callable[[T], bool]) -> list[T]:
    """Return ten items to show, in their order and evenly spread.

    Half of them went wrong, if there are enough of both kinds.
    """
    missed = [index for index, item in enumerate(items) if wrong(item)]
    right = [index for index, item in enumerate(items) if not wrong(item)]
    count = min(len(missed), max(SHOWN // 2, SHOWN - len(right)))
    return [items[index] for index in sorted(_spread(missed, count) + _spread(right, SHOWN - count))]


def _spread(indices: list[int], count: int) -> list[int]:
    places = np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)
    return [indices[place] for place in places]


def write_report(page: Path, title: str, evaluation: Evaluation) -> None:
    """Write the HTML page about an evaluation. Raises OSError where it cannot be written."""
    figures, trials = evaluation.figures, evaluation.trials
    sections = [('Figures', _headline(figures))]
    if figures.get('sets'):
        sections.append(('Sets', rates_table(figures['sets'], _OF_SETS)))
    if figures.get('ordinary_sound'):
        sections.append(('Ordinary sound', _ordinary_table(figures['ordinary_sound'])))
    if figures.get('against'):
        sections.append(('Beside YAMNet, on the same streams', _against_table(figures)))
    scored = [trial for trial in trials if trial.score is not None]
    if any(trial.respond for trial in scored) and not all(trial.respond for trial in scored):
        points = det_points([t.respond for t in scored], [float(t.score or 0) for t in scored])
        rate, recall = figures.get('false_positive_rate'), figures.get('recall')
        at = None if rate is None or recall is None else (rate, 1 - recall)
        sections.append(('Detection error trade-off', plots.det_curve(*points, at)))
    sections += [
        ('By category: recall, and false positives in red', _bars(figures['per_category'])),
        (
            'From onset to response',
            plots.histogram([t.latency_s for t in trials if t.latency_s is not None], _BIN_S, 'seconds'),
        ),
        *evaluation.sections,
    ]
    for name in ('per_category', 'by_task', 'by_snr'):
        if figures.get(name):
            sections.append((name.replace('_', ' ').capitalize(), rates_table(figures[name])))
    if figures.get('false_alarm_texts'):
        sections.append(('What was said without cause', pages.bars(figures['false_alarm_texts'])))
    sections.append((f'{len(evaluation.examples)} streams', Markup().join(_example(e) for e in evaluation.examples)))
    facts = ' · '.join(
        f'{name.replace("_", " ")} {figures[name]}' for name in _NUMBERS if figures.get(name) is not None
    )
    pages.write_page(page, title, facts, sections)


def rates_table(groups: Mapping[str, Mapping[str, Any]], numbers: Sequence[str] = _NUMBERS) -> Markup:
    """Return the rates of some groups, those named in `numbers`, as a table, with their intervals."""
    rows = ([name, *_cells(rates, numbers)] for name, rates in groups.items())
    return pages.table(['', *(number.replace('_', ' ') for number in numbers)], rows)


def _cells(rates: Mapping[str, Any], numbers: Sequence[str]) -> list[str | None]:
    return [_with_interval(rates.get(number), rates['confidence_95'].get(number)) for number in numbers]


def _ordinary_table(libraries: Mapping[str, Mapping[str, Any]]) -> Markup:
    numbers = ('false_alarms_per_hour', 'hours_listened', 'sounds', 'recordings')
    rows = (
        [library, *_cells(found, numbers), ', '.join(f'{text} ({count})' for text, count in found['texts'].items())]
        for library, found in libraries.items()
    )
    return pages.table(['library', *(number.replace('_', ' ') for number in numbers), 'said'], rows)


def _against_table(figures: Mapping[str, Any]) -> Markup:
    """Ours and each yardstick's in a row, by set, and by the level of the noise for the first of them."""
    systems = [('this checkpoint', figures)]
    systems += [(title, figures['against'][name]) for name, title in _YARDSTICKS.items() if figures['against'][name]]
    headline = next(iter(figures['sets']))
    rows: list[list[str | None]] = []
    for group, name in (('sets', '{}'), ('by_snr', f'{headline}, {{}} dB'), ('ordinary_sound', 'ordinary sound of {}')):
        for key in figures[group]:
            rows += [[name.format(key), who, *_cells(found[group][key], _OF_SETS)] for who, found in systems]
    return pages.table(['', 'who', *(number.replace('_', ' ') for number in _OF_SETS)], rows)


def _headline(figures: Mapping[str, Any]) -> Markup:
    intervals = figures['confidence_95']
    rows = [
        (name.replace('_', ' '), _with_interval(value, intervals.get(name)))
        for name, value in figures.items()
        if isinstance(value, (int, float, str))
    ]
    return pages.table(('figure', 'value (95 % interval)'), rows)


def _with_interval(value: object, interval: Sequence[float] | None) -> str | None:
    if value is None:
        return None
    return f'{value} ({interval[0]:g} … {interval[1]:g})' if interval else str(value)


def _bars(per_category: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows = []
    for name, rates in per_category.items():
        for figure, good in (('recall', True), ('false_positive_rate', False)):
            if (share := rates.get(figure)) is not None:
                rows.append((name, share, rates['confidence_95'].get(figure), good))
    return plots.interval_bars(rows)


def _example(example: Example) -> Markup:
    said = [pages.Mark(end_s(response.decision), response.text) for response in example.heard.responses]
    lanes = {'wanted': example.wanted, 'said': said} if example.wanted else {'said': said}
    points = [(end_s(decision), decision.probability) for decision in example.heard.decisions]
    return pages.stream(example.title, example.note, example.samples, example.spans, lanes, points)
