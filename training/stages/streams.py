"""Streams as token sequences with two exclusive targets (paper B.2, Algorithm 2), and the dual loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import Qwen2ForCausalLM

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK, Protocol
from training.corpus import labels
from training.corpus.compose import Stream, compose
from training.corpus.labels import MASK, Drain, Reply, Tokens
from training.corpus.sounds import Answer, SoundPool
from training.recipe import StreamStage
from training.stages.encoder import encode

LATE_SHARE = 0.35  # of answers moved up to four chunks later: a model that missed the moment must still speak
SAME_EVENT_CHUNKS = 8  # a category that sounds again this soon is the same event and already answered
RECENT_CHUNKS = 3  # what the auxiliary event target looks back over


@dataclass(frozen=True)
class Sample:
    """A tokenised stream; `events` float32 [chunks, 1 + categories]: shares of what sounded lately, 0 for nothing."""

    tokens: Tokens
    events: np.ndarray


def answer_plan(stream: Stream, chunks: int, rng: np.random.Generator) -> tuple[dict[int, str], set[int]]:
    """(chunk → category to answer, chunks where either decision is right and none is supervised)."""
    triggers: dict[int, str] = {}
    masked: set[int] = set()
    last_chunk: dict[str, int] = {}
    for event in (event for event in stream.events if event.respond):
        repeated = event.first_chunk - last_chunk.get(event.category, -1_000) < SAME_EVENT_CHUNKS
        last_chunk[event.category] = event.last_chunk
        if repeated:
            masked.update(range(event.first_chunk, event.last_chunk + 1))
            continue
        trigger = event.answer_chunk
        if rng.random() < LATE_SHARE:
            trigger = min(trigger + int(rng.integers(1, 5)), max(event.last_chunk, trigger))
        while trigger in triggers:  # one voice: a second event waits for its turn
            trigger += 1
        masked.update(range(event.first_chunk, min(trigger, chunks)))
        if trigger < chunks:
            triggers[trigger] = event.category
    return triggers, masked - set(triggers)


def tokenise(
    stream: Stream,
    chunks: int,
    answers: dict[str, Answer],
    categories: Sequence[str],
    tokenizer: Tokenizer,
    protocol: Protocol,
    prefix: Sequence[int],
    rng: np.random.Generator,
) -> Sample:
    """Algorithm 2, with several chunks a drain now and then, as the runtime drains after it has spoken."""
    triggers, masked = answer_plan(stream, chunks, rng)
    drains: list[Drain] = []
    replies: list[Reply] = []
    chunk, spoke = 0, False
    while chunk < chunks:
        drained = int(rng.integers(2, 5)) if rng.random() < (0.3 if spoke else 0.06) else 1
        last = min(chunk + drained, chunks) - 1
        due = [triggers[c] for c in range(chunk, last + 1) if c in triggers]
        spoke = bool(due)
        drains.append(Drain(first=chunk, last=last, reply=len(replies) if due else None))
        if due:
            answer = answers[due[0]]
            sentence = answer.sentences[int(rng.integers(len(answer.sentences)))]
            replies.append(Reply(onset=0, due=(last + 1) * CHUNK_SAMPLES, text=sentence, emotion=answer.emotion))
        for later in due[1:]:  # a second trigger in the same drain is answered right after the next chunk
            triggers.setdefault(last + 1, later)
        chunk = last + 1

    events = np.zeros((chunks, 1 + len(categories)), np.float32)
    column = {category: 1 + i for i, category in enumerate(categories)}
    for event in stream.events:
        for active in event.active_chunks:
            events[active : active + RECENT_CHUNKS, column[event.category]] = 1.0
    events[~events.any(axis=1), 0] = 1.0
    events /= events.sum(axis=1, keepdims=True)
    return Sample(labels.tokenise(drains, replies, prefix, tokenizer, protocol, undecided=masked), events)


class StreamModel(nn.Module):
    """Encoder and language model in training, with an auxiliary head that names what is sounding.

    The head reads the hidden state at every `chunk_end`; it makes sparse triggers learnable in an hour of CPU and is
    thrown away afterwards.
    """

    def __init__(
        self,
        encoder: ChunkEncoder,
        language_model: Qwen2ForCausalLM,
        protocol: Protocol,
        categories: Sequence[str],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.language_model = language_model
        self.protocol = protocol
        self.categories = list(categories)
        self.event_head = nn.Linear(language_model.config.hidden_size, 1 + len(self.categories))

    def hidden_states(self, ids: Tensor, waveforms: Tensor) -> Tensor:
        """ids [batch, positions], waveforms float32 [batch, chunks × 6400] → [batch, positions, hidden]."""
        vectors = encode(self.encoder, waveforms, augment=self.training)
        embedded = self.language_model.get_input_embeddings()(ids)
        # Padding is on the right and attention looks back only, so no mask is needed.
        embedded = embedded.masked_scatter((ids == self.protocol.audio)[..., None], vectors.to(embedded.dtype))
        hidden: Tensor = self.language_model.model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        return hidden

    def losses(self, samples: Sequence[Sample], waveforms: Tensor, settings: StreamStage) -> dict[str, Tensor]:
        """L = L_LM + λ L_stream (paper §3.3), each averaged over its own targets, + the auxiliary loss."""
        tokens = [sample.tokens for sample in samples]
        longest = max(len(sample.ids) for sample in tokens)

        def pad(rows: list[list[int]], value: int) -> Tensor:
            return torch.tensor([row + [value] * (longest - len(row)) for row in rows])

        ids = pad([sample.ids for sample in tokens], self.protocol.eos)
        stream_targets = pad([sample.stream_targets for sample in tokens], MASK)
        lm_targets = pad([sample.lm_targets for sample in tokens], MASK)
        hidden = self.hidden_states(ids, waveforms)
        head = self.language_model.lm_head
        weights = torch.ones(head.out_features)
        weights[self.protocol.response] = settings.response_weight
        at = stream_targets != MASK
        stream = nn.functional.cross_entropy(head(hidden[at]).float(), stream_targets[at], weight=weights)
        said = lm_targets != MASK
        # A batch may hold nothing to say; the mean over no targets is then zero, not NaN.
        lm = nn.functional.cross_entropy(head(hidden[said]).float(), lm_targets[said], reduction='sum')
        lm = lm / max(1, int(said.sum()))
        ends = torch.tensor([sample.chunk_ends for sample in tokens])
        rows = torch.arange(len(samples))[:, None]
        named = nn.functional.cross_entropy(
            self.event_head(hidden[rows, ends]).float().flatten(0, 1),
            torch.from_numpy(np.concatenate([sample.events for sample in samples])),
        )
        total = lm + settings.stream_weight * stream + settings.event_weight * named
        return {'total': total, 'lm': lm.detach(), 'stream': stream.detach(), 'event': named.detach()}

    @torch.no_grad()
    def response_probabilities(self, waveforms: Tensor, prefix: Sequence[int]) -> Tensor:
        """P(response) after every chunk of streams in which nothing was said yet. [batch, chunks]"""
        chunks = waveforms.shape[-1] // 6_400
        block = [
            self.protocol.chunk_begin,
            *[self.protocol.audio] * AUDIO_TOKENS_PER_CHUNK,
            self.protocol.chunk_end,
            self.protocol.silent,
        ]
        ids = torch.tensor([*prefix, *block * chunks]).expand(len(waveforms), -1)
        hidden = self.hidden_states(ids, waveforms)
        ends = torch.arange(chunks) * len(block) + len(prefix) + len(block) - 2
        logits = self.language_model.lm_head(hidden[:, ends]).float()
        return logits[..., [self.protocol.silent, self.protocol.response]].softmax(-1)[..., 1]


@dataclass(frozen=True)
class StreamTask:
    """What a stage of streams is trained on."""

    pool: SoundPool
    answers: dict[str, Answer]
    tokenizer: Tokenizer
    prefix: Sequence[int]
    respond_share: float
    seed: int

    def losses(self, model: StreamModel, settings: StreamStage, stage: int, step: int) -> dict[str, Tensor]:
        """The losses of one batch, which depends on the seed, the stage and the step alone."""
        rng = np.random.default_rng([self.seed, 20 + stage, step])
        streams = [compose(self.pool, settings.chunks, self.respond_share, rng) for _ in range(settings.batch)]
        samples = [
            tokenise(
                stream,
                settings.chunks,
                self.answers,
                model.categories,
                self.tokenizer,
                model.protocol,
                self.prefix,
                rng,
            )
            for stream in streams
        ]
        waveforms = torch.from_numpy(np.stack([stream.samples for stream in streams]))
        return model.losses(samples, waveforms, settings)
