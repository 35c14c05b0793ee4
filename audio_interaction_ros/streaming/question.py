"""Offline execution: one question about sound that is heard to its end before anything is said (paper §3.1).

It has a session of its own, so that a stream which goes on meanwhile loses nothing of its context.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.plain_text import plain_ids
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK
from audio_interaction_ros.streaming.context import DigitalContext
from audio_interaction_ros.streaming.ingest import encode_waveform
from audio_interaction_ros.streaming.loop import session_settings, text_of
from audio_interaction_ros.streaming.session import Session

MAX_ANSWER_TOKENS = 512
_ROOM = 16  # positions that must be left for an answer, or it would be cut off after a word or two

T = TypeVar('T')
Told = TypeVar('Told')


class QuestionError(ValueError):
    """A `QuestionError` says why a question cannot be asked, and what to change."""


@dataclass(frozen=True)
class Answer:
    """An `Answer` is what is said to a question; not `complete` where it was cut off at the limit of its length."""

    text: str
    emotion: str
    complete: bool


@dataclass(frozen=True)
class Option:
    """An `Option` is a text to choose, its log-likelihood as the whole answer, and its share of those of all options.

    `log_likelihood` is a natural logarithm, whatever the emotion.
    """

    text: str
    log_likelihood: float
    share: float


class Question:
    """A `Question` is sound that was heard, as the encoder's vectors, and what is asked about it.

    What takes forward passes comes twice: as a call that runs them at once, and as an iterator that pauses after every
    pass, for whoever has something else to do in between.
    """

    def __init__(
        self,
        decoder: DecoderHalf,
        vectors: Sequence[Tensor],
        text: str = '',
        language: str = 'english',
        engine: Engine | None = None,
        context: DigitalContext | None = None,
    ) -> None:
        """Ask about chunks of [10, dim], oldest first; where `text` is empty the question is at their end, spoken.

        `language`: in which to answer, one of the protocol's. `engine`: of the decoder's model; None makes one.
        `context`: what is known beside the sound. Raises QuestionError where there is no chunk, or more than the model
        was trained to hear, and for a text with a control token.
        """
        self._decoder, self._engine = decoder, engine or Engine(decoder.language_model)
        self._prefix = _prefix(decoder, text, language, context)
        _require_room(decoder, self._prefix, len(vectors), len(vectors) * CHUNK_S)
        self._vectors = list(vectors)

    @classmethod
    def about(
        cls,
        encoder: EncoderHalf,
        decoder: DecoderHalf,
        samples: Samples,
        text: str = '',
        language: str = 'english',
        context: DigitalContext | None = None,
    ) -> Question:
        """Hear a recording, float32 [n] at 16 kHz, and return the question about it.

        Raises QuestionError as the constructor does, before anything is encoded.
        """
        chunks = -(-len(samples) // CHUNK_SAMPLES)
        _require_room(decoder, _prefix(decoder, text, language, context), chunks, len(samples) / SAMPLE_RATE_HZ)
        vectors = [chunk.vectors for chunk in encode_waveform(encoder, samples)]
        return cls(decoder, vectors, text, language, context=context)

    def answer(self, max_tokens: int = MAX_ANSWER_TOKENS) -> Answer:
        """Return what the model says, of at most so many tokens; the same each time."""
        return _last(self.answering(max_tokens))

    def answering(self, max_tokens: int = MAX_ANSWER_TOKENS, longest_pass: int | None = None) -> Iterator[Answer]:
        """Yield what is said so far, not `complete`, after every forward pass, and at last what `answer` returns.

        `longest_pass`: how many positions a pass reads at most; None reads all of the sound in one.
        """
        session, decoder = self._session(max_tokens), self._decoder
        said, ids = Answer('', 'normal', complete=False), list[int]()
        yield from _telling(said, session.passes(session.drain_request(self._vectors), longest_pass))
        while (
            token := (yield from _telling(said, session.passes(session.next_token_request(), longest_pass)))
        ) != decoder.protocol.eos:
            if found := decoder.protocol.emotion_of(token):
                said = replace(said, emotion=found)
            else:
                ids.append(token)
                said = replace(said, text=text_of(decoder.tokenizer, ids))
        yield replace(said, complete=not session.cut_short)

    def choose(self, options: Sequence[str]) -> list[Option]:
        """Return the options, the likeliest first.

        Raises QuestionError for fewer than two, for two alike, and for one that does not fit into the context or has a
        control token.
        """
        return _last(self.choosing(options))

    def choosing(self, options: Sequence[str], longest_pass: int | None = None) -> Iterator[list[Option]]:
        """Yield nothing to choose, [], after every forward pass, and at last what `choose` returns.

        `longest_pass` is as in `answering`. Raises QuestionError, at once, as `choose` does.
        """
        if len(set(options)) < max(2, len(options)):
            raise QuestionError(f'{len(options)} options found, {sorted(options)}; give at least two, all different')
        ids = [[*_tokens(self._decoder, text), self._decoder.protocol.eos] for text in options]
        longest = max(map(len, ids))
        fit = self._engine.config.max_position_embeddings - self._positions - 2  # `response` and a tag
        if longest > fit:
            raise QuestionError(
                f'an option of {longest} tokens found, at most {fit} fit into the context; give shorter ones'
            )
        return self._choosing(options, ids, longest_pass)

    def _choosing(
        self, options: Sequence[str], ids: Sequence[Sequence[int]], longest_pass: int | None
    ) -> Iterator[list[Option]]:
        session = self._session(max(map(len, ids)))
        nothing, found = list[Option](), list[float]()
        yield from _telling(nothing, session.passes(session.drain_request(self._vectors), longest_pass))
        beginnings = [[], *([tag] for tag in self._decoder.protocol.emotions.values())]
        for each in ids:
            ways = []
            for beginning in beginnings:
                request = session.log_probabilities_request([*beginning, *each])
                ways.append(sum((yield from _telling(nothing, session.passes(request, longest_pass)))))
            found.append(float(torch.logsumexp(torch.tensor(ways, dtype=torch.float64), 0)))
        shares = torch.tensor(found, dtype=torch.float64).softmax(0).tolist()
        chosen = [Option(*row) for row in zip(options, found, shares, strict=True)]
        yield sorted(chosen, key=lambda option: -option.log_likelihood)

    @property
    def _positions(self) -> int:
        """How many positions there are before the answer."""
        return len(self._prefix) + len(self._vectors) * _a_chunk(self._decoder)

    def _session(self, max_tokens: int) -> Session:
        """A session, with room for an answer of so many tokens and no more, that must respond to its first drain."""
        settings = replace(
            session_settings(self._decoder, sys.float_info.min, max_response_tokens=max_tokens),
            max_context_chunks=2 * len(self._vectors),
            warning_agreement=0.0,
        )
        return Session(
            self._engine,
            self._decoder.protocol,
            self._prefix,
            self._decoder.tokenizer.get_vocab_size(),
            settings,
            capacity=self._positions + max_tokens + 3,  # `response`, a tag and `eos`
        )


def longest_chunks(
    decoder: DecoderHalf, text: str, language: str = 'english', context: DigitalContext | None = None
) -> int:
    """Return how many chunks a question may be about, 0 and less where it is too long itself.

    Raises QuestionError for a language that the protocol has not, and for a control token in the text.
    """
    return _longest(decoder, _prefix(decoder, text, language, context))


def _prefix(decoder: DecoderHalf, text: str, language: str, context: DigitalContext | None = None) -> list[int]:
    """Return the tokens before the sound."""
    known = decoder.protocol.languages
    if language not in known:
        raise QuestionError(f"language '{language}' found; give one of {', '.join(sorted(known))}")
    asked = _tokens(decoder, text) if text else _ids(decoder, decoder.config.streaming.instruction)
    try:
        beside = plain_ids(decoder.tokenizer, context.behind, decoder.protocol.special_ids()) if context else []
    except ValueError as error:
        raise QuestionError(str(error)) from error
    return decoder.protocol.prefix([*asked, *beside], language, offline=True)


def _tokens(decoder: DecoderHalf, text: str) -> list[int]:
    """Return the tokens of a text that somebody gave; what would end it or begin another part is refused."""
    ids = _ids(decoder, text)
    if control := decoder.protocol.special_ids() & set(ids):
        token = decoder.tokenizer.id_to_token(min(control))
        raise QuestionError(f"'{token}' found, which is a control token of this checkpoint; leave it out of the text")
    return ids


def _ids(decoder: DecoderHalf, text: str) -> list[int]:
    ids: list[int] = decoder.tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _a_chunk(decoder: DecoderHalf) -> int:
    """Return how many positions a chunk takes."""
    return AUDIO_TOKENS_PER_CHUNK + 2 + decoder.config.streaming.silent_between_chunks


def _longest(decoder: DecoderHalf, prefix: Sequence[int]) -> int:
    fit = (decoder.language_model.config.max_position_embeddings - len(prefix) - _ROOM) // _a_chunk(decoder)
    return min(decoder.config.streaming.max_context_chunks, fit)


def _require_room(decoder: DecoderHalf, prefix: Sequence[int], chunks: int, sound_s: float) -> None:
    if not chunks:
        raise QuestionError('the recording is empty; give one with sound in it')
    longest = _longest(decoder, prefix)
    if chunks > longest:
        raise QuestionError(
            f'{sound_s:.1f} s of sound found, at most {max(longest, 0) * CHUNK_S:g} s expected of this checkpoint; '
            'give a part of it'
        )


def _telling(said: Told, passes: Generator[None, None, T]) -> Generator[Told, None, T]:
    """Yield the same after each of the passes and return what they return."""
    try:
        while True:
            next(passes)
            yield said
    except StopIteration as done:
        result: T = done.value
        return result


def _last(items: Iterator[T]) -> T:
    return deque(items, maxlen=1)[0]
