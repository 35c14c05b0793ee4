"""Stamped pieces of the raw sound → evidence of alarms, with the time it was captured. Imports no model."""

from __future__ import annotations

from collections.abc import Iterator

from audio_interaction_ros.audio.chunk_stream import ChunkStream
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.safety.alarm_signatures import AlarmSignatures, Evidence


class AlarmListener:
    """An `AlarmListener` hears alarms on one clock with all other listeners (contract 1).

    A gap starts every rhythm afresh.
    """

    def __init__(self) -> None:
        self._stream = ChunkStream(first_stream_id=0)
        self._signatures = AlarmSignatures()

    @property
    def gaps(self) -> int:
        """Return how many gaps the sound had."""
        return self._stream.gaps

    def note_loss(self) -> None:
        """Note that a piece that belonged here is lost."""
        self._stream.note_loss()

    def end_stream(self) -> None:
        """End the stream: no rhythm goes on across it."""
        self._stream.end()

    def push(self, samples: Samples, pcm: PcmFormat, stamp_ns: int) -> Iterator[tuple[Evidence, int]]:
        """Hear a message: float32 [frames, channels], their format, capture time of the first (ns).

        Yields what was heard and the capture time (ns) of the first sample behind it. Raises AudioFormatError as
        ChunkStream does.
        """
        for placed in self._stream.push(samples, pcm, stamp_ns):
            chunk = placed.chunk
            if not placed.continues:
                self._signatures.reset(chunk.first_sample)
            for evidence in self._signatures.feed(chunk.samples):
                yield evidence, placed.stamp_ns - (chunk.first_sample - evidence.first_sample) * NS_PER_SAMPLE
