"""Trigger accuracy as a language model is validated: each control token given the true history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.streaming.fifo import EncodedChunk
from training.evaluate import EvaluationError
from training.labels import MASK, tokenise
from training.streams import Stream


@torch.inference_mode()
def response_probabilities(decoder: DecoderHalf, stream: Stream, chunks: Sequence[EncodedChunk]) -> np.ndarray:
    """Return P(response) after each drain of the labels: float64 [drains].

    The replies before a drain are those of the labels. One pass over the whole stream (Algorithm 2's sequence) gives
    what a session computes, were every decision so far right. Raises EvaluationError for an emotion that the checkpoint
    has no token for.
    """
    protocol, engine = decoder.protocol, Engine(decoder.language_model)
    prefix = decoder.instruction_prefix(stream.instruction or decoder.config.streaming.instruction)
    if unknown := {reply.emotion for reply in stream.replies} - set(protocol.emotions):
        raise EvaluationError(
            f'{stream.id} has the emotions {sorted(unknown)} and the checkpoint only {sorted(protocol.emotions)}; '
            'give a checkpoint of the same protocol'
        )
    tokens = tokenise(stream.drains, stream.replies, prefix, decoder.tokenizer, protocol)
    embeddings = engine.embed(tokens.ids)
    vectors = torch.cat([chunk.vectors for chunk in chunks]).to(embeddings)
    embeddings[torch.tensor(tokens.ids, device=engine.device) == protocol.audio] = vectors
    places = [place for place, target in enumerate(tokens.stream_targets) if target != MASK]
    hidden = engine.read([engine.new_cache(len(tokens.ids))], embeddings[None])[0, places]
    control = engine.logits(hidden)[:, [protocol.silent, protocol.response]]
    return control.softmax(-1)[:, 1].double().cpu().numpy()
