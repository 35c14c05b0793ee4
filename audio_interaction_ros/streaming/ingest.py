"""Stamped pieces of audio of any rate → encoded chunks. Live nodes and replay drive this same object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.chunk_stream import ChunkStream, StreamChunk
from audio_interaction_ros.audio.chunker import chunk_waveform
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.high_pass import HighPass
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.model.checkpoint import EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.streaming.fifo import EncodedChunk


class AudioIngest:
    """An `AudioIngest` turns stamped sound into encoded chunks; by the stamps it declares gaps and begins streams."""

    def __init__(self, encoder: EncoderHalf, first_stream_id: int, high_pass_hz: float = 0.0) -> None:
        """Begin with `first_stream_id` as the id of the first stream; the following ones count up from it.

        `high_pass_hz`: below it sound is removed, before it is encoded; 0 removes nothing.
        """
        self._high_pass_hz = high_pass_hz
        self._high_pass: HighPass | None = None
        self._encoder = StreamingEncoder(encoder.encoder)
        self._stream = ChunkStream(first_stream_id)

    @property
    def gaps(self) -> int:
        """Return how many gaps were declared."""
        return self._stream.gaps

    @property
    def streams(self) -> int:
        """Return how many streams began."""
        return self._stream.streams

    @property
    def heard(self) -> int:
        """Return how many samples, at 16 kHz, were encoded."""
        return self._stream.heard

    @property
    def lost(self) -> Counter[str]:
        """Return how many samples, at 16 kHz, were lost, by cause (see `ChunkStream`)."""
        return self._stream.lost

    @property
    def fault(self) -> StampFault | None:
        """Return what is wrong with the stamps just now; None where nothing is."""
        return self._stream.fault

    def note_loss(self, seconds: float = 0.0) -> None:
        """Note that a piece that belonged here is lost; give its length where that is known, as of a refused one."""
        self._stream.note_loss(seconds)

    def push(
        self, samples: Samples, pcm: PcmFormat, stamp_ns: int, arrived_ns: int | None = None
    ) -> Iterator[EncodedChunk]:
        """Yield the chunks that a message completes, as `ChunkStream.push` has them.

        Raises AudioFormatError for a message without a stamp or of absurd length; the stream then has a gap
        there, and goes on.
        """
        return self._encoded(self._stream.push(samples, pcm, stamp_ns, arrived_ns))

    def end_stream(self) -> None:
        """End the stream: what follows shares nothing with what came."""
        self._stream.end()

    def finish(self) -> Iterator[EncodedChunk]:
        """Yield what is still inside at the end of a recording, the last chunk filled up with zeros."""
        return self._encoded(self._stream.finish())

    def _encoded(self, chunks: Iterable[StreamChunk]) -> Iterator[EncodedChunk]:
        for placed in chunks:
            chunk = placed.chunk
            if not placed.continues:
                self._encoder.reset()
                self._high_pass = HighPass(SAMPLE_RATE_HZ, self._high_pass_hz) if self._high_pass_hz else None
            samples = chunk.samples if self._high_pass is None else self._high_pass.push(chunk.samples[:, None])[:, 0]
            yield EncodedChunk(
                placed.stream_id,
                chunk.index,
                chunk.first_sample,
                chunk.dropped_before,
                placed.stamp_ns,
                level_dbfs(samples),
                self._encoder.encode(torch.from_numpy(np.ascontiguousarray(samples))),
            )


def encode_waveform(
    encoder: EncoderHalf, samples: Samples | Iterable[Samples], stream_id: int = 0, start_ns: int = 0
) -> Iterator[EncodedChunk]:
    """Yield the chunks of float32 [n] at 16 kHz, encoded as the robot would hear them; the last is zero-padded.

    A recording of any length can be given in pieces, each read when it is needed.
    """
    streaming = StreamingEncoder(encoder.encoder)
    for chunk in chunk_waveform(samples):
        vectors = streaming.encode(torch.from_numpy(chunk.samples))
        yield EncodedChunk.unbroken(chunk.index, vectors, level_dbfs(chunk.samples), stream_id, start_ns)
