"""Stamped pieces of the raw sound → evidence of alarms, with the time it was captured. Imports no model."""

from __future__ import annotations

from collections.abc import Iterator

from audio_interaction_ros.audio.chunk_stream import ChunkStream
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.safety.alarm_signatures import AlarmSignatures, Evidence


class AlarmListener:
    """An `AlarmListener` hears alarms on one clock with all other listeners (contract 1).

    A gap starts every rhythm afresh.
    """

    def __init__(self) -> None:
        self._stream = ChunkStream(first_stream_id=0)
        self._signatures = AlarmSignatures()
        self._missing = 0  # samples since the last reset that the signatures have not counted

    @property
    def gaps(self) -> int:
        """Return how many gaps the sound had."""
        return self._stream.gaps

    @property
    def fault(self) -> StampFault | None:
        """Return what is wrong with the stamps just now; None where nothing is."""
        return self._stream.fault

    def note_loss(self, seconds: float = 0.0) -> None:
        """Note that a piece that belonged here is lost; its length where it is known."""
        self._stream.note_loss(seconds)

    def end_stream(self) -> None:
        """End the stream: no rhythm goes on across it."""
        self._stream.end()

    def push(
        self, samples: Samples, pcm: PcmFormat, stamp_ns: int, arrived_ns: int | None = None
    ) -> Iterator[tuple[Evidence, int]]:
        """Hear a message, as `ChunkStream.push` takes it.

        Yields what was heard and the capture time (ns) of the first sample behind it. Raises AudioFormatError as
        ChunkStream does.
        """
        for placed in self._stream.push(samples, pcm, stamp_ns, arrived_ns):
            chunk = placed.chunk
            if not placed.continues:
                self._signatures.reset(chunk.first_sample)
                self._missing = 0
            else:
                self._missing += chunk.dropped_before
            for evidence in self._signatures.feed(chunk.samples):
                before = chunk.first_sample - evidence.first_sample - self._missing
                yield evidence, placed.stamp_ns - before * NS_PER_SAMPLE
