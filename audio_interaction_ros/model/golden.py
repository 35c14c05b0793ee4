"""What a checkpoint makes of a few seconds of sound that are the same everywhere: log-probabilities to compare with.

Right weights give them to the rounding of their sums; other ones do not, whatever is decided.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.network import EventHead
from audio_interaction_ros.model.weights import CheckpointError

TOLERANCE = 0.01  # of a log-probability: one part in a hundred of a probability
_CHUNKS, _LIKELIEST = 12, 8


class Golden(BaseModel):
    """A `Golden` holds the natural logarithms of probabilities, after every chunk and once more where a text begins.

    `tokens`: those of the likeliest tokens, of `silent` and of `response`, by id; `events`: those of the event head's
    outputs, empty where there is none.
    """

    model_config = ConfigDict(extra='forbid')

    tokens: list[dict[int, float]]
    events: list[list[float]]

    @classmethod
    def load(cls, path: Path) -> Golden:
        """Read the file; raise CheckpointError where it is missing or damaged."""
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise CheckpointError(f"'{path}' is missing or damaged; restore it: {error}") from error

    @classmethod
    @torch.inference_mode()
    def of(cls, directory: Path, likeliest: Golden | None = None) -> Golden:
        """Return what the checkpoint in `directory` gives, for the tokens of `likeliest` where that is given.

        Raises CheckpointError as `load_encoder` and `load_decoder`.
        """
        vectors = load_encoder(directory).encoder(golden_sound())  # [chunks, vectors, width]
        half = load_decoder(directory)
        engine, protocol = Engine(half.language_model), half.protocol
        unread = half.instruction_prefix(half.config.streaming.instruction)
        cache = engine.new_cache(len(unread) + _CHUNKS * (vectors.shape[1] + 3) + 1)
        tokens: list[dict[int, float]] = []
        events: list[list[float]] = []

        def note(logits: Tensor) -> None:
            words = logits[: engine.config.vocab_size].log_softmax(0)
            best = {*words.topk(_LIKELIEST).indices.tolist(), protocol.silent, protocol.response}
            wanted = (
                sorted(best)
                if likeliest is None
                else [id_ for id_ in likeliest.tokens[len(tokens)] if id_ < len(words)]
            )
            tokens.append({id_: round(float(words[id_]), 5) for id_ in wanted})

        heard_so_far = EventHead.summary(vectors)
        for number, chunk in enumerate(vectors):
            if engine.event_head is not None:
                sounds = engine.event_head(EventHead.pooled(heard_so_far[: number + 1])).float().log_softmax(0)
                events.append([round(value, 5) for value in sounds.tolist()])
            before = engine.embed([*unread, protocol.chunk_begin])
            heard = torch.cat([before, chunk.to(before.dtype), engine.embed([protocol.chunk_end])])
            note(engine.forward([cache], heard[None])[0])
            unread = [protocol.silent]
        note(engine.forward([cache], engine.embed([protocol.response])[None])[0])
        return cls(tokens=tokens, events=events)

    def save(self, path: Path) -> None:
        """Write the file. Raises OSError."""
        path.write_text(self.model_dump_json() + '\n')

    def farthest(self, other: Golden) -> float:
        """Return the largest difference of two log-probabilities; infinity where others were asked for."""
        ours, theirs = (
            [
                *(value for of in golden.tokens for value in of.values()),
                *(value for of in golden.events for value in of),
            ]
            for golden in (self, other)
        )
        if len(ours) != len(theirs) or [*map(list, self.tokens)] != [*map(list, other.tokens)]:
            return math.inf
        return max(abs(one - another) for one, another in zip(ours, theirs, strict=True))


def require_golden(directory: Path, golden: Path) -> float:
    """Return how far what a checkpoint hears is from a golden file; raise CheckpointError beyond `TOLERANCE`."""
    wanted = Golden.load(golden)
    if len(wanted.tokens) != _CHUNKS + 1 or any(not id_ >= 0 for of in wanted.tokens for id_ in of):
        raise CheckpointError(f"'{golden}' is of other sound than this package makes; restore it")
    far = wanted.farthest(Golden.of(directory, wanted))
    if not far <= TOLERANCE:
        raise CheckpointError(
            f"what was assembled does not hear as '{golden}' has it: log-probabilities differ by {far:.2g}, at most "
            f'{TOLERANCE} expected; restore the change and the base weights'
        )
    return far


def golden_sound() -> Tensor:
    """Return 4.8 s of a rising tone, of noise and of short beeps, float32 [samples], the same on every machine."""
    number = torch.arange(_CHUNKS * CHUNK_SAMPLES, dtype=torch.int64)
    time = number.double() / SAMPLE_RATE_HZ
    rising = 0.3 * torch.sin(2 * math.pi * (200 * time + 400 * time**2)) * (time < 2)
    noise = 0.1 * (((number * number * 40_503 + number * 9_973) % 65_537).double() / 32_768 - 1)
    beeps = 0.3 * torch.sin(2 * math.pi * 3_000 * time) * ((time > 3.2) & (time % 0.4 < 0.2))
    return (rising + noise * ((time > 1.6) & (time < 3.6)) + beeps).float()
