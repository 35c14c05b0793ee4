"""The page of the false responses to ordinary sound: each with its recording, P(response) over time and a player."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import from_integers
from training.evaluate.ordinary import FalseResponse
from training.html import pages

_NOTHING_SAID = '(cut short before its first word)'


def write_false_responses(
    false: Sequence[tuple[str, FalseResponse]],
    hours: Mapping[str, Mapping[str, Any]],
    threshold: float,
    path: Path,
) -> None:
    """Write the page: tables of how many there were, and every false response, grouped by what was said.

    In a group they are in the order of the sounds' categories. `false` are (library, response); `hours` has the figures
    of each library's ordinary sound. Raises OSError where the page cannot be written.
    """
    said = Counter(_said(one) for _, one in false)
    groups = []
    for text, _ in said.most_common():
        own = [(library, one) for library, one in false if _said(one) == text]
        of = Counter(_category(one) for _, one in own)
        own.sort(key=lambda row: (-of[_category(row[1])], _category(row[1]), row[0], row[1].recording_s))
        groups.append(
            {
                'said': text,
                'categories': ', '.join(f'{category} {count}' for category, count in of.most_common()),
                'each': [_item(library, one, threshold) for library, one in own],
            }
        )
    libraries = pages.table(
        ('ordinary sound of', 'false responses an hour', '95 % interval', 'hours', 'sounds', 'recordings'),
        (
            (
                library,
                figures['false_alarms_per_hour'],
                _interval(figures['confidence_95'].get('false_alarms_per_hour')),
                figures['hours_listened'],
                figures['sounds'],
                figures['recordings'],
            )
            for library, figures in hours.items()
        ),
    )
    sections = [('How many', libraries)]
    if groups:
        sections.append(('What was said, and of which sounds', _counts(false, said)))
        sections.append(('Each of them', pages.render('false_responses.html', groups=groups)))
    facts = f'{len(false)} false responses · threshold {threshold:.3f} · groups open on a click'
    pages.write_page(path, 'False responses to ordinary sound', facts, sections)


def _counts(false: Sequence[tuple[str, FalseResponse]], said: Counter[str]) -> Markup:
    categories = Counter(_category(one) for _, one in false)
    cells = Counter((_category(one), _said(one)) for _, one in false)
    rows = (
        [category, total, *(cells[category, text] or None for text, _ in said.most_common())]
        for category, total in categories.most_common()
    )
    return pages.table(['sound', 'all', *(text for text, _ in said.most_common())], rows)


def _item(library: str, one: FalseResponse, threshold: float) -> dict[str, object]:
    scored = one.place.scored
    ours = f' (here: {scored.sound.category})' if scored.sound.category != scored.label else ''
    return {
        'title': f'{scored.label}{ours}: {scored.file}',
        'note': f'{scored.sound.source_id} · {library}, at {one.recording_s:.1f} s · P(response) {one.probability:.2f}',
        'picture': pages.chances(one.probabilities, one.at_s, threshold, len(one.samples) / SAMPLE_RATE_HZ),
        'sound': pages.sound(from_integers(one.samples)),
        'sounding': '; '.join(f'{max(0.0, first):.1f} – {last:.1f} s {label}' for first, last, label in one.spans),
    }


def _said(one: FalseResponse) -> str:
    return one.said or _NOTHING_SAID


def _category(one: FalseResponse) -> str:
    return one.place.scored.label


def _interval(interval: Sequence[float] | None) -> str | None:
    return f'{interval[0]:g} … {interval[1]:g}' if interval else None
