"""Algorithm 3: drain the queue when silent or done, one text token at a time while responding."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypedDict

from tokenizers import Tokenizer
from typing_extensions import Unpack

from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.deciding import Sounding
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.ingest import encode_waveform
from audio_interaction_ros.streaming.own_voice import OwnVoice
from audio_interaction_ros.streaming.session import ForwardRequest, Session, SessionSettings
from audio_interaction_ros.streaming.told import Told
from audio_interaction_ros.tool_use.writing import CallWriter

_UNTOLD_MAX = 16  # responses of which the session has not been told yet what was spoken


@dataclass(frozen=True)
class Decision:
    """A `Decision` is one control token: the newest chunk it covers, how many were drained, and what was decided.

    `probability` is that of `response`; `sounding` is what the checkpoint's event head heard, None without a head.
    """

    chunk: EncodedChunk
    chunks_drained: int
    respond: bool
    probability: float
    compute_time_s: float
    sounding: Sounding | None = None


@dataclass(frozen=True)
class Response:
    """A `Response` is what was said so far, `final` once `eos` came or it was `cancelled`.

    `decision` is the one that triggered it. `call`: where the model calls a tool, what of the call is written, as JSON;
    there is no `text` then.
    """

    decision: Decision
    text: str
    emotion: str
    final: bool
    cancelled: bool = False
    call: str = ''


class ListeningLoop:
    """A `ListeningLoop` turns queued chunks into decisions and responses; each `step` emits at most one token.

    `max_response_s`: a response that is written for longer is ended. `preempt`: so is one that is not urgent, where
    what is heard meanwhile calls for an urgent one. `told`: what the session is told while no response is under way:
    at once where nothing waits, but once between two decisions, and else before the next decision. `own_voice`: what
    may be it is answered only where that is urgent, and remembered only where it is taken out of the sound.
    """

    def __init__(
        self,
        queue: ChunkQueue,
        session: Session,
        decoder: DecoderHalf,
        max_response_s: float = math.inf,
        preempt: bool = False,
        told: Told | None = None,
        own_voice: OwnVoice | None = None,
    ) -> None:
        self._queue = queue
        self._session = session
        self.max_response_s = max_response_s
        self.preempt = preempt
        self._told = told
        self._own_voice = own_voice
        self.held_back = 0  # responses to what may have been its own voice
        self._told_since = False  # since the last decision
        self._began = 0.0
        self._reading = 0  # chunks taken from the queue and not decided on yet
        self._looked_at = 0  # chunks in the queue when it was last asked whether they are urgent
        self._tokenizer: Tokenizer = decoder.tokenizer
        self._protocol = decoder.protocol
        self._stream_id: int | None = None
        self._trigger: Decision | None = None
        self._emotion = 'normal'
        self._text_ids: list[int] = []
        self._spoken: deque[tuple[int, int, str]] = deque(maxlen=_UNTOLD_MAX)

    @property
    def session(self) -> Session:
        """Return the session that the loop drives."""
        return self._session

    def step(self) -> Decision | Response | None:
        """Make one step of Algorithm 3; None means that there is nothing to do (idle and the queue empty).

        Raises what a forward pass raises; call `forget` before the next step then.
        """
        return self._session.run(self.step_request())

    def step_request(self) -> ForwardRequest[Decision | Response | None]:
        """Request what `step` does, for a `Brain`."""
        return self._speak() if self._session.responding else self._listen()

    def run_until_idle(self) -> Iterator[Decision | Response]:
        """Yield every event until the queue is empty and no response is under way."""
        while (event := self.step()) is not None:
            yield event

    def broken_off(self, stream_id: int, trigger_chunk: int, said: str) -> None:
        """Note that of the response to this chunk no more was spoken than `said`. From any thread.

        If it is still being written, that ends; the context keeps what was spoken and not what was written.
        """
        self._spoken.append((stream_id, trigger_chunk, said))

    def cancel(self) -> Response | None:
        """End the response under way, within a token, and return its last message, if there was one.

        What was said stays in the context.
        """
        if not self._session.responding:
            return None
        assert self._trigger is not None  # responding implies a decision made it so
        self._session.cancel()
        return self._response(self._trigger, final=True, cancelled=True)

    def forget(self) -> Response | None:
        """Drop all context and return the last message of the response that this cuts short, if one was under way.

        Also after a step that raised: the chunks whose decision it cost count as dropped from the queue.
        """
        cut_short = self.cancel()
        self._queue.count_dropped(self._reading)
        self._reading = 0
        self._session.reset()
        self._stream_id = None
        self._text_ids = []
        return cut_short

    def _listen(self) -> ForwardRequest[Decision | None]:
        yield from self._keep_spoken()
        chunks = self._queue.drain(self._session.longest_drain)
        if not chunks:
            # Once between two decisions: a burst must not keep the model from all else.
            if not self._told_since or not self._session.context_chunks:
                yield from self._tell()
            yield from self._session.tidy_request()
            return None
        newest = chunks[-1]
        # A new stream shares no clock with the old one: what is left of the old one is past answering.
        chunks = [chunk for chunk in chunks if chunk.stream_id == newest.stream_id]
        if newest.stream_id != self._stream_id:
            self._session.reset()
            self._stream_id = newest.stream_id
        self._reading = len(chunks)
        yield from self._tell()
        self._told_since = False
        started = time.monotonic()
        respond, probability = yield from self._session.drain_request(
            [chunk.vectors for chunk in chunks],
            (newest.stream_id, newest.index),
            urgent_only=self._own_voice is not None and self._own_voice.may_be_in(chunks),
            keep=self._own_voice is None or not self._own_voice.is_in(chunks),
        )
        self.held_back += self._session.held_back
        self._reading = 0
        elapsed_s = time.monotonic() - started
        decision = Decision(newest, len(chunks), respond, probability, elapsed_s, self._session.sounding)
        if respond:
            self._trigger, self._emotion, self._text_ids = decision, 'normal', []
            self._began, self._looked_at = started, 0
        return decision

    def _keep_spoken(self) -> ForwardRequest[None]:
        while self._spoken:
            *mark, said = self._spoken.popleft()
            spoken = tokens_spoken(self._tokenizer, self._session.written(tuple(mark)), said)
            if spoken is not None:
                yield from self._session.keep_spoken_request(tuple(mark), spoken)

    def _tell(self) -> ForwardRequest[None]:
        if self._told is None or (telling := self._told.due()) is None:
            return
        started = time.monotonic()
        self._told_since = True
        try:
            yield from self._session.tell_request(telling.prefix, telling.instructed)
        finally:  # where a pass fails, what was heard is forgotten and what was told is not
            self._told.done(telling, time.monotonic() - started)

    def _speak(self) -> ForwardRequest[Response]:
        assert self._trigger is not None  # responding implies a decision made it so
        too_long = time.monotonic() - self._began > self.max_response_s
        if too_long or self._is_broken_off() or (yield from self._something_urgent()):
            cut_short = self.cancel()
            assert cut_short is not None
            return cut_short
        token = yield from self._session.next_token_request()
        if token == self._protocol.eos:
            return self._response(self._trigger, final=True)
        if emotion := self._protocol.emotion_of(token):
            self._emotion = emotion
        else:
            self._text_ids.append(token)
        return self._response(self._trigger)

    def _is_broken_off(self) -> bool:
        assert self._trigger is not None
        chunk = self._trigger.chunk
        return any(spoken[:2] == (chunk.stream_id, chunk.index) for spoken in tuple(self._spoken))

    def _something_urgent(self) -> ForwardRequest[bool]:
        """Asked once for every chunk that comes in during a response that is not urgent itself."""
        if not self.preempt or self._emotion == 'urgent' or len(self._queue) == self._looked_at:
            return False
        waiting = [chunk.vectors for chunk in self._queue.peek() if chunk.stream_id == self._stream_id]
        self._looked_at = len(self._queue)
        return bool(waiting) and (yield from self._session.would_interrupt_request(waiting))

    def _response(self, trigger: Decision, final: bool = False, cancelled: bool = False) -> Response:
        written = text_of(self._tokenizer, self._text_ids)
        text, call = ('', written) if self._session.calling else (written, '')
        return Response(trigger, text, self._emotion, final, cancelled, call)


def text_of(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Return what is written so far by these tokens."""
    text: str = tokenizer.decode(ids)
    # A character cut in the middle of its bytes shows as U+FFFD; wait for the rest of it.
    return text.rstrip('\ufffd').strip()


