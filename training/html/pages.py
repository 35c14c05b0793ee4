"""Self-contained HTML pages: tables, plots and sounds that play, all in one file; nothing is loaded from elsewhere.

What is HTML already is `Markup`; every other text is escaped on its way into a page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import soundfile
from markupsafe import Markup

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.html.spectrograms import LEFT_SHARE, WIDTH_SHARE, stream_picture

Section = tuple[str, Markup]  # a heading, and what stands under it

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / 'templates'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Span:
    """A `Span` is a stretch between two moments, in seconds; `kind` is sound, respond or speech."""

    start_s: float
    end_s: float
    label: str
    kind: str = 'sound'


@dataclass(frozen=True)
class Mark:
    """A `Mark` is a text at a moment, in seconds."""

    at_s: float
    label: str


def render(template: str, **values: object) -> Markup:
    """Return the template `template` of this room's `templates/` with its values filled in.

    Raises jinja2.UndefinedError where it asks for a value that is not given.
    """
    return Markup(_TEMPLATES.get_template(template).render(**values))


def write_page(page: Path, title: str, facts: str, sections: Iterable[Section]) -> None:
    """Write an HTML page of sections, and make its folder if need be. Raises OSError where it cannot be written."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render('page.html', title=title, facts=facts, sections=sections), encoding='utf-8')


def bars(counts: Mapping[str, int]) -> Markup:
    """Return an HTML table of counts with a bar for each."""
    return render('bars.html', counts=counts, largest=max([1, *counts.values()]))


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Markup:
    """Return an HTML table; the first cell of a row names it, None is an empty one."""
    shown = [['' if cell is None else _unbroken(str(cell)) for cell in row] for row in rows]
    return render('table.html', header=list(header), rows=shown)


def _unbroken(text: str) -> str:
    """An interval stays on one line: a narrow table breaks before it and not inside."""
    return text.replace(' … ', '\u00a0…\u00a0')


def sound(samples: Samples) -> str:
    """Return a sound, float32 [n] at 16 kHz, as a data URL of an MP3 file.

    Every browser plays MP3, and the same sound gives the same bytes, which Ogg with its random serial number does not.
    """
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format='MP3', subtype='MPEG_LAYER_III')
    return f'data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}'


def stream(
    title: str,
    note: str,
    samples: Samples,
    spans: Iterable[Span],
    said: Mapping[str, Iterable[Mark]],
    probabilities: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Return a stream to look at and listen to: its spectrogram, what sounds, what is said, a player.

    `samples` float32 [n] at 16 kHz; `said` has a lane of marks by its name; `probabilities` are (second, P(response)).
    """
    seconds = len(samples) / SAMPLE_RATE_HZ
    return render(
        'stream.html',
        title=title,
        note=note,
        picture=stream_picture(samples, probabilities, title),
        sound=sound(samples),
        spans=list(spans),
        said={name: list(marks) for name, marks in said.items()},
        seconds=seconds,
        percent=lambda at_s: f'{100 * at_s / seconds:.2f}%',
        left=f'{LEFT_SHARE:.0%}',
        width=f'{WIDTH_SHARE:.0%}',
    )


def chances(points: Sequence[tuple[float, float]], at_s: float, threshold: float, seconds: float) -> Markup:
    """Return P(response) over time, from 0 to 1, as a picture that costs a page some hundred bytes.

    `points` are (second, probability), one a decision; `at_s` is the second of the response, marked by a line, and
    `threshold` is drawn as a broken one. All lie in 0 … `seconds`.
    """
    return render(
        'chances.html',
        points=[(100 * second / seconds, 1 - chance) for second, chance in points],
        at=100 * at_s / seconds,
        threshold=1 - threshold,
        highest=max((chance for _, chance in points), default=0.0),
        at_s=at_s,
        seconds=seconds,
    )
