"""`corpus report`: one self-contained HTML page to look at a corpus and listen to ten of its streams."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from markupsafe import Markup

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.store import heard_clips
from training.errors import BuildError
from training.html import pages
from training.speech.spoken import count_decisions, understood_by_voice
from training.streams import Stream, read_streams

SHOWN = 10


def write_report(out: Path, page: Path) -> dict[str, object]:
    """Write `page` about the corpus in `out` and return the headline figures. Raises BuildError where there is none."""
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
    library = heard_clips(out)
    heard = [event.clip for stream in streams for event in stream.events if event.clip in library]
    clips = [library[id_] for id_ in (*heard, *(id_ for stream in streams for id_ in stream.behind))]
    credited = {(clip.source, clip.licence, clip.attribution) for clip in clips}
    credited |= {credit for stream in streams for credit in stream.credits}
    sections = [
        ('Abilities', pages.bars(Counter(stream.category for stream in streams))),
        ('Sub-tasks', pages.bars(Counter(f'{stream.category} / {stream.task}' for stream in streams))),
        ('Rounds a stream', pages.bars(_by_number(len(stream.replies) for stream in streams))),
        ('Characters a reply', pages.bars(_histogram([len(r.text) for s in streams for r in s.replies], 10))),
        ('Chunks a drain', pages.bars(_by_number(drain.last - drain.first + 1 for drain in drains))),
        ('Event noise, SNR (dB)', pages.bars(_histogram([stream.event_snr_db for stream in streams], 2))),
        ('Mixed in', pages.bars(Counter(name for stream in streams for name in stream.mixed_in))),
        ('Splits', pages.bars(Counter(stream.split for stream in streams))),
        ('Made by', pages.bars(Counter(stream.made_by for stream in streams))),
        ('Sentences, as the speech chain found them', pages.bars(count_decisions(out))),
        *_voices(out),
        ('Sources of the sounds', pages.bars(Counter(clip.source for clip in clips))),
        ('Sources of the texts', pages.bars(Counter(source for s in streams for source, _, _ in s.credits))),
        ('Licences and attributions', _licences(credited)),
        ('Left out, and why', pages.bars(_failures(out))),
        ('Ten streams', Markup().join(_stream(stream, samples) for stream, samples in _ten(out, len(streams)))),
    ]
    facts = ' · '.join(f'{name.replace("_", " ")} {value}' for name, value in headline.items())
    pages.write_page(page, 'Corpus of streams', facts, sections)
    return headline


def _by_number(values: Iterable[int]) -> dict[str, int]:
    counts = Counter(values)
    return {str(value): counts[value] for value in sorted(counts)}


def _histogram(values: Iterable[float], width: int) -> dict[str, int]:
    counts = Counter(int(value // width) for value in values)
    return {f'{bin_ * width} … {(bin_ + 1) * width}': counts[bin_] for bin_ in sorted(counts)}


def _licences(rows: set[tuple[str, str, str]]) -> Markup:
    table = pages.table(('source', 'licence', 'attribution'), sorted(rows))
    return Markup('<details><summary>{} recordings</summary>{}</details>').format(len(rows), table)


def _voices(out: Path) -> list[tuple[str, Markup]]:
    """How well each voice was understood, the worst first; no section where nobody listened."""
    rows = [
        (voice, str(row.sentences), f'{row.failed_at_first:.0%}', f'{row.failed:.0%}')
        for voice, row in understood_by_voice(out).items()
    ]
    if not rows:
        return []
    table = pages.table(('voice', 'sentences', 'first rendering not understood', 'discarded'), rows)
    return [
        (
            'Voices, as the recogniser followed them',
            Markup('<details><summary>{} voices</summary>{}</details>').format(len(rows), table),
        )
    ]


def _failures(out: Path) -> Counter[str]:
    rows = (line for path in sorted((out / 'failures').glob('*.jsonl')) for line in path.read_text().splitlines())
    return Counter(json.loads(row)['reason'] for row in rows)


def _ten(out: Path, count: int) -> Iterable[tuple[Stream, Samples]]:
    """Ten streams, evenly spread."""
    wanted = set(np.linspace(0, count - 1, min(SHOWN, count)).astype(int).tolist())
    return read_streams(out, only=wanted)


def timeline(stream: Stream) -> tuple[list[pages.Span], list[pages.Mark]]:
    """Return what sounds in a stream, and what is to be said."""
    spans = [
        pages.Span(
            event.onset / SAMPLE_RATE_HZ,
            event.end / SAMPLE_RATE_HZ,
            event.text or event.category,
            'speech' if event.text else 'respond' if event.respond else 'sound',
        )
        for event in stream.events
    ]
    replies = [
        pages.Mark((drain.last + 1) * CHUNK_SAMPLES / SAMPLE_RATE_HZ, stream.replies[drain.reply].text)
        for drain in stream.drains
        if drain.reply is not None
    ]
    return spans, replies


def _stream(stream: Stream, samples: Samples) -> Markup:
    note = (
        f'{stream.instruction or "no instruction but the general one"} · {stream.split} · '
        f'SNR {stream.event_snr_db:.1f} and {stream.ambient_snr_db:.1f} dB'
    )
    spans, replies = timeline(stream)
    return pages.stream(f'{stream.id}: {stream.category} / {stream.task}', note, samples, spans, {'reply': replies})
