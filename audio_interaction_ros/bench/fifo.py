"""`audio-interaction bench fifo`: both schedulers on the same sound, in turn, and the figures of Table 5."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.bench.schedulers import SCHEDULERS, SchedulerTrace, ScriptedSession
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.engine import Engine

# A response every 12 seconds, of 40 to 200 tokens: a sentence to a paragraph.
_EVERY, _FIRST, _TOKENS = 30, 6, (40, 200)


def script(chunks: int, seed: int) -> dict[int, int]:
    """Draw {chunk: tokens of the response that it triggers}; the last response has time to end."""
    rng = np.random.default_rng(seed)
    return {chunk: int(rng.integers(*_TOKENS)) for chunk in range(_FIRST, chunks - _EVERY, _EVERY)}


def run(
    encoder: EncoderHalf,
    decoder: DecoderHalf,
    samples: Samples,
    pairs: int,
    pass_s: float,
    seed: int,
    progress: Any,
) -> dict[str, Any]:
    """Run alternating pairs and return {'fifo': figures, 'synchronous': figures, …}, medians over the pairs."""
    own_s = own_pass_s(decoder)
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEDULERS}
    for pair in range(pairs):
        # Who goes first changes, so that a machine that warms up or slows down favours neither.
        order = list(SCHEDULERS) if pair % 2 == 0 else list(reversed(SCHEDULERS))
        for name in order:
            scripted = script(len(samples) // 6_400, seed + pair)
            session = ScriptedSession(decoder, scripted, pass_s)
            measured[name].append(figures(SCHEDULERS[name](encoder, decoder, session, samples)))
            progress.update()
    result: dict[str, Any] = {name: _median(rows) for name, rows in measured.items()}
    resume = {name: result[name]['resume_latency_ms']['p50'] for name in SCHEDULERS}
    result['resume_speedup'] = round(resume['synchronous'] / resume['fifo'], 2)
    result['pairs'] = pairs
    result['seconds'] = round(len(samples) / 16_000, 1)
    result['pass_ms'] = round(1_000 * max(pass_s, own_s), 2)
    result['slowed_by'] = round(max(pass_s, own_s) / own_s, 1)
    return result


def own_pass_s(decoder: DecoderHalf) -> float:
    """Return how many seconds this model takes for a text token behind 30 chunks, the median of 40."""
    engine = Engine(decoder.language_model)
    cache = engine.new_cache(400)
    engine.forward([cache], torch.zeros(1, 360, engine.config.hidden_size, dtype=engine.dtype, device=engine.device))
    times = []
    for _ in range(40):
        began = time.perf_counter()
        engine.forward([cache], engine.embed([0])[None])
        times.append(time.perf_counter() - began)
        cache.truncate(360)
    return float(np.median(times))


def figures(timeline: SchedulerTrace) -> dict[str, Any]:
    """Return the figures that docs/performance.md defines, of one run; times in milliseconds."""
    ends = [(number + 1) * CHUNK_S for number in range(timeline.chunks)]

    def speaking(moment_s: float) -> bool:
        return any(began <= moment_s < ended for began, ended in timeline.responses)

    decided = np.full(timeline.chunks, np.inf)  # when a chunk got its control token
    at = 0
    for made_s, newest in timeline.decisions:
        decided[at : newest + 1] = made_s
        at = newest + 1
    first_chunk = [decided[n] - end for n, end in enumerate(ends) if not speaking(end)]
    resume = []
    for _, ended in timeline.responses:
        fresh = [made for made, newest in timeline.decisions if made >= ended and made - ends[newest] <= CHUNK_S]
        if fresh:
            resume.append(min(fresh) - _from_when(timeline, ends, ended))
    periods = [number for number, end in enumerate(ends[:-1]) if not speaking(end)]
    stalled = [
        number
        for number in periods
        if not any(
            ends[number] <= made < ends[number] + CHUNK_S and newest >= number for made, newest in timeline.decisions
        )
    ]
    return {
        'first_chunk_latency_ms': _spread(first_chunk),
        'resume_latency_ms': _spread(resume),
        'stall_share': round(len(stalled) / max(1, len(periods)), 4),
        'backlog_chunks': timeline.backlog,
        'token_gap_ms': _spread(timeline.token_gaps_s),
        'responses': len(timeline.responses),
    }


def _from_when(timeline: SchedulerTrace, ends: Sequence[float], ended_s: float) -> float:
    """Return the end of a response; or that of the next chunk, if by then nothing was left to decide on."""
    newest = max((newest for made, newest in timeline.decisions if made <= ended_s), default=-1)
    nothing_waits = newest + 1 < len(ends) and ends[newest + 1] > ended_s
    return ends[newest + 1] if nothing_waits else ended_s


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not len(seconds):
        return {'p50': float('nan'), 'p99': float('nan')}
    return {f'p{q}': round(1_000 * float(np.percentile(seconds, q)), 2) for q in (50, 99)}


def _median(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, value in rows[0].items():
        if isinstance(value, dict):
            merged[name] = {q: round(float(np.nanmedian([row[name][q] for row in rows])), 2) for q in value}
        else:
            merged[name] = round(float(np.median([row[name] for row in rows])), 4)
    return merged
