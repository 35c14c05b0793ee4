"""Questions to an assistant that listens: answered one at a time, one short forward pass between two decisions.

Each is about what was heard before it was asked, and has a session of its own (`streaming/question.py`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.context import DigitalContext
from audio_interaction_ros.streaming.fifo import EncodedChunk
from audio_interaction_ros.streaming.question import (
    MAX_ANSWER_TOKENS,
    Answer,
    Option,
    Question,
    QuestionError,
    longest_chunks,
)

LONGEST_PASS = 64  # positions that a pass for a question reads: a decision waits for no more than one such pass
_MAX_QUESTION, _MAX_OPTION, _MAX_OPTIONS = 1000, 200, 32  # characters; characters; options
_DEFAULT_TOKENS = 64


class QuestionState(IntEnum):
    """A `QuestionState` says what has become of a question; every one but WRITING is the last."""

    WRITING = 0
    FINAL = 1
    CANCELLED = 2
    FAILED = 3


@dataclass(frozen=True)
class Ask:
    """An `Ask` is a question as it is put; `seconds` back from the newest sound, 0 for all that is kept.

    With `options` the likeliest is chosen; `max_tokens` 0 and `language` '' take the defaults. `context` is what is
    known beside the sound.
    """

    text: str
    seconds: float = 0.0
    options: Sequence[str] = ()
    max_tokens: int = 0
    language: str = ''
    context: DigitalContext = field(default_factory=DigitalContext)


@dataclass(frozen=True)
class AskedQuestion:
    """An `AskedQuestion` was accepted: its id, who heard what it is about, up to which chunk, and when it was asked.

    `heard_s` is the length of the sound; `asked_s` is by a clock that nobody sets.
    """

    id: str
    source: str
    text: str
    newest: EncodedChunk
    heard_s: float
    asked_s: float


@dataclass(frozen=True)
class Reply:
    """A `Reply` is what is said to a question so far, and what has become of it.

    `options` are the likeliest first; `reason` is a sentence where it was cancelled or failed, and `error` what the
    model raised.
    """

    asked: AskedQuestion
    state: QuestionState
    answer: Answer
    options: Sequence[Option] = ()
    reason: str = ''
    error: Exception | None = None


class RecentChunks:
    """A `RecentChunks` holds the newest chunks of one stream, of which a session holds the vectors too."""

    def __init__(self, max_chunks: int) -> None:
        self._chunks: deque[EncodedChunk] = deque(maxlen=max_chunks)

    @property
    def longest_s(self) -> float:
        """Return how many seconds of sound there can be."""
        return (self._chunks.maxlen or 0) * CHUNK_S

    def push(self, chunk: EncodedChunk) -> None:
        """Add a chunk; one of another stream takes the place of all before it."""
        if self._chunks and self._chunks[-1].stream_id != chunk.stream_id:
            self._chunks.clear()
        self._chunks.append(chunk)

    def forget(self) -> None:
        """Forget all of them."""
        self._chunks.clear()

    def last(self, seconds: float) -> list[EncodedChunk]:
        """Return what was heard in the last so many seconds, oldest first, in whole chunks; all for 0."""
        if not seconds or not self._chunks:
            return list(self._chunks)
        begin = self._chunks[-1].first_sample + CHUNK_SAMPLES - round(seconds * SAMPLE_RATE_HZ)
        return [chunk for chunk in self._chunks if chunk.first_sample + CHUNK_SAMPLES > begin]


@dataclass(eq=False)
class _Open:
    """An open question: its forward passes to come, what they have said, and how it was ended from outside, if so."""

    asked: AskedQuestion
    work: Iterator[Answer | list[Option]]
    said: Answer = field(default_factory=lambda: Answer('', 'normal', complete=False))
    options: list[Option] = field(default_factory=list)
    ended: tuple[QuestionState, str] | None = None


class Questions:
    """A `Questions` holds the questions that are open, of all sources, and answers the oldest.

    `ask`, `cancel` and `fail` may be called in any thread; `ended` and `advance` in the one that runs the sessions.
    """

    def __init__(self, half: DecoderHalf, max_open: int, max_s: float, engine: Engine | None = None) -> None:
        """Refuse more than `max_open` at a time, and fail what is not answered `max_s` seconds after it was asked."""
        self._half, self._engine = half, engine or Engine(half.language_model)
        self.max_open, self.max_s = max_open, max_s
        self._lock = threading.Lock()
        self._open: deque[_Open] = deque()
        self._asked = 0
        self._counts: Counter[str] = Counter()  # by what became of them

    def __len__(self) -> int:
        return len(self._open)

    def measurements(self) -> dict[str, int]:
        """Return how many questions are open, and what became of all others."""
        fates = ('final', 'cancelled', 'failed', 'refused')
        return {'questions_open': len(self), **{f'questions_{fate}': self._counts[fate] for fate in fates}}

    def ask(self, source: str, recent: RecentChunks, ask: Ask) -> AskedQuestion:
        """Accept a question about what a source has heard and return it, or raise QuestionError and count it."""
        try:
            opened = self._opened(source, recent, ask)
            with self._lock:
                if len(self._open) >= self.max_open:
                    raise QuestionError(
                        f'{len(self._open)} questions are open, at most {self.max_open} are allowed; wait for an '
                        'answer, or cancel a question'
                    )
                self._open.append(opened)
        except QuestionError:
            self._counts['refused'] += 1
            raise
        return opened.asked

    def cancel(self, source: str, id_: str = '') -> int:
        """End a question, or with '' all of a source's, and return how many that were: 0 where there is none such."""
        return self._end(QuestionState.CANCELLED, 'it was cancelled by request', source, id_)

    def fail(self, reason: str, source: str | None = None) -> int:
        """Fail the open questions of a source, or of all, with a sentence, and return how many that were."""
        return self._end(QuestionState.FAILED, reason, source)

    def ended(self) -> list[Reply]:
        """Take the questions that were cancelled or failed, or took too long, and return the last reply to each."""
        now_s = time.monotonic()
        with self._lock:
            for each in self._open:
                if each.ended is None and now_s - each.asked.asked_s > self.max_s:
                    late = f'it was not answered within {self.max_s:g} s; ask again, or about fewer seconds'
                    each.ended = QuestionState.FAILED, late
            over = [each for each in self._open if each.ended is not None]
            self._open = deque(each for each in self._open if each.ended is None)
        return [self._last_reply(each, *each.ended) for each in over if each.ended is not None]

    def advance(self) -> Reply | None:
        """Run at most one forward pass for the oldest question and return a reply where that says something new."""
        with self._lock:
            current = next((each for each in self._open if each.ended is None), None)
        if current is None:
            return None
        try:
            said = next(current.work)
        except StopIteration:
            return self._finished(current, QuestionState.FINAL)
        except Exception as error:
            reason = 'the model failed at it; ask again, and if it fails again, see the log of the decoder'
            return self._finished(current, QuestionState.FAILED, reason, error)
        if isinstance(said, Answer):
            new = (said.text, said.emotion) != (current.said.text, current.said.emotion)
            current.said = said
            return Reply(current.asked, QuestionState.WRITING, said) if new and not said.complete else None
        if said:
            current.options, current.said = said, Answer(said[0].text, 'normal', complete=True)
        return None

    def _opened(self, source: str, recent: RecentChunks, ask: Ask) -> _Open:
        """Check all that can be, so that an accepted question is answered."""
        if not self.max_open:
            raise QuestionError('this decoder answers no questions; set max_questions above 0')
        _require_bounded(ask)
        if not 0.0 <= ask.seconds <= recent.longest_s + 1e-3:  # false for NaN too; a float32 may be a little more
            raise QuestionError(
                f'seconds is {ask.seconds:g}, from 0 to {recent.longest_s:g} are kept; ask about fewer, or 0 for all'
            )
        language = ask.language or 'english'
        longest = longest_chunks(self._half, ask.text, language, ask.context)
        if longest < 1:
            raise QuestionError('the question is too long for the context of this checkpoint; shorten it')
        chunks = recent.last(ask.seconds)
        if not chunks:
            raise QuestionError('nothing was heard yet; ask when ai/decision comes')
        if not ask.seconds:
            chunks = chunks[-longest:]
        newest = chunks[-1]
        vectors = [chunk.vectors for chunk in chunks]
        question = Question(self._half, vectors, ask.text, language, self._engine, ask.context)
        if ask.options:
            work: Iterator[Answer | list[Option]] = question.choosing(ask.options, LONGEST_PASS)
        else:
            work = question.answering(ask.max_tokens or _DEFAULT_TOKENS, LONGEST_PASS)
        self._asked += 1
        id_ = f'{newest.stream_id}-{newest.index}-{self._asked}'
        asked = AskedQuestion(id_, source, ask.text, newest, len(chunks) * CHUNK_S, time.monotonic())
        return _Open(asked, work)

    def _end(self, state: QuestionState, reason: str, source: str | None, id_: str = '') -> int:
        with self._lock:
            found = [
                each
                for each in self._open
                if each.ended is None and source in (None, each.asked.source) and id_ in ('', each.asked.id)
            ]
            for each in found:
                each.ended = state, reason
        return len(found)

    def _finished(
        self, current: _Open, state: QuestionState, reason: str = '', error: Exception | None = None
    ) -> Reply | None:
        """Take a question whose work is over; None where it was ended at the same moment, which `ended` tells."""
        with self._lock:
            if current.ended is not None:
                return None
            self._open.remove(current)
        return self._last_reply(current, state, reason, error)

    def _last_reply(self, over: _Open, state: QuestionState, reason: str = '', error: Exception | None = None) -> Reply:
        self._counts[state.name.lower()] += 1
        options = over.options if state == QuestionState.FINAL else []
        answer = over.said if state == QuestionState.FINAL else Answer(over.said.text, over.said.emotion, False)
        return Reply(over.asked, state, answer, options, reason, error)


def _require_bounded(ask: Ask) -> None:
    """Refuse what would take too long to read, whoever sent it."""
    if not ask.text.strip():
        raise QuestionError('the question is empty; put it in words')
    if len(ask.text) > _MAX_QUESTION:
        raise QuestionError(
            f'a question of {len(ask.text)} characters found, at most {_MAX_QUESTION} expected; shorten it'
        )
    if len(ask.options) > _MAX_OPTIONS or any(not 0 < len(option) <= _MAX_OPTION for option in ask.options):
        raise QuestionError(
            f'options must be at most {_MAX_OPTIONS}, of 1 to {_MAX_OPTION} characters each; leave out or shorten some'
        )
    if not 0 <= ask.max_tokens <= MAX_ANSWER_TOKENS:
        raise QuestionError(
            f'max_tokens is {ask.max_tokens}, from 1 to {MAX_ANSWER_TOKENS} expected; give less, or 0 for '
            f'{_DEFAULT_TOKENS}'
        )
