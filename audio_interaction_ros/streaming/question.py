"""Offline execution: one question about one recording, which is heard to its end before anything is said (paper §3.1).

It has a session of its own, so that a stream which goes on meanwhile loses nothing of its context.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK
from audio_interaction_ros.streaming.ingest import encode_waveform
from audio_interaction_ros.streaming.loop import session_settings, text_of
from audio_interaction_ros.streaming.session import Session

MAX_ANSWER_TOKENS = 512
_ROOM = 16  # positions that must be left for an answer, or it would be cut off after a word or two


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
    """A `Question` is a recording that was heard, and what is asked about it."""

    def __init__(
        self, encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples, text: str = '', language: str = 'english'
    ) -> None:
        """Hear a recording, float32 [n] at 16 kHz; where `text` is empty the question is at the end of it, spoken.

        `language`: in which to answer, one of the protocol's. Raises QuestionError for a recording that is empty or
        longer than the model was trained to hear.
        """
        self._decoder, self._engine = decoder, Engine(decoder.language_model)
        protocol, defaults = decoder.protocol, decoder.config.streaming
        if language not in protocol.languages:
            raise QuestionError(f"language '{language}' found; give one of {', '.join(sorted(protocol.languages))}")
        if not len(samples):
            raise QuestionError('the recording is empty; give one with sound in it')
        asked = decoder.tokenizer.encode(text or defaults.instruction, add_special_tokens=False).ids
        self._prefix = protocol.prefix(asked, language, offline=True)
        chunks = -(-len(samples) // CHUNK_SAMPLES)
        a_chunk = AUDIO_TOKENS_PER_CHUNK + 2 + defaults.silent_between_chunks
        fit = (decoder.language_model.config.max_position_embeddings - len(self._prefix) - _ROOM) // a_chunk
        longest = min(defaults.max_context_chunks, fit)
        if chunks > longest:
            raise QuestionError(
                f'{len(samples) / SAMPLE_RATE_HZ:.1f} s of sound found, at most {max(longest, 0) * CHUNK_S:g} s '
                'expected of this checkpoint; give a part of it'
            )
        self._vectors = [chunk.vectors for chunk in encode_waveform(encoder, samples)]

    def answer(self, max_tokens: int = MAX_ANSWER_TOKENS) -> Answer:
        """Return what the model says, of at most so many tokens; the same each time."""
        session = self._heard(max_tokens)
        protocol, emotion, ids = self._decoder.protocol, 'normal', list[int]()
        while (token := session.next_token()) != protocol.eos:
            if found := protocol.emotion_of(token):
                emotion = found
            else:
                ids.append(token)
        return Answer(text_of(self._decoder.tokenizer, ids), emotion, complete=not session.cut_short)

    def choose(self, options: Sequence[str]) -> list[Option]:
        """Return the options, the likeliest first. Raises QuestionError for fewer than two, or two alike."""
        if len(set(options)) < max(2, len(options)):
            raise QuestionError(f'{len(options)} options found, {sorted(options)}; give at least two, all different')
        protocol, session = self._decoder.protocol, self._heard(MAX_ANSWER_TOKENS)
        beginnings = [[], *([tag] for tag in protocol.emotions.values())]
        found = []
        for option in options:
            ids = [*self._decoder.tokenizer.encode(option, add_special_tokens=False).ids, protocol.eos]
            ways = [sum(session.log_probabilities([*beginning, *ids])) for beginning in beginnings]
            found.append(float(torch.logsumexp(torch.tensor(ways, dtype=torch.float64), 0)))
        shares = torch.tensor(found, dtype=torch.float64).softmax(0).tolist()
        chosen = [Option(*row) for row in zip(options, found, shares, strict=True)]
        return sorted(chosen, key=lambda option: -option.log_likelihood)

    def _heard(self, max_tokens: int) -> Session:
        """A session that has heard it all in one drain, and must respond."""
        settings = replace(
            session_settings(self._decoder, sys.float_info.min, max_response_tokens=max_tokens),
            max_context_chunks=2 * len(self._vectors),
            warning_agreement=0.0,
        )
        vocabulary = self._decoder.tokenizer.get_vocab_size()
        session = Session(self._engine, self._decoder.protocol, self._prefix, vocabulary, settings)
        session.drain(self._vectors)
        return session
