"""When the assistant itself speaks, and who talks over it: what is heard meanwhile may be its own voice."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.timeline import NS_PER_SAMPLE
from audio_interaction_ros.streaming.fifo import EncodedChunk

_KEPT = 100  # utterances; a queue holds less
_TAIL_NS = 500_000_000  # of a room, and of a loudspeaker's buffer
_ANSWER_NS = 2_000_000_000  # who has talked is answered so long after
_CHUNK_NS = CHUNK_SAMPLES * NS_PER_SAMPLE


class _Spans:
    """Spans are when something was so, in nanoseconds since 1970, and counts a while longer. From any thread."""

    def __init__(self, tail_ns: int) -> None:
        self._lock = threading.Lock()
        self._tail_ns = tail_ns
        self._spans: deque[tuple[int, float]] = deque(maxlen=_KEPT)

    def note(self, on: bool, stamp_ns: int) -> None:
        """Note that it is so, or is so no more, from this time on."""
        with self._lock:
            begun = bool(self._spans) and math.isinf(self._spans[-1][1])
            if on and not begun:
                self._spans.append((stamp_ns, math.inf))
            elif not on and begun:
                self._spans.append((self._spans.pop()[0], stamp_ns))

    def meet(self, chunks: Iterable[EncodedChunk]) -> bool:
        """Return whether it was so in one of these chunks."""
        with self._lock:
            spans = tuple(self._spans)
        return any(
            chunk.stamp_ns < end + self._tail_ns and chunk.stamp_ns + _CHUNK_NS > begin
            for chunk in chunks
            for begin, end in spans
        )


class OwnVoice:
    """An `OwnVoice` knows which chunks may have the assistant's own voice in them. From any thread.

    `echo_free`: it is taken out of the sound, all but what the canceller leaves.
    """

    def __init__(self) -> None:
        self._own, self._others = _Spans(_TAIL_NS), _Spans(_ANSWER_NS)
        self.echo_free = False

    def speaks(self, on: bool, stamp_ns: int) -> None:
        """Note that the assistant speaks, or does so no more, from this time on."""
        self._own.note(on, stamp_ns)

    def others_talk(self, on: bool, stamp_ns: int) -> None:
        """Note that somebody talks over it, or does so no more, from this time on."""
        self._others.note(on, stamp_ns)

    def may_be_in(self, chunks: Iterable[EncodedChunk]) -> bool:
        """Return whether what calls for an answer in these chunks may be its own voice, or what is left of it."""
        return self._own.meet(chunks) and not (self.echo_free and self._others.meet(chunks))

    def is_in(self, chunks: Iterable[EncodedChunk]) -> bool:
        """Return whether its own voice may be in these chunks as loud as others', so that they are not to be kept."""
        return not self.echo_free and self._own.meet(chunks)