def tokens_spoken(tokenizer: Tokenizer, tokens: list[int], said: str) -> int | None:
    """Return how many of a response's tokens hold what was spoken, with the punctuation behind it.

    An emotion tag counts with what follows it. None where `said` is not how their text begins; letters and digits alone
    are compared, for spaces and signs are spoken by nobody.
    """
    letters = _letters(said)
    if not letters:
        return 0
    if not _letters(tokenizer.decode(tokens)).startswith(letters):
        return None
    spoken = 0
    while not _letters(tokenizer.decode(tokens[:spoken])).startswith(letters):
        spoken += 1
    reached = _letters(tokenizer.decode(tokens[:spoken]))
    while spoken < len(tokens) and _letters(tokenizer.decode(tokens[: spoken + 1])) == reached:
        spoken += 1
    return spoken


def _letters(text: str) -> str:
    return ''.join(filter(str.isalnum, text))


class Limits(TypedDict, total=False):
    """`Limits` are what else of a session's settings its user may choose; see `SessionSettings`."""

    max_response_tokens: int
    rearm_below: float
    temperature: float
    seed: int


def session_settings(
    decoder: DecoderHalf,
    response_threshold: float | None = None,
    instruction: str | None = None,
    **limits: Unpack[Limits],
) -> SessionSettings:
    """Return the settings of the session that `make_session` makes."""
    defaults = decoder.config.streaming
    return SessionSettings(
        response_threshold or None,
        defaults.max_context_chunks,
        silent_between_chunks=defaults.silent_between_chunks,
        thresholds=defaults.table,
        warning_agreement=defaults.warning_agreement,
        instructed=bool(instruction) and instruction != defaults.instruction,
        **limits,
    )


