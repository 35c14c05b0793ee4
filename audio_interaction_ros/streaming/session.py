"""One listening session: the KV cache, and the only code that advances it (contract 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache, Qwen2ForCausalLM

from audio_interaction_ros.model.protocol import Protocol


@dataclass(frozen=True)
class SessionSettings:
    """Limits and policy of a session.

    `response_threshold`: respond when P(response) among the two control tokens reaches it.
    `max_context_chunks`: the longest context the model was trained on; past it the older half is forgotten.
    `max_response_tokens`: a longer response is ended with `eos`.
    `silent_between_chunks`: within a drain every chunk but the last is followed by `silent`, unasked, for a model that
    never saw chunks side by side.
    """

    response_threshold: float
    max_context_chunks: int
    max_response_tokens: int = 64
    silent_between_chunks: bool = False


@dataclass
class _Turn:
    """The chunks of one drain and the tokens that answered them."""

    vectors: list[Tensor]
    tokens: list[int] = field(default_factory=list)


class Session:
    """Drain chunks → one control token; while responding, one text token a call.

    The last token emitted is not in the cache yet: it enters with the next forward pass, so a drain and a text
    step cost one pass each.
    """

    def __init__(
        self,
        language_model: Qwen2ForCausalLM,
        protocol: Protocol,
        prefix: Sequence[int],
        vocabulary_size: int,
        settings: SessionSettings,
    ) -> None:
        """`prefix`: the instruction's token ids; `vocabulary_size`: ids from there on are padding, never text."""
        self._model = language_model
        self._protocol = protocol
        self._prefix = list(prefix)
        self._settings = settings
        self._device = language_model.device
        forbidden = torch.zeros(language_model.config.vocab_size, dtype=torch.bool, device=self._device)
        forbidden[vocabulary_size:] = True
        forbidden[list(protocol.special_ids())] = True
        forbidden[protocol.eos] = False
        self._not_text = forbidden
        # Right after `response` an emotion tag may come; an empty response may not.
        self._not_first = forbidden.clone()
        self._not_first[list(protocol.emotions.values())] = False
        self._not_first[protocol.eos] = True
        self.reset()

    def reset(self) -> None:
        """Forget everything but the instruction."""
        self._turns: list[_Turn] = []
        self._cache = DynamicCache(config=self._model.config)
        self._unread: list[int] = list(self._prefix)

    @property
    def responding(self) -> bool:
        """True between a `response` token and its `eos`: the queue must then be left alone."""
        return bool(self._turns) and self._turns[-1].tokens[-1] not in (
            self._protocol.silent,
            self._protocol.eos,
        )

    @property
    def context_chunks(self) -> int:
        """Chunks in the cache."""
        return sum(len(turn.vectors) for turn in self._turns)

    @torch.inference_mode()
    def drain(self, vectors: Sequence[Tensor]) -> tuple[bool, float]:
        """Chunks of [10, dim] → (respond?, probability of `response`).

        Raises RuntimeError while a response is under way: that would break the protocol.
        """
        if self.responding:
            raise RuntimeError('drain() during a response; call next_token() until it returns eos, or cancel()')
        limit = self._settings.max_context_chunks
        vectors = list(vectors)[-limit // 2 :]
        if self.context_chunks + len(vectors) > limit:
            self._compact(limit // 2 - len(vectors))
        turn = _Turn([chunk.to(self._device, self._model.dtype) for chunk in vectors])
        logits = self._forward([self._embed(self._unread), *self._chunk_embeddings(turn)])
        control = logits[[self._protocol.silent, self._protocol.response]].float()
        probability = float(control.softmax(0)[1])
        respond = probability >= self._settings.response_threshold
        turn.tokens.append(self._protocol.response if respond else self._protocol.silent)
        self._turns.append(turn)
        self._unread = turn.tokens[-1:]
        return respond, probability

    @torch.inference_mode()
    def next_token(self) -> int:
        """The next token of the response under way, greedily; `eos` ends it."""
        tokens = self._turns[-1].tokens
        if len(tokens) > self._settings.max_response_tokens:
            return self.cancel()
        logits = self._forward([self._embed(self._unread)])
        logits[self._not_first if len(tokens) == 1 else self._not_text] = -torch.inf
        token = int(logits.argmax())
        tokens.append(token)
        self._unread = [token]
        return token

    def cancel(self) -> int:
        """End the response under way; what was said stays in the context. Returns `eos`."""
        if self.responding:
            self._turns[-1].tokens.append(self._protocol.eos)
            self._unread = [*self._unread, self._protocol.eos]
        return self._protocol.eos

    def _compact(self, max_chunks: int) -> None:
        """Rebuild the cache from the instruction and the newest turns of at most `max_chunks` chunks."""
        kept: list[_Turn] = []
        for turn in reversed(self._turns):
            max_chunks -= len(turn.vectors)
            if max_chunks < 0:
                break
            kept.insert(0, turn)
        self.reset()
        if not kept:
            return
        embeddings = [self._embed(self._prefix)]
        for turn in kept:
            embeddings += [*self._chunk_embeddings(turn), self._embed(turn.tokens)]
        # Everything but the last token goes into the cache now; that one is read with the next chunks.
        self._forward([torch.cat(embeddings)[:-1]])
        self._turns = kept
        self._unread = kept[-1].tokens[-1:]

    def _embed(self, tokens: Sequence[int]) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(torch.tensor(tokens, device=self._device))
        return embedded

    def _chunk_embeddings(self, turn: _Turn) -> list[Tensor]:
        silence = [self._protocol.silent] if self._settings.silent_between_chunks else []
        begin, end = self._embed([self._protocol.chunk_begin]), self._embed([self._protocol.chunk_end])
        between = torch.cat([end, self._embed([*silence, self._protocol.chunk_begin])])
        parts = [part for chunk in turn.vectors for part in (between, chunk)]
        return [begin, *parts[1:], end]

    def _forward(self, embeddings: list[Tensor]) -> Tensor:
        """One pass; logits [vocabulary] after its last position."""
        output = self._model(
            inputs_embeds=torch.cat(embeddings)[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[0, -1]
        return logits
