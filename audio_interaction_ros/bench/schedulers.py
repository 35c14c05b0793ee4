"""Real-time sound through the two ways of scheduling: the paper's FIFO (Algorithm 3), and one chunk after another.

Both drive the package's own encoder and session. When it responds, and how many tokens that takes, is scripted, so that
the two do the same work; and a pass of the language model can be made to last as long as a larger model's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from audio_interaction_ros.audio import CHUNK_S
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.bench.chunks import chunks_of
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.deciding import Sounding
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.model.engine import Engine, KvCache
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response
from audio_interaction_ros.streaming.session import ForwardRequest, Session, SessionSettings


class PacedEngine(Engine):
    """A `PacedEngine` makes every pass last at least `pass_s`, as long as reading a larger model's weights would."""

    def __init__(self, decoder: DecoderHalf, pass_s: float) -> None:
        super().__init__(decoder.language_model)
        self._pass_s = pass_s

    def forward(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Run a pass as `Engine` does, and wait for the rest of its time."""
        began = time.perf_counter()
        logits = super().forward(caches, embedded)
        time.sleep(max(0.0, self._pass_s - (time.perf_counter() - began)))
        return logits


class ScriptedSession(Session):
    """A `ScriptedSession` does all the work, and then responds when and as long as `script` says.

    `script` is {number of a chunk: tokens}.
    """

    def __init__(self, decoder: DecoderHalf, script: Mapping[int, int], pass_s: float) -> None:
        defaults = decoder.config.streaming
        super().__init__(
            PacedEngine(decoder, pass_s),
            decoder.protocol,
            decoder.instruction_prefix(defaults.instruction),
            decoder.tokenizer.get_vocab_size(),
            SessionSettings(0.5, defaults.max_context_chunks, max_response_tokens=max(script.values(), default=1) + 1),
        )
        self._waiting = sorted(script.items())
        self._heard = 0
        self._to_say = 0
        self._eos = decoder.protocol.eos
        words = set(range(decoder.tokenizer.get_vocab_size())) - decoder.protocol.special_ids()
        self._words = sorted(words)

    def drain_request(self, vectors: Sequence[Tensor], *how: Any, **named: Any) -> ForwardRequest[tuple[bool, float]]:
        """Request what `Session.drain` does, and count the chunks."""
        self._heard += len(vectors)
        return super().drain_request(vectors, *how, **named)

    def _responds(self, probability: float, sounding: Sounding | None) -> bool:
        due = [tokens for chunk, tokens in self._waiting if chunk < self._heard]
        self._waiting = self._waiting[len(due) :]
        self._to_say = max(due, default=0)
        return bool(due)

    def _choose(self, logits: Tensor) -> int:
        super()._choose(logits)
        self._to_say -= 1
        if self._to_say <= 0:
            return self._eos
        # Different ones, or the guard against loops would end it.
        return self._words[self._to_say % len(self._words)]


@dataclass
class SchedulerTrace:
    """A `SchedulerTrace` says what happened when, in seconds from the start of the sound.

    Chunk `n` ends at (n + 1) × 0.4 s.
    """

    chunks: int
    decisions: list[tuple[float, int]] = field(default_factory=list)  # (made, newest chunk it covers)
    responses: list[tuple[float, float]] = field(default_factory=list)  # (triggered, last token)
    token_gaps_s: list[float] = field(default_factory=list)
    backlog: int = 0  # the most chunks that waited


class _Clock:
    """A clock hands out the chunks of a recording as they would be heard."""

    def __init__(self, samples: Samples) -> None:
        self.chunks = chunks_of(samples)
        self.start = time.perf_counter()

    def now_s(self) -> float:
        return time.perf_counter() - self.start

    def wait_for(self, chunk: int) -> None:
        """Wait until the last sample of a chunk was heard."""
        time.sleep(max(0.0, (chunk + 1) * CHUNK_S - self.now_s()))

    def heard(self) -> int:
        """Return how many chunks are complete."""
        return min(len(self.chunks), int(self.now_s() / CHUNK_S))


def fifo(encoder: EncoderHalf, decoder: DecoderHalf, session: Session, samples: Samples) -> SchedulerTrace:
    """Run the FIFO: the encoder never waits, and the decoder takes all that is queued whenever it is not speaking."""
    queue = ChunkQueue(1_000)
    loop = ListeningLoop(queue, session, decoder)
    clock = _Clock(samples)
    done = threading.Event()

    def encode() -> None:
        streaming = StreamingEncoder(encoder.encoder)
        for number, chunk in enumerate(clock.chunks):
            clock.wait_for(number)
            queue.push(EncodedChunk.unbroken(number, streaming.encode(chunk)))
        done.set()

    timeline = SchedulerTrace(len(clock.chunks))
    producer = threading.Thread(target=encode, daemon=True)
    producer.start()
    last_s, since_s = 0.0, 0.0
    while not (done.is_set() and not len(queue) and not session.responding):
        timeline.backlog = max(timeline.backlog, len(queue))
        event = loop.step()
        now_s = clock.now_s()
        if event is None:
            queue.wait(0.05)
        elif isinstance(event, Decision):
            timeline.decisions.append((now_s, event.chunk.index))
            since_s = now_s
        elif isinstance(event, Response):
            timeline.token_gaps_s.append(now_s - last_s)
            if event.final:
                timeline.responses.append((since_s, now_s))
        last_s = now_s
    producer.join()
    return timeline


def synchronous(encoder: EncoderHalf, decoder: DecoderHalf, session: Session, samples: Samples) -> SchedulerTrace:
    """Run one chunk after another: encoded, decided on, and answered to the end before the next is touched."""
    del decoder
    clock = _Clock(samples)
    streaming = StreamingEncoder(encoder.encoder)
    timeline = SchedulerTrace(len(clock.chunks))
    for number, chunk in enumerate(clock.chunks):
        clock.wait_for(number)
        timeline.backlog = max(timeline.backlog, clock.heard() - number)
        respond, _ = session.drain([streaming.encode(chunk)])
        since_s = last_s = clock.now_s()
        timeline.decisions.append((since_s, number))
        while session.responding:
            session.next_token()
            now_s = clock.now_s()
            timeline.token_gaps_s.append(now_s - last_s)
            last_s = now_s
        if respond:
            timeline.responses.append((since_s, last_s))
        session.tidy()
    return timeline


SCHEDULERS: dict[str, Any] = {'fifo': fifo, 'synchronous': synchronous}
