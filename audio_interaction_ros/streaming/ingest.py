"""Stamped pieces of audio of any rate → encoded chunks. Live nodes and replay drive this same object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from audio_interaction_ros.audio.chunk_stream import ChunkStream, StreamChunk
from audio_interaction_ros.audio.chunker import level_dbfs
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.model.checkpoint import EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.streaming.fifo import EncodedChunk


class AudioIngest:
    """16 kHz mono → 6400-sample chunks → vectors, with gaps declared and new streams begun by the stamps."""

    def __init__(self, encoder: EncoderHalf, first_stream_id: int) -> None:
        """`first_stream_id`: of the first stream; the following ones count up from it."""
        self._encoder = StreamingEncoder(encoder.encoder)
        self._stream = ChunkStream(first_stream_id)

    @property
    def gaps(self) -> int:
        return self._stream.gaps

    @property
    def streams(self) -> int:
        return self._stream.streams

    def note_loss(self) -> None:
        """A piece that belonged here is known to be lost (refused, or dropped from a full queue)."""
        self._stream.note_loss()

    def push(self, samples: Samples, pcm: PcmFormat, stamp_ns: int) -> Iterator[EncodedChunk]:
        """One message: float32 [frames, channels], their format, capture time of the first → complete chunks.

        Raises AudioFormatError for a message without a stamp or of absurd length; the stream then has a gap
        there, and goes on.
        """
        return self._encoded(self._stream.push(samples, pcm, stamp_ns))

    def end_stream(self) -> None:
        """What follows shares nothing with what came: the next piece begins a stream."""
        self._stream.end()

    def finish(self) -> Iterator[EncodedChunk]:
        """At the end of a recording: what is still inside, the last chunk filled up with zeros."""
        return self._encoded(self._stream.finish())

    def _encoded(self, chunks: Iterable[StreamChunk]) -> Iterator[EncodedChunk]:
        for placed in chunks:
            chunk = placed.chunk
            if not placed.continues:
                self._encoder.reset()
            yield EncodedChunk(
                placed.stream_id,
                chunk.index,
                chunk.first_sample,
                chunk.dropped_before,
                placed.stamp_ns,
                level_dbfs(chunk.samples),
                self._encoder.encode(torch.from_numpy(chunk.samples)),
            )