def make_session(
    decoder: DecoderHalf,
    response_threshold: float | None = None,
    instruction: str | None = None,
    engine: Engine | None = None,
    calls: CallWriter | None = None,
    **limits: Unpack[Limits],
) -> Session:
    """Make a session with the checkpoint's own thresholds and instruction, and an engine of its own, unless given.

    `response_threshold`, unless it is None or 0, takes the place of all thresholds. Whether an urgent warning agrees
    with what the event head hears is asked as the checkpoint says in any case.
    """
    return Session(
        engine or Engine(decoder.language_model),
        decoder.protocol,
        decoder.instruction_prefix(instruction or decoder.config.streaming.instruction),
        decoder.tokenizer.get_vocab_size(),
        session_settings(decoder, response_threshold, instruction, **limits),
        decoder.config.events,
        calls=calls,
    )


def told_loop(
    queue: ChunkQueue,
    decoder: DecoderHalf,
    response_threshold: float | None = None,
    instruction: str = '',
    context: str = '',
    now_s: Callable[[], float] = lambda: -math.inf,
) -> ListeningLoop:
    """Make a loop with a fresh session that is told an instruction and a context, '' for none.

    By `now_s`, in seconds since 1970, what is stale of the context is left out; by default nothing is. Raises ToldError
    where either cannot be told.
    """
    session = make_session(decoder, response_threshold, instruction)
    told = Told(decoder, session.longest_prefix, instruction, now_s)
    told.give_context(context)
    return ListeningLoop(queue, session, decoder, told=told)


def listen(
    encoder: EncoderHalf,
    decoder: DecoderHalf,
    samples: Samples | Iterable[Samples],
    response_threshold: float | None = None,
    instruction: str = '',
    context: str = '',
) -> Iterator[Decision | Response]:
    """Yield what a fresh session makes of a recording, float32 [n] at 16 kHz or pieces of it; deterministic.

    One chunk at a time, as on a robot that always keeps up; of a recording in pieces, no more is kept than one.
    `instruction` and `context` are as in `told_loop`; of the context nothing grows stale.
    """
    queue = ChunkQueue(max_chunks=1)
    loop = told_loop(queue, decoder, response_threshold, instruction, context)
    for chunk in encode_waveform(encoder, samples):
        queue.push(chunk)
        yield from loop.run_until_idle()
