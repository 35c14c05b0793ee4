"""`audio-interaction bench sessions`: how many streams one process can hear without a stall."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.bench.chunks import chunks_of
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.model.graphs import make_engine
from audio_interaction_ros.streaming.brain import Brain
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, make_session


def run(encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples, periods: int) -> dict[str, Any]:
    """Double the number of streams until a period of sound takes longer than it lasts, then look in between.

    `periods`: of 400 ms, for each number. A stall is a period whose work, encoding, deciding and writing, took more.
    """
    tried: dict[int, dict[str, float]] = {}

    def holds(sessions: int) -> bool:
        work_s = time_periods(encoder, decoder, samples, sessions, periods)
        tried[sessions] = {
            'p50_ms': round(1_000 * float(np.percentile(work_s, 50)), 1),
            'p99_ms': round(1_000 * float(np.percentile(work_s, 99)), 1),
            'stall_share': round(float(np.mean(np.array(work_s) > CHUNK_S)), 4),
        }
        return tried[sessions]['stall_share'] == 0

    most = 1
    while holds(most) and most < 1_024:
        most *= 2
    low, high = most // 2, most
    while high - low > max(1, low // 8):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return {'sessions': low, 'threads': torch.get_num_threads(), 'tried': {str(n): tried[n] for n in sorted(tried)}}


def time_periods(
    encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples, sessions: int, periods: int
) -> list[float]:
    """Return the seconds of work in each period; the streams are the same sound, each from a place of its own."""
    engine = make_engine(decoder.language_model, sessions)
    queues = [ChunkQueue(8) for _ in range(sessions)]
    loops = {
        number: ListeningLoop(queue, make_session(decoder, engine=engine), decoder)
        for number, queue in enumerate(queues)
    }
    brain = Brain(engine, loops)
    streaming = StreamingEncoder(encoder.encoder, sessions)
    chunks = chunks_of(samples)
    work_s: list[float] = []
    for period in range(periods + 2):  # the first two warm up
        places = (torch.arange(sessions) * 7 + period) % len(chunks)
        began = time.perf_counter()
        for number, vectors in enumerate(streaming.encode(chunks[places])):
            queues[number].push(EncodedChunk.unbroken(period, vectors))
        covered = 0
        while emitted := brain.round():
            covered += sum(isinstance(event, Decision) for event in emitted.values())
        assert covered == sessions
        work_s.append(time.perf_counter() - began)
    return work_s[2:]
