"""`audio-interaction bench soak`: hours of sound as fast as they go. Does memory grow, do decisions slow down?"""

from __future__ import annotations

import html
import json
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.bench.chunks import chunks_of
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session

_CHUNKS_AN_HOUR = round(3_600 / CHUNK_S)
_PAUSE_CHUNKS = 5  # of silence before and after the probe
_BARS = ('decision_p50_ms', 'decision_p99_ms', 'memory_mb')  # what must not grow
_STYLE = (
    ':root{color-scheme:light dark}body{font:15px sans-serif;margin:auto;padding:1em;max-width:60em}'
    'th,td{padding:.15em .8em .15em 0;text-align:left;vertical-align:top;font-weight:normal}'
    'i{display:block;height:.4em;background:#4a7fd6}div{overflow-x:auto}'
)


def run(
    encoder: EncoderHalf,
    decoder: DecoderHalf,
    samples: Samples,
    hours: float,
    instruction: str | None = None,
    probe: Samples | None = None,
) -> dict[str, Any]:
    """Play `samples` over and over, as one stream, through one session that always keeps up.

    `probe` is played once at the start and once more at the end: what it is answered shows whether `instruction` still
    holds. `by_hour` has a row for every hour or part of one.
    """
    session = make_session(decoder, instruction=instruction)
    queue = ChunkQueue(max_chunks=4)
    soaked = _SoakedSession(StreamingEncoder(encoder.encoder), queue, ListeningLoop(queue, session, decoder))
    first = soaked.hear_apart(probe)
    loop = chunks_of(samples)
    total = max(1, round(hours * _CHUNKS_AN_HOUR))
    rows: list[dict[str, Any]] = []
    with tqdm(total=total, desc='sound', unit='chunk') as progress:
        for begin in range(0, total, _CHUNKS_AN_HOUR):
            count = min(_CHUNKS_AN_HOUR, total - begin)
            soaked.forget_figures()
            compacted = session.compactions
            for number in range(begin, begin + count):
                soaked.hear(loop[number % len(loop)])
                progress.update()
            rows.append(
                {
                    'hour': len(rows) + 1,
                    'decisions': len(soaked.times_s),
                    'skipped': count - soaked.covered,
                    'responses': soaked.finished,
                    'compactions': session.compactions - compacted,
                    'decision_p50_ms': round(1_000 * float(np.percentile(soaked.times_s, 50)), 3),
                    'decision_p99_ms': round(1_000 * float(np.percentile(soaked.times_s, 99)), 3),
                    'memory_mb': round(_memory_mb(), 1),
                }
            )
    last = soaked.hear_apart(probe)
    result: dict[str, Any] = {
        'hours': round(total / _CHUNKS_AN_HOUR, 3),
        'decisions': sum(row['decisions'] for row in rows),
        'decisions_skipped': sum(row['skipped'] for row in rows),
        'responses': sum(row['responses'] for row in rows),
        'compactions': session.compactions,
        'decision_p99_ms_first_hour': rows[0]['decision_p99_ms'],
        'decision_p99_ms_last_hour': rows[-1]['decision_p99_ms'],
        'decision_p99_last_to_first': round(rows[-1]['decision_p99_ms'] / rows[0]['decision_p99_ms'], 3),
        'memory_growth_mb': round(rows[-1]['memory_mb'] - rows[0]['memory_mb'], 1),
    }
    if probe is not None:
        result |= {'probe_answered_first': first, 'probe_answered_last': last}
    return result | {'by_hour': rows}


class _SoakedSession:
    """A soaked session counts what came of its chunks since the figures were last forgotten."""

    def __init__(self, encoder: StreamingEncoder, queue: ChunkQueue, loop: ListeningLoop) -> None:
        self._encoder, self._queue, self._loop = encoder, queue, loop
        self._number = 0
        self.forget_figures()

    def forget_figures(self) -> None:
        self.times_s: list[float] = []
        self.covered = self.finished = 0
        self._said: list[str] = []

    def hear(self, chunk: torch.Tensor) -> None:
        self._queue.push(EncodedChunk.unbroken(self._number, self._encoder.encode(chunk)))
        self._number += 1
        for event in self._loop.run_until_idle():
            if isinstance(event, Decision):
                self.times_s.append(event.compute_time_s)
                self.covered += event.chunks_drained
            elif isinstance(event, Response) and event.final:
                self.finished += 1
                self._said = [*self._said[-20:], event.text]

    def hear_apart(self, probe: Samples | None) -> list[str]:
        """Return what a probe is answered, with silence before and after it."""
        if probe is None:
            return []
        silence = np.zeros(_PAUSE_CHUNKS * CHUNK_SAMPLES, np.float32)
        self.forget_figures()
        for chunk in chunks_of(np.concatenate([silence, probe, silence])):
            self.hear(chunk)
        return self._said


def _memory_mb() -> float:
    """Return what is resident now, where the system tells; the most it ever was, elsewhere."""
    try:
        return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000


def write(result: dict[str, Any], folder: Path) -> None:
    """Write soak.json with everything, and soak.html to look at, into a folder; makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'soak.json').write_text(json.dumps(result, indent=1, ensure_ascii=False) + '\n')
    # Two tables and no plot: a robot has neither matplotlib nor jinja2, and growth over hours shows in bars as well.
    figures = ''.join(
        f'<tr><th scope="row">{html.escape(name.replace("_", " "))}<td>{html.escape(str(value))}'
        for name, value in result.items()
        if name != 'by_hour'
    )
    rows = result['by_hour']
    titles = ''.join(f'<th scope="col">{name.replace("_", " ")}' for name in rows[0])
    most = {name: max(row[name] for row in rows) or 1 for name in _BARS}
    hours = ''.join(f'<tr>{"".join(_cell(row[name], most.get(name)) for name in row)}' for row in rows)
    (folder / 'soak.html').write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Soak</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<style>{_STYLE}</style><h1>{result["hours"]:g} hours of sound</h1><table>{figures}</table>'
        f'<h2>Hour by hour</h2><div><table><tr>{titles}{hours}</table></div></html>\n'
    )


def _cell(value: float, most: float | None) -> str:
    bar = f'<i style="width:{100 * value / most:.1f}%"></i>' if most else ''
    return f'<td>{value}{bar}'
