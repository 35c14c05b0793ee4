"""Stamped pieces of audio of any rate → exact chunks on one clock: what every listener to the raw sound needs."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.chunker import AudioChunk, Chunker
from audio_interaction_ros.audio.clock_model import MAX_DRIFT, Belief, ClockModel, Join, Placement
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat, Samples
from audio_interaction_ros.audio.resample import MonoResampler
from audio_interaction_ros.audio.stamp_watch import StampFault, StampWatch
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE

MAX_PIECE_S = 10  # a longer message is a mistake, and would hold everything up
_REMEMBERED = 64  # messages among which one is recognized that comes twice

# Why sound was lost, as `ChunkStream.lost` counts it.
MISSING = 'missing'  # it never came, by the stamps
INCOMPLETE = 'incomplete'  # less than a chunk before a gap, or at the end of a stream
TWICE = 'twice'  # it had come already
REFUSED = 'refused'  # it could not be read, or had no stamp
PAUSE = 'pause'  # none came for more than two seconds; a new stream began then


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

    By a `ClockModel` it declares gaps and begins new streams. Every sample that comes is in a chunk, in `pending`, or
    in `lost` by its cause; what never came is in `lost` as far as the stamps tell. All are counted at 16 kHz.
    """

    def __init__(self, first_stream_id: int) -> None:
        """Begin with `first_stream_id` as the id of the first stream; the following ones count up from it."""
        self._next_stream_id = first_stream_id
        self._format: PcmFormat | None = None
        self._clock: ClockModel | None = None
        self._resampler: MonoResampler
        self._chunker = Chunker()
        self._stream_id: int
        self._continues = False
        self._waiting: list[Samples] = []
        self._known_lost = 0  # of what the next gap will turn out to be
        self._watch = StampWatch()
        self._arrived_ns = self._duration_ns = 0  # of the last piece
        self._silent_ns = 0  # by how much more time passed, by the arrivals, than there was sound
        self._before: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self.gaps = 0
        self.streams = 0
        self.heard = 0
        self.lost = Counter(dict.fromkeys((MISSING, INCOMPLETE, TWICE, REFUSED, PAUSE), 0))

    @property
    def fault(self) -> StampFault | None:
        """Return what is wrong with the stamps just now; None where nothing is."""
        return self._watch.fault

    @property
    def pending(self) -> float:
        """Return how many samples have come and are in no chunk yet; a resampler may hold some more."""
        waiting = sum(map(len, self._waiting))
        rate_hz = self._format.sample_rate_hz if self._format else SAMPLE_RATE_HZ
        return self._chunker.pending + waiting * SAMPLE_RATE_HZ / rate_hz

    def note_loss(self, seconds: float = 0.0) -> None:
        """Note that a piece that belonged here is lost; give its length where that is known, as of a refused one."""
        samples = round(seconds * SAMPLE_RATE_HZ)
        self.lost[REFUSED] += samples
        self._known_lost += samples
        if self._clock is not None:
            self._clock.note_loss()

    def push(
        self, samples: Samples, pcm: PcmFormat, stamp_ns: int, arrived_ns: int | None = None
    ) -> Iterator[StreamChunk]:
        """Yield the chunks that a message completes: float32 [frames, channels], format, capture time of the first.

        `arrived_ns` is when it came, by a clock that nobody sets; without it the stamps are taken for that.
        Raises AudioFormatError for a message without a stamp or of absurd length; the stream then has a gap
        there, and goes on.
        """
        complaint = _complaint(samples, pcm, stamp_ns)
        if complaint:
            self.note_loss(len(samples) / pcm.sample_rate_hz)
            raise AudioFormatError(complaint)
        if not len(samples):
            return
        if self._has_come(samples, stamp_ns):
            self.lost[TWICE] += round(len(samples) * SAMPLE_RATE_HZ / pcm.sample_rate_hz)
            return
        if self._clock is not None and pcm != self._format:
            yield from self._close()
            self._watch.forget()
        arrived_ns = stamp_ns if arrived_ns is None else arrived_ns
        self._count_silence(arrived_ns, len(samples) * NS_PER_S // pcm.sample_rate_hz)
        self._watch.told(stamp_ns, arrived_ns, len(samples), pcm)
        clock = self._clock or self._begin(pcm, stamp_ns)
        clock.believe(self.fault.belief if self.fault else Belief.FULL)
        placement = clock.place(stamp_ns, len(samples))
        if placement.join is Join.BREAKS:
            # A clock that was set is no pause.
            self.lost[PAUSE] += max(0, min(self._silent_ns, stamp_ns - clock.expected_ns)) // NS_PER_SAMPLE
            yield from self._close()
            clock = self._begin(pcm, stamp_ns)
            placement = clock.place(stamp_ns, len(samples))
        self._waiting.append(samples)
        if placement.join is not Join.WAITS:
            yield from self._join(placement, clock)

    def end(self) -> None:
        """End the stream on purpose: forget what is in no chunk, uncounted, and let the next piece begin a stream."""
        self._clock = None
        self._chunker = Chunker()
        self._waiting = []
        self._watch.forget()
        self._before.clear()

    def finish(self) -> Iterator[StreamChunk]:
        """Yield what is still inside at the end of a recording, the last chunk filled up with zeros."""
        if self._clock is not None:
            clock = self._clock
            yield from self._flush(clock)
            self.heard -= -self._chunker.pending % CHUNK_SAMPLES  # the zeros
            yield from self._placed(self._chunker.pad_last(), clock)
            self._clock = None

    def _count_silence(self, arrived_ns: int, duration_ns: int) -> None:
        """Silences add up until sound catches up, but a sound card's clock that drifts makes none."""
        before_ns = max(0, self._silent_ns - round(MAX_DRIFT * self._duration_ns))
        self._silent_ns = max(0, before_ns + arrived_ns - self._arrived_ns - self._duration_ns)
        self._arrived_ns, self._duration_ns = arrived_ns, duration_ns

    def _has_come(self, samples: Samples, stamp_ns: int) -> bool:
        piece = stamp_ns, zlib.crc32(np.ascontiguousarray(samples).data)
        if piece in self._before:
            return True
        self._before.append(piece)
        return False

    def _begin(self, pcm: PcmFormat, stamp_ns: int) -> ClockModel:
        self._format = pcm
        self._clock = ClockModel(stamp_ns, pcm.sample_rate_hz)
        self._resampler = MonoResampler(pcm.sample_rate_hz)
        self._chunker = Chunker()
        self._continues = False
        self._known_lost = 0
        self._silent_ns = 0
        self._stream_id = self._next_stream_id
        self._next_stream_id += 1
        self.streams += 1
        return self._clock

    def _close(self) -> Iterator[StreamChunk]:
        """Yield what is complete at the end of a stream, and count the rest."""
        if self._clock is not None:
            yield from self._flush(self._clock)
            self.lost[INCOMPLETE] += self._chunker.pending
            self._clock = None

    def _flush(self, clock: ClockModel) -> Iterator[StreamChunk]:
        yield from self._join(clock.settle(), clock)
        yield from self._resampled(None, clock)

    def _join(self, placement: Placement, clock: ClockModel) -> Iterator[StreamChunk]:
        """Yield the chunks that the waiting pieces complete, placed so."""
        waiting, self._waiting = self._waiting, []
        self.lost[MISSING] += max(0, placement.lost - self._known_lost)
        self._known_lost = max(0, self._known_lost - placement.lost)
        if placement.join is Join.GAP:
            yield from self._resampled(None, clock)
            self.lost[INCOMPLETE] += self._chunker.pending
            self._chunker.declare_gap(placement.lost)
            self._resampler.reset()
            self._continues = False
            self.gaps += 1
        elif placement.lost:
            self._chunker.count_lost(placement.lost)
            self.gaps += 1
        for samples in waiting:
            yield from self._resampled(samples, clock)

    def _resampled(self, samples: Samples | None, clock: ClockModel) -> Iterator[StreamChunk]:
        """Yield what a piece completes; None: what the resampler holds back."""
        mono = self._resampler.rest() if samples is None else self._resampler.push(samples)
        return self._placed(self._chunker.push(mono), clock)

    def _placed(self, chunks: Iterable[AudioChunk], clock: ClockModel) -> Iterator[StreamChunk]:
        for chunk in chunks:
            continues, self._continues = self._continues, True
            self.heard += CHUNK_SAMPLES
            yield StreamChunk(self._stream_id, clock.stamp_ns(chunk.first_sample), continues, chunk)


def _complaint(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> str | None:
    if stamp_ns <= 0:
        return "a message without a stamp; set header.stamp to its first sample's capture time"
    duration_s = len(samples) / pcm.sample_rate_hz
    if duration_s > MAX_PIECE_S:
        return (
            f'{duration_s:.0f} s of sound in one message by its description, at most {MAX_PIECE_S} s expected; correct '
            'sample_rate, channels and sample_format of audio_info, or send shorter messages'
        )
    return None
