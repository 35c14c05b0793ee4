"""Self-contained HTML pages: figures as tables and inline SVG, sounds that play; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.procedural.contact_sheet import palette, picture, png

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; color: #222; background: #fff }
h2 { margin-top: 2em; border-bottom: 1px solid #bbb } table { border-collapse: collapse }
td, th { padding: .1em .8em .1em 0;
text-align: left; vertical-align: top } .bar { background: #3f6fb0; height: .8em; display: inline-block }
.line { position: relative; height: 1.6em; background: #eee; margin: .3em 0 } .line span { position: absolute; top: 0;
height: 1.6em; overflow: hidden; white-space: nowrap; font-size: 11px; line-height: 1.6em }
.sound { background: #c7d8ef } .respond { background: #f3c1c1 } .speech { background: #d5ecd2 }
.reply { border-left: 2px solid #b00020; color: #b00020; background: none } img { width: 100%; height: 160px }
audio { width: 100% } article { margin-bottom: 2em } svg { max-width: 100%; height: auto; font: 12px sans-serif }
"""


@dataclass(frozen=True)
class Span:
    """Something between two moments, in seconds; `kind` is sound, respond or speech."""

    start_s: float
    end_s: float
    label: str
    kind: str = 'sound'


@dataclass(frozen=True)
class Mark:
    """Something said at a moment, in seconds."""

    at_s: float
    label: str


def write_page(page: Path, title: str, facts: str, sections: Iterable[tuple[str, str]]) -> None:
    """Write a page of (heading, HTML) sections; makes its folder."""
    body = ''.join(f'<h2>{html.escape(heading)}</h2>{content}' for heading, content in sections)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(facts)}</p>{body}</html>\n',
        encoding='utf-8',
    )


def bars(counts: Mapping[str, int]) -> str:
    """A table of counts with a bar for each."""
    largest = max(counts.values(), default=1)
    rows = (
        f'<tr><td>{html.escape(name)}</td><td>{count}</td>'
        f'<td><span class=bar style="width:{round(300 * count / largest)}px"></span></td></tr>'
        for name, count in counts.items()
    )
    return f'<table>{"".join(rows)}</table>' if counts else '<p>none</p>'


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of text cells; None is an empty one."""

    def line(cells: Iterable[object], tag: str) -> str:
        shown = (html.escape('' if cell is None else str(cell)) for cell in cells)
        return '<tr>' + ''.join(f'<{tag}>{cell}</{tag}>' for cell in shown) + '</tr>'

    return f'<table>{line(header, "th")}{"".join(line(row, "td") for row in rows)}</table>'


def stream(
    title: str, note: str, samples: Samples, spans: Iterable[Span], *lines: Iterable[Mark], strip: str = ''
) -> str:
    """A stream to look at and listen to: spectrogram, what sounds, `strip`, a line for each set of marks, player."""
    sound = io.BytesIO()
    soundfile.write(sound, samples, SAMPLE_RATE_HZ, format='OGG', subtype='VORBIS')
    image = base64.b64encode(png(picture(samples), palette())).decode()
    audio = base64.b64encode(sound.getvalue()).decode()

    def percent(seconds: float) -> str:
        return f'{100 * seconds * SAMPLE_RATE_HZ / len(samples):.2f}%'

    events = ''.join(
        f'<span class={span.kind} style="left:{percent(span.start_s)};width:{percent(span.end_s - span.start_s)}" '
        f'title="{html.escape(span.label)}">{html.escape(span.label)}</span>'
        for span in spans
    )
    said = ''.join(
        '<div class=line>'
        + ''.join(
            f'<span class=reply style="left:{percent(mark.at_s)}">{html.escape(mark.label)}</span>' for mark in marks
        )
        + '</div>'
        for marks in lines
    )
    return (
        f'<article><h3>{html.escape(title)}</h3><p>{html.escape(note)}</p>'
        f'<img alt="spectrogram" src="data:image/png;base64,{image}"><div class=line>{events}</div>'
        f'{strip}{said}<audio controls src="data:audio/ogg;base64,{audio}"></audio></article>'
    )
