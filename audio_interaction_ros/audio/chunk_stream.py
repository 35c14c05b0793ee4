"""Stamped pieces of audio of any rate → exact chunks on one clock: what every listener to the raw sound needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio.chunker import AudioChunk, Chunker
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, Samples
from audio_interaction_ros.audio.resample import MonoResampler
from audio_interaction_ros.audio.timeline import Join, StreamTimeline

MAX_PIECE_S = 10  # a longer message is a mistake, and would hold everything up


@dataclass(frozen=True)
class StreamChunk:
    """A `StreamChunk` is a chunk of the stream `stream_id` whose first sample was captured at `stamp_ns`.

    `continues` is false after a gap and at the beginning of a stream.
    """

    stream_id: int
    stamp_ns: int
    continues: bool
    chunk: AudioChunk


class ChunkStream:
    """A `ChunkStream` cuts stamped sound of any rate into 6400-sample chunks at 16 kHz mono (contract 1).

    By the stamps it declares gaps and begins new streams.
    """

    def __init__(self, first_stream_id: int) -> None:
        """Begin with `first_stream_id` as the id of the first stream; the following ones count up from it."""
        self._next_stream_id = first_stream_id
        self._format: PcmFormat | None = None
        self._timeline: StreamTimeline | None = None
        self._resampler: MonoResampler
        self._chunker: Chunker
        self._stream_id: int
        self._continues = False
        self.gaps = 0
        self.streams = 0

    def note_loss(self) -> None:
        """Note that a piece that belonged here is lost (refused, or dropped from a full queue)."""
        if self._timeline is not None:
            self._timeline.note_loss()

    def push(self, samples: Samples, pcm: PcmFormat, stamp_ns: int) -> Iterator[StreamChunk]:
        """Yield the chunks that a message completes: float32 [frames, channels], format, capture time of the first.

        Raises AudioFormatError for a message without a stamp or of absurd length; the stream then has a gap
        there, and goes on.
        """
        complaint = _complaint(samples, pcm, stamp_ns)
        if complaint:
            self.note_loss()
            raise AudioFormatError(complaint)
        if not len(samples):
            return
        timeline = self._timeline
        if timeline is None or pcm != self._format:
            timeline = self._begin(pcm, stamp_ns)
        else:
            placement = timeline.place(stamp_ns)
            if placement.join is Join.BREAKS:
                timeline = self._begin(pcm, stamp_ns)
            elif placement.join is Join.GAP:
                yield from self._chunks(self._resampler.push(samples[:0], last=True), timeline)
                self._chunker.declare_gap(max(0, placement.position - self._chunker.position))
                self._resampler = MonoResampler(pcm.sample_rate_hz)
                self._continues = False
                self.gaps += 1
        timeline.advance(len(samples), pcm.sample_rate_hz)
        yield from self._chunks(self._resampler.push(samples), timeline)

    def end(self) -> None:
        """End the stream: forget the incomplete chunk, and let the next piece begin a stream."""
        if self._format is not None:
            self._resampler = MonoResampler(self._format.sample_rate_hz)
            self._chunker = Chunker()
        self._timeline = None

    def finish(self) -> Iterator[StreamChunk]:
        """Yield what is still inside at the end of a recording, the last chunk filled up with zeros."""
        if self._timeline is not None and self._format is not None:
            rest = self._resampler.push(np.empty((0, self._format.channels), np.float32), last=True)
            yield from self._chunks(rest, self._timeline)
            yield from self._placed(self._chunker.pad_last(), self._timeline)
            self._timeline = None

    def _begin(self, pcm: PcmFormat, stamp_ns: int) -> StreamTimeline:
        self._format = pcm
        self._timeline = StreamTimeline(stamp_ns)
        self._resampler = MonoResampler(pcm.sample_rate_hz)
        self._chunker = Chunker()
        self._continues = False
        self._stream_id = self._next_stream_id
        self._next_stream_id += 1
        self.streams += 1
        return self._timeline

    def _chunks(self, mono: Samples, timeline: StreamTimeline) -> Iterator[StreamChunk]:
        return self._placed(self._chunker.push(mono), timeline)

    def _placed(self, chunks: Iterable[AudioChunk], timeline: StreamTimeline) -> Iterator[StreamChunk]:
        for chunk in chunks:
            continues, self._continues = self._continues, True
            yield StreamChunk(self._stream_id, timeline.stamp_ns(chunk.first_sample), continues, chunk)


def _complaint(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> str | None:
    if stamp_ns <= 0:
        return "a message without a stamp; set header.stamp to its first sample's capture time"
    duration_s = len(samples) / pcm.sample_rate_hz
    if duration_s > MAX_PIECE_S:
        return (
            f'{duration_s:.0f} s of sound in one message, at most {MAX_PIECE_S} s expected; '
            'does audio_info describe this stream?'
        )
    return None
