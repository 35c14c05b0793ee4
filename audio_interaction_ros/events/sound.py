"""The seconds around an event, from a ring in memory, as FLAC beside the log. Only where its owner asked for that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.chunk_stream import ChunkStream, StreamChunk
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.events.log import EventLog, EventLogError, LogEntry
from audio_interaction_ros.files import replacing

# An alarm is known by its rhythm some 13 s after it began, and a decoder may lag behind by ten.
LATE_S = 20.0
_MAX_PENDING = 100
_CHUNK_NS = int(CHUNK_S * NS_PER_S)


@dataclass(frozen=True)
class _Pending:
    event: LogEntry
    until_s: float


class SoundKeeper:
    """A `SoundKeeper` holds the last seconds of sound and writes, for each wanted event, those around it to a file.

    Not a sample of what is in the ring reaches the disk without an event. Time, steady, is given by the caller.
    """

    def __init__(self, log: EventLog, seconds: float) -> None:
        """Begin with nothing heard; half of the `seconds` lie before an event's stamp, in whole chunks."""
        self._log = log
        self._half_ns = int(seconds / 2 * NS_PER_S)
        self._late_s = seconds / 2 + LATE_S
        self._stream = ChunkStream(first_stream_id=0)
        self._ring: deque[StreamChunk] = deque(maxlen=int(self._late_s / CHUNK_S) + 2)
        self._pending: list[_Pending] = []
        self.dropped = 0  # events without sound because too many were waiting for theirs

    @property
    def fault(self) -> StampFault | None:
        """Return what is wrong with the stamps just now; None where nothing is."""
        return self._stream.fault

    def note_loss(self, seconds: float = 0.0) -> None:
        """Note that a piece that belonged here is lost; its length where it is known."""
        self._stream.note_loss(seconds)

    def push(self, samples: Samples, pcm: PcmFormat, stamp_ns: int, now_s: float) -> None:
        """Hear a message: float32 [frames, channels], their format, capture time of the first (ns); it came at `now_s`.

        Raises AudioFormatError as ChunkStream does, and EventLogError.
        """
        for placed in self._stream.push(samples, pcm, stamp_ns, round(now_s * NS_PER_S)):
            self._ring.append(placed)
        self.keep_ready(now_s)

    def want(self, event: LogEntry, now_s: float) -> None:
        """Keep the sound around this event, as soon as what follows it has been heard too.

        One that has its sound, or is waited for already, is passed over; at the limit it is dropped and counted.
        """
        waiting = {pending.event.id for pending in self._pending}
        if event.has_sound or event.id in waiting:
            return
        if len(waiting) == _MAX_PENDING:
            self.dropped += 1
            return
        self._pending.append(_Pending(event, now_s + self._late_s))

    def keep_ready(self, now_s: float) -> None:
        """Write what is complete, and what has waited long enough. Raises EventLogError."""
        heard_ns = self._ring[-1].stamp_ns + _CHUNK_NS if self._ring else 0
        for pending in list(self._pending):
            if heard_ns >= pending.event.stamp_ns + self._half_ns or now_s >= pending.until_s:
                self._pending.remove(pending)
                self._keep(pending.event)

    def forget(self) -> None:
        """Write what was wanted, as far as it was heard, and forget the rest, because nobody listens any more."""
        try:
            for pending in self._pending:
                self._keep(pending.event)
        finally:
            self._pending.clear()
            self._ring.clear()
            self._stream.end()

    def _keep(self, event: LogEntry) -> None:
        samples = self._around(event.stamp_ns)
        if len(samples) and self._log.mark_sound(event.id):
            try:
                _write_flac(self._log.sound_path(event.id), samples)
            except (OSError, soundfile.LibsndfileError) as error:
                raise EventLogError(
                    f'the sound of event {event.id} cannot be kept ({error}); free some space or set audio_s to 0'
                ) from error

    def _around(self, stamp_ns: int) -> Samples:
        """The unbroken run of chunks around the stamp: no gap is papered over."""
        run: list[Samples] = []
        for placed in self._ring:
            if abs(placed.stamp_ns + _CHUNK_NS // 2 - stamp_ns) > self._half_ns:
                continue
            if run and not placed.continues:
                if placed.stamp_ns > stamp_ns:
                    break
                run = []
            run.append(placed.chunk.samples)
        return np.concatenate(run) if run else np.empty(0, np.float32)


def _write_flac(path: Path, samples: Samples) -> None:
    """float32 [n] at 16 kHz, for its owner's eyes only, and whole or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with replacing(path, 0o600) as file:
        soundfile.write(file, samples, SAMPLE_RATE_HZ, format='FLAC', subtype='PCM_16')
