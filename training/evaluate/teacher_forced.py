"""Trigger accuracy as a language model is validated: each control token given the true history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.model.deciding import Sounding
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.network import EventHead
from audio_interaction_ros.streaming.fifo import EncodedChunk
from audio_interaction_ros.streaming.loop import session_settings
from training.evaluate import EvaluationError
from training.labels import MASK, tokenise
from training.streams import Stream


@dataclass(frozen=True)
class Forced:
    """A `Forced` is what a session computes after each drain of the labels, were every decision so far right.

    `probabilities`, float64 [drains], of `response`; `responds`, bool [drains], whether they are enough by the
    checkpoint's thresholds. Whether an urgent warning agrees with what the event head hears is not asked.
    """

    probabilities: np.ndarray
    responds: np.ndarray


@torch.inference_mode()
def teacher_forced(decoder: DecoderHalf, stream: Stream, chunks: Sequence[EncodedChunk]) -> Forced:
    """Return the decisions after each drain of the labels, where the replies before it are those of the labels.

    One pass over the whole stream (Algorithm 2's sequence). Raises EvaluationError for an emotion that the checkpoint
    has no token for.
    """
    protocol, engine, events = decoder.protocol, Engine(decoder.language_model), decoder.config.events
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
    logits = engine.logits(engine.read([engine.new_cache(len(tokens.ids))], embeddings[None])[0, places])
    probabilities = logits[:, [protocol.silent, protocol.response]].softmax(-1)[:, 1].double().cpu().numpy()
    settings = session_settings(decoder, instruction=stream.instruction or None)
    responds, before = [], 0.0
    head, heard = engine.event_head, EventHead.summary(torch.stack([chunk.vectors for chunk in chunks]))
    for number, drain in enumerate(stream.drains):
        sounding = None if events is None or head is None else Sounding.of(events, head, heard[: drain.last + 1])
        probabilities[number] = probability = settings.weighed(probabilities[number], sounding)
        responds.append(settings.is_enough(probability, before, sounding))
        before = 0.0 if drain.reply is not None else probability
    return Forced(probabilities, np.array(responds))
