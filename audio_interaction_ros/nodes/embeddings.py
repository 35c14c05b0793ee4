"""Encoded chunks as AudioEmbedding messages, and back with every doubt refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from std_msgs.msg import Header

from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from audio_interaction_ros.streaming.fifo import EncodedChunk

_DTYPES: dict[str, np.dtype[Any]] = {'float16': np.dtype('<f2'), 'float32': np.dtype('<f4')}


class EmbeddingError(ValueError):
    """This decoder cannot use an AudioEmbedding; `kind` is a short name for counting."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class EmbeddingSpec:
    """An `EmbeddingSpec` says what a decoder's checkpoint expects of an embedding."""

    encoder_digest: str
    dim: int


def embedding_message(chunk: EncodedChunk, encoder_digest: str, frame_id: str) -> AudioEmbedding:
    """Return the message of a chunk; float16 vectors travel as float16, all others as float32."""
    dtype = 'float16' if chunk.vectors.dtype == torch.float16 else 'float32'
    rows = chunk.vectors.detach().cpu().to(getattr(torch, dtype)).numpy().astype(_DTYPES[dtype])
    return AudioEmbedding(
        header=Header(stamp=stamp_of(chunk.stamp_ns), frame_id=frame_id),
        stream_id=chunk.stream_id,
        chunk_index=chunk.index,
        first_sample=chunk.first_sample,
        dropped_before=chunk.dropped_before,
        encoder_digest=encoder_digest,
        tokens=rows.shape[0],
        dim=rows.shape[1],
        dtype=dtype,
        data=bytes_array(rows.tobytes()),
        level_dbfs=chunk.level_dbfs,
    )


def chunk_of(message: AudioEmbedding, spec: EmbeddingSpec) -> EncodedChunk:
    """Return the chunk of a message, its vectors as float32 [10, dim].

    Raises EmbeddingError for what does not fit the decoder.
    """
    if message.encoder_digest != spec.encoder_digest:
        raise EmbeddingError(
            'digest',
            f"embeddings of encoder '{message.encoder_digest}' found, '{spec.encoder_digest}' expected; "
            'give chunk_encoder and decoder the same checkpoint',
        )
    dtype = _DTYPES.get(message.dtype)
    if dtype is None:
        raise EmbeddingError('dtype', f"embedding dtype '{message.dtype}' found, one of {', '.join(_DTYPES)} expected")
    if (message.tokens, message.dim) != (AUDIO_TOKENS_PER_CHUNK, spec.dim):
        raise EmbeddingError(
            'shape',
            f'embedding of {message.tokens} × {message.dim} found, {AUDIO_TOKENS_PER_CHUNK} × {spec.dim} expected; '
            'check who publishes ai/embeddings',
        )
    size = message.tokens * message.dim * dtype.itemsize
    if len(message.data) != size:
        raise EmbeddingError(
            'size', f'{len(message.data)} bytes of embedding found, {size} expected; check who publishes ai/embeddings'
        )
    rows = np.frombuffer(message.data, dtype).reshape(message.tokens, message.dim).astype(np.float32)
    if not np.isfinite(rows).all():
        raise EmbeddingError('not_finite', 'an embedding holds NaN or infinite numbers; restart chunk_encoder')
    return EncodedChunk(
        message.stream_id,
        message.chunk_index,
        message.first_sample,
        message.dropped_before,
        nanoseconds_of(message.header.stamp),
        message.level_dbfs,
        torch.from_numpy(rows),
    )
