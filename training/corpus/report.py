"""`corpus report`: one self-contained HTML page to look at a corpus and listen to ten of its streams."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus.build import BuildError, read_streams
from training.corpus.library import Library
from training.corpus.perform import Stream
from training.corpus.procedural.contact_sheet import palette, picture, png

SHOWN = 10
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; color: #222; background: #fff }
h2 { margin-top: 2em; border-bottom: 1px solid #bbb } table { border-collapse: collapse }
td, th { padding: .1em .8em .1em 0;
text-align: left; vertical-align: top } .bar { background: #3f6fb0; height: .8em; display: inline-block }
.line { position: relative; height: 1.6em; background: #eee; margin: .3em 0 } .line span { position: absolute; top: 0;
height: 1.6em; overflow: hidden; white-space: nowrap; font-size: 11px; line-height: 1.6em }
.sound { background: #c7d8ef } .respond { background: #f3c1c1 } .speech { background: #d5ecd2 }
.reply { border-left: 2px solid #b00020; color: #b00020; background: none } img { width: 100%; height: 160px }
audio { width: 100% } article { margin-bottom: 2em }
"""


def write_report(out: Path, page: Path) -> dict[str, object]:
    """Write `page` about the corpus in `out`; returns the headline figures. Raises BuildError where there is none."""
    streams = [stream for stream, _ in read_streams(out, audio=False)]
    if not streams:
        raise BuildError(f"no streams under '{out}': look into '{out}/failures'")
    hours = sum(stream.chunks for stream in streams) * CHUNK_SAMPLES / SAMPLE_RATE_HZ / 3_600
    drains = [drain for stream in streams for drain in stream.drains]
    silence = sum(drain.reply is None for drain in drains) / len(drains)
    headline: dict[str, object] = {
        'streams': len(streams),
        'hours': round(hours, 3),
        'replies': sum(len(stream.replies) for stream in streams),
        'silence_share': round(silence, 4),
    }
    library = Library(out / 'library' / 'clips')
    clips = [library[event.clip] for stream in streams for event in stream.events if event.clip in library]
    sections = [
        ('Abilities', _bars(Counter(stream.category for stream in streams))),
        ('Sub-tasks', _bars(Counter(f'{stream.category} / {stream.task}' for stream in streams))),
        ('Rounds a stream', _bars(_by_number(len(stream.replies) for stream in streams))),
        ('Characters a reply', _bars(_histogram([len(r.text) for s in streams for r in s.replies], 10))),
        ('Chunks a drain', _bars(_by_number(drain.last - drain.first + 1 for drain in drains))),
        ('Event noise, SNR (dB)', _bars(_histogram([stream.event_snr_db for stream in streams], 2))),
        ('Mixed in', _bars(Counter(name for stream in streams for name in stream.mixed_in))),
        ('Splits', _bars(Counter(stream.split for stream in streams))),
        ('Made by', _bars(Counter(stream.made_by for stream in streams))),
        ('Sources of the sounds', _bars(Counter(clip.source for clip in clips))),
        ('Licences and attributions', _licences({(c.source, c.licence, c.attribution) for c in clips})),
        ('Left out, and why', _bars(_failures(out))),
        ('Ten streams', ''.join(_stream(stream, samples) for stream, samples in _ten(out, len(streams)))),
    ]
    facts = ' · '.join(f'{name.replace("_", " ")} {value}' for name, value in headline.items())
    body = ''.join(f'<h2>{title}</h2>{content}' for title, content in sections)
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Corpus</title><style>{_STYLE}</style>'
        f'<h1>Corpus of streams</h1><p>{facts}</p>{body}</html>\n',
        encoding='utf-8',
    )
    return headline


def _bars(counts: Mapping[str, int]) -> str:
    largest = max(counts.values(), default=1)
    rows = (
        f'<tr><td>{html.escape(name)}</td><td>{count}</td>'
        f'<td><span class=bar style="width:{round(300 * count / largest)}px"></span></td></tr>'
        for name, count in counts.items()
    )
    return f'<table>{"".join(rows)}</table>' if counts else '<p>none</p>'


def _by_number(values: Iterable[int]) -> dict[str, int]:
    counts = Counter(values)
    return {str(value): counts[value] for value in sorted(counts)}


def _histogram(values: Iterable[float], width: int) -> dict[str, int]:
    counts = Counter(int(value // width) for value in values)
    return {f'{bin_ * width} … {(bin_ + 1) * width}': counts[bin_] for bin_ in sorted(counts)}


def _licences(rows: set[tuple[str, str, str]]) -> str:
    cells = (''.join(f'<td>{html.escape(cell)}</td>' for cell in row) for row in sorted(rows))
    table = '<tr><th>source</th><th>licence</th><th>attribution</th></tr>' + ''.join(f'<tr>{row}</tr>' for row in cells)
    return f'<details><summary>{len(rows)} recordings</summary><table>{table}</table></details>'


def _failures(out: Path) -> Counter[str]:
    rows = (line for path in sorted((out / 'failures').glob('*.jsonl')) for line in path.read_text().splitlines())
    return Counter(json.loads(row)['reason'] for row in rows)


def _ten(out: Path, count: int) -> Iterable[tuple[Stream, Samples]]:
    """Ten streams, evenly spread."""
    wanted = set(np.linspace(0, count - 1, min(SHOWN, count)).astype(int).tolist())
    return read_streams(out, only=wanted)


def _stream(stream: Stream, samples: Samples) -> str:
    sound = io.BytesIO()
    soundfile.write(sound, samples, SAMPLE_RATE_HZ, format='OGG', subtype='VORBIS')
    image = base64.b64encode(png(picture(samples), palette())).decode()
    audio = base64.b64encode(sound.getvalue()).decode()

    def at(sample: int) -> float:
        return 100 * sample / len(samples)

    events = ''.join(
        f'<span class={"speech" if event.text else "respond" if event.respond else "sound"} '
        f'style="left:{at(event.onset):.2f}%;width:{at(event.end - event.onset):.2f}%" '
        f'title="{html.escape(event.text or event.category)}">{html.escape(event.text or event.category)}</span>'
        for event in stream.events
    )
    replies = ''.join(
        f'<span class=reply style="left:{at((drain.last + 1) * CHUNK_SAMPLES):.2f}%">'
        f'{html.escape(stream.replies[drain.reply].text)}</span>'
        for drain in stream.drains
        if drain.reply is not None
    )
    return (
        f'<article><h3>{stream.id}: {html.escape(stream.category)} / {html.escape(stream.task)}</h3>'
        f'<p>{html.escape(stream.instruction) or "no instruction but the general one"} · {stream.split} · '
        f'SNR {stream.event_snr_db:.1f} and {stream.ambient_snr_db:.1f} dB</p>'
        f'<img alt="spectrogram" src="data:image/png;base64,{image}"><div class=line>{events}</div>'
        f'<div class=line>{replies}</div><audio controls src="data:audio/ogg;base64,{audio}"></audio></article>'
    )
