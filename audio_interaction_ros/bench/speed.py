"""`audio-interaction bench speed`: what a pass takes, and what it would take if only bytes and operations cost time."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.model.graphs import make_engine
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK
from audio_interaction_ros.streaming.loop import listen, make_session
from audio_interaction_ros.streaming.session import Session

_CONTEXT_CHUNKS = 30  # behind which a pass is timed
_COPY_BYTES = 256 << 20
_REAL_TIME_CHUNKS = 150


def run(encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples, repeats: int) -> dict[str, Any]:
    """Measure every pass with its floor, the machine's rates, memory, and the real-time factor, on torch's threads."""
    process_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # before there is anything but the model
    device, dtype = decoder.language_model.device, decoder.language_model.dtype
    copy_bytes_s, flop_s = copy_rate(device), matrix_rate(decoder.language_model.config.hidden_size, device, dtype)
    passes: dict[str, dict[str, float]] = {}

    def add(name: str, times_s: list[float], weights: int, cached: int, positions: int) -> None:
        # Weights and cache are read once a pass; each weight is multiplied and added once a position.
        floor_s = max((weights + cached) / copy_bytes_s, 2 * weights / itemsize * positions / flop_s)
        p50, p99 = (1_000 * float(np.percentile(times_s, q)) for q in (50, 99))
        floor_ms = 1_000 * floor_s
        passes[name] = {
            'p50_ms': round(p50, 3),
            'p99_ms': round(p99, 3),
            'floor_ms': round(floor_ms, 4),
            'ratio': round(p50 / floor_ms, 2),
        }

    tower = encoder.encoder.audio_tower
    itemsize = tower.dtype.itemsize
    streaming = StreamingEncoder(encoder.encoder)
    chunk = torch.from_numpy(samples[:CHUNK_SAMPLES])
    add('encode_one_chunk', _times(lambda: streaming.encode(chunk), repeats, device), _bytes(tower), 0, 20)
    model = decoder.language_model
    engine = make_engine(model, sessions=2)
    itemsize = engine.dtype.itemsize
    a_chunk = AUDIO_TOKENS_PER_CHUNK + 3
    context = _CONTEXT_CHUNKS * a_chunk
    cache = engine.new_cache(context + 9 * a_chunk)
    engine.forward([cache], torch.zeros(1, context, engine.config.hidden_size, device=device, dtype=dtype))
    weights = _bytes(model)
    if not model.config.tie_word_embeddings:  # then the embedding table is looked up, not read
        weights -= model.model.embed_tokens.weight.numel() * itemsize
    cached = cache.keys[:, :, :context].numel() * 2 * itemsize

    def step(positions: int) -> Callable[[], object]:
        embedded = torch.zeros(1, positions, engine.config.hidden_size, device=device, dtype=dtype)

        def go() -> None:
            engine.forward([cache], embedded)
            cache.truncate(context)

        return go

    for chunks in (1, 2, 4, 8):
        name = 'drain_one_chunk' if chunks == 1 else f'drain_{chunks}_chunks'
        add(name, _times(step(1 + chunks * (a_chunk - 1)), repeats, device), weights, cached, chunks * a_chunk)
    add('text_token', _times(step(1), repeats, device), weights, cached, 1)
    session = full_session(decoder, engine.dtype)
    prefix = decoder.instruction_prefix(decoder.config.streaming.instruction)
    again = len(prefix) + session.context_chunks * a_chunk
    add('told_with_full_context', _times(lambda: session.tell(prefix), min(repeats, 30), device), weights, 0, again)
    return {
        'passes': passes,
        'real_time_factor': round(real_time_factor(encoder, decoder, samples), 1),
        'memory': {
            'weights_mb': round((_bytes(tower) + _bytes(model)) / 1e6, 1),
            'cache_mb': round(make_session(decoder).cache_bytes / 1e6, 1),
            'process_mb': round(process_kb / 1_000, 0),
        },
        'machine': {
            'threads': torch.get_num_threads(),
            'copy_gb_s': round(copy_bytes_s / 1e9, 1),
            'matrix_gflop_s': round(flop_s / 1e9, 1),
        },
    }


def full_session(decoder: DecoderHalf, dtype: torch.dtype) -> Session:
    """Return a session whose context is nearly as full as an idle one's ever is, with silent turns of one chunk."""
    session = make_session(decoder, 1 - 1e-9)
    vectors = torch.zeros(AUDIO_TOKENS_PER_CHUNK, decoder.language_model.config.hidden_size, dtype=dtype)
    for _ in range(session.settings.max_context_chunks * 7 // 8):
        session.drain([vectors])
    return session


def copy_rate(device: torch.device) -> float:
    """Return the bytes a second that a device reads and writes, the best of ten copies of 256 MiB."""
    source = torch.ones(_COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPY_BYTES / min(_times(lambda: target.copy_(source), 10, device))


def matrix_rate(width: int, device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations a second in products of square matrices as wide as the model, or 512."""
    size = max(512, width)
    left, right = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(_times(lambda: left @ right, 10, device))


def real_time_factor(encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples) -> float:
    """Return how many seconds of sound are heard, decided on and answered in a second.

    A chunk at a time, as on a robot that keeps up.
    """
    heard = samples[: _REAL_TIME_CHUNKS * CHUNK_SAMPLES]
    began = time.perf_counter()
    for _ in listen(encoder, decoder, heard):
        pass
    return len(heard) // CHUNK_SAMPLES * CHUNK_S / (time.perf_counter() - began)


def _times(work: Callable[[], object], repeats: int, device: torch.device) -> list[float]:
    def finish() -> None:
        if device.type == 'cuda':  # which otherwise has only been told what to do
            torch.cuda.synchronize(device)

    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        finish()
        began = time.perf_counter()
        work()
        finish()
        times.append(time.perf_counter() - began)
    return times


def _bytes(module: torch.nn.Module) -> int:
    # Weights of eight bits are buffers, not parameters.
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
