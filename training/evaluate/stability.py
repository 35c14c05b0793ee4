"""Capability stability: the same streams again, as the first to the fifth of a concatenation (paper Figure 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from training.evaluate.hearing import Listener
from training.evaluate.replies import compare, stands_instructed
from training.evaluate.trials import Trial, rates
from training.random_streams import Purpose, random_stream
from training.streams import Stream, schedule

SEGMENTS = 5
MOST_STREAMS = 60


def self_contained(stream: Stream) -> bool:
    """Return whether a stream means the same after another one.

    It does if no instruction stays in force and nothing asks for the start of the stream.
    """
    return not stands_instructed(stream) and 'history review' not in stream.mixed_in


def written(stream: Stream) -> Stream:
    """Return the stream with its replies written at once, so that spoken and written streams can follow each other."""
    drains = tuple(schedule(stream.replies, stream.chunks, aloud=False))
    return stream.model_copy(update={'aloud': False, 'drains': drains})


def stability(listener: Listener, streams: Sequence[tuple[Stream, Samples]], seed: int) -> dict[str, Any]:
    """Return the figures of streams that N − 1 others precede in one session, by N from 1 to 5 (paper Figure 9).

    `…_retained` is the share of the figure at N = 1. Streams stand in rings of five in random order, and each ring is
    heard from each of its streams on: so every figure is over the same streams, and N = 1 is the fresh session. Empty
    with fewer than five streams.
    """
    order = random_stream(Purpose.CONCATENATION, seed).permutation(len(streams))
    rings = [order[first : first + SEGMENTS] for first in range(0, len(order) - SEGMENTS + 1, SEGMENTS)]
    trials: list[list[Trial]] = [[] for _ in range(SEGMENTS)]
    runs = [np.roll(ring, -start) for ring in rings for start in range(SEGMENTS)]
    for run in tqdm(runs, desc='concatenations', unit='stream'):
        parts = [streams[index] for index in run]
        heard = listener.hear(listener.encode(np.concatenate([samples for _, samples in parts])))
        first = 0
        for position, (stream, _) in enumerate(parts):
            last = first + stream.chunks * CHUNK_SAMPLES
            trials[position] += compare(written(stream), heard.excerpt(first, last)).trials()
            first = last
    if not rings:
        return {}
    figures = {str(n): rates(found, seed) for n, found in enumerate(trials, 1)}
    for found in figures.values():
        for name in ('balanced_accuracy', 'response_correct'):
            if figures['1'][name] and found[name] is not None:
                found[f'{name}_retained'] = round(found[name] / figures['1'][name], 4)
    return figures
