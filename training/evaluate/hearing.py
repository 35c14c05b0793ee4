"""Sound through the runtime's own session: encoded in batches, decided on chunk by chunk, one session a stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.model.encoder import StreamingEncoder
from audio_interaction_ros.model.precision import open_halves, require_device
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session
from training.evaluate import EvaluationError
from training.streams import speaking_s

NEVER = math.inf  # a threshold no probability reaches, 1.0 included: the session only listens
_CHUNKS_A_BATCH = 128


@dataclass(frozen=True)
class Heard:
    """A `Heard` is every decision of a stream and every response that was finished, without what was encoded."""

    decisions: tuple[Decision, ...]
    responses: tuple[Response, ...]

    @classmethod
    def of(cls, events: Iterable[Decision | Response]) -> Heard:
        """Collect what a session emits."""
        decisions: list[Decision] = []
        responses: list[Response] = []
        for event in events:
            if isinstance(event, Decision):
                # An hour's vectors would fill the memory.
                decisions.append(replace(event, chunk=replace(event.chunk, vectors=torch.empty(0))))
            elif event.final:
                responses.append(replace(event, decision=decisions[-1]))
        return cls(tuple(decisions), tuple(responses))

    def excerpt(self, first: int, last: int) -> Heard:
        """Return what was decided on chunks that begin in samples `first` … `last` − 1.

        Samples and chunks are then counted from `first`.
        """
        moved: dict[int, Decision] = {}
        for decision in self.decisions:
            at = decision.chunk.first_sample - first
            if 0 <= at < last - first:
                chunk = replace(decision.chunk, first_sample=at, index=at // CHUNK_SAMPLES)
                moved[id(decision)] = replace(decision, chunk=chunk)
        responses = (replace(r, decision=moved[id(r.decision)]) for r in self.responses if id(r.decision) in moved)
        return Heard(tuple(moved.values()), tuple(responses))

    def highest(self, chunks: range) -> float:
        """Return the highest P(response) of the decisions that end in one of `chunks`; 0 where there is none."""
        return max((d.probability for d in self.decisions if d.chunk.index in chunks), default=0.0)

    def highest_between(self, after_s: float, until_s: float) -> float:
        """Return the highest P(response) of the decisions made after `after_s` and until `until_s`; 0 without any.

        Both are seconds from the start of the stream.
        """
        return max((d.probability for d in self.decisions if after_s < end_s(d) <= until_s), default=0.0)


def end_s(decision: Decision) -> float:
    """Return when a decision could be made: the end of its newest chunk, in seconds from the start of the stream."""
    return (decision.chunk.first_sample + CHUNK_SAMPLES) / SAMPLE_RATE_HZ


class Listener:
    """A `Listener` is a checkpoint that listens, in a fresh session for each stream."""

    def __init__(self, encoder: EncoderHalf, decoder: DecoderHalf) -> None:
        self.encoder = encoder
        self.decoder = decoder

    @classmethod
    def load(cls, checkpoint: str | Path, device: str, precision: str = 'stored') -> Listener:
        """Load a checkpoint from a directory, or one that ships by its name.

        `precision` is one of DECODER_PRECISIONS. Raises CheckpointError, and EvaluationError for a device that cannot
        be used.
        """
        try:
            require_device(device)
        except ValueError as error:
            raise EvaluationError(f'--{error}') from error
        return cls(*open_halves(str(checkpoint), device, precision))

    @property
    def threshold(self) -> float:
        """Return the response threshold that the checkpoint ships with: the one number, where there is a table too."""
        return self.decoder.config.streaming.response_threshold

    @property
    def lowest_threshold(self) -> float:
        """Return the P(response) below which the checkpoint, as it ships, never responds."""
        return self.decoder.config.streaming.lowest_threshold

    @torch.inference_mode()
    def encode(self, samples: Samples) -> Iterator[EncodedChunk]:
        """Yield the encoded chunks of a waveform, float32 [n] at 16 kHz, the last filled up with zeros.

        Many are encoded at once, and equal what a robot encodes chunk by chunk within 1e-5 (contract 2; a test holds
        it).
        """
        samples = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES)).astype(np.float32, copy=False)
        streaming = StreamingEncoder(self.encoder.encoder)
        for first in range(0, len(samples), _CHUNKS_A_BATCH * CHUNK_SAMPLES):
            piece = samples[first : first + _CHUNKS_A_BATCH * CHUNK_SAMPLES]
            for number, vectors in enumerate(streaming.encode_all(torch.from_numpy(piece))):
                chunk = piece[number * CHUNK_SAMPLES : (number + 1) * CHUNK_SAMPLES]
                yield EncodedChunk.unbroken(first // CHUNK_SAMPLES + number, vectors, level_dbfs(chunk))

    def hear(
        self,
        chunks: Iterable[EncodedChunk],
        threshold: float | None = None,
        instruction: str | None = None,
        aloud: bool = False,
    ) -> Heard:
        """Hear a stream in a fresh session that always keeps up (Algorithm 3).

        `threshold` and `instruction` are the checkpoint's own unless given. With `aloud`, what is said takes as long as
        saying it: the queue fills meanwhile, and the next decision drains it, as the corpus's labels have it.
        """
        queue = ChunkQueue(max_chunks=self.decoder.config.streaming.max_context_chunks)
        loop = ListeningLoop(queue, make_session(self.decoder, threshold, instruction or None), self.decoder)

        def events() -> Iterator[Decision | Response]:
            speaking = 0  # chunks that come in while the last response is being said
            for chunk in chunks:
                queue.push(chunk)
                speaking -= 1
                if speaking > 0:
                    continue
                for event in loop.run_until_idle():
                    yield event
                    if aloud and isinstance(event, Response) and event.final:
                        speaking = int(speaking_s(event.text, language_of(event.text)) / CHUNK_S)
            yield from loop.run_until_idle()

        return Heard.of(events())

    def hear_samples(self, samples: Samples, threshold: float | None = None) -> Heard:
        """Hear a waveform, float32 [n] at 16 kHz, at the checkpoint's threshold unless another is given."""
        return self.hear(self.encode(samples), threshold)


def language_of(text: str) -> str:
    """Return 'chinese' if a text has a Chinese character in it, else 'english'."""
    return 'chinese' if any('\u3400' <= character <= '\u9fff' for character in text) else 'english'
