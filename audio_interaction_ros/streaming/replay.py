"""A recorded bag through the loop, as a robot that always keeps up would have heard it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, overload

from audio_interaction_ros.audio.chunk_stream import ChunkStream, StreamChunk
from audio_interaction_ros.audio.formats import AudioFormatError, Samples
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.ingest import AudioIngest
from audio_interaction_ros.streaming.loop import Decision, Response, told_loop


class BagListener:
    """A `BagListener` hears a bag, one chunk at a time, and knows what became of its sound."""

    def __init__(
        self,
        bag: AudioBagReader,
        encoder: EncoderHalf,
        decoder: DecoderHalf,
        instruction: str = '',
        context: str = '',
    ) -> None:
        """Take an open bag, which is heard once, and what the model is told from the start, as `told_loop` has it.

        What is stale of the context by the bag's stamps is left out. Raises ToldError where it cannot be told.
        """
        self._bag, self._now_s = bag, -math.inf
        self._queue = ChunkQueue(max_chunks=1)
        self._loop = told_loop(self._queue, decoder, None, instruction, context, lambda: self._now_s)
        self._ingest = AudioIngest(encoder, first_stream_id=0)
        self.faults: dict[str, StampFault] = {}  # the first of each kind

    @property
    def heard(self) -> int:
        """Return how many samples of the bag, at 16 kHz, were heard."""
        return self._ingest.heard

    @property
    def lost(self) -> Counter[str]:
        """Return how many samples, at 16 kHz, were lost, by cause (see `ChunkStream`)."""
        return self._ingest.lost

    def hear(self) -> Iterator[Decision | Response]:
        """Yield every decision and response.

        Gaps and new streams come from the stamps, as in the chunk_encoder node; the bag's last chunk is filled
        up with silence, as `listen` does with a file's.
        """
        for chunk in self._encode():
            self._now_s = chunk.stamp_ns * 1e-9
            self._queue.push(chunk)
            yield from self._loop.run_until_idle()

    def _encode(self) -> Iterator[EncodedChunk]:
        return chunks_of(self._bag, self._ingest, self.faults)


def placed_sound(bag: AudioBagReader) -> Iterator[tuple[int, int, Samples]]:
    """Yield the sound of a bag, float32 [6400] at 16 kHz, with its stamp and how long after the first that is, in ns.

    Raises BagError for a damaged bag.
    """
    start_ns: int | None = None
    for chunk in chunks_of(bag, ChunkStream(0), {}):
        start_ns = chunk.stamp_ns if start_ns is None else start_ns
        yield chunk.stamp_ns, chunk.stamp_ns - start_ns, chunk.chunk.samples


@overload
def chunks_of(bag: AudioBagReader, ingest: AudioIngest, faults: dict[str, StampFault]) -> Iterator[EncodedChunk]: ...
@overload
def chunks_of(bag: AudioBagReader, ingest: ChunkStream, faults: dict[str, StampFault]) -> Iterator[StreamChunk]: ...
def chunks_of(bag: AudioBagReader, ingest: Any, faults: dict[str, StampFault]) -> Iterator[Any]:
    """Yield the chunks of a bag's messages, the last filled up with zeros, and keep the first fault of each kind.

    What cannot be read is counted by `ingest`, and by the bag, which knows why. Raises BagError for a damaged bag.
    """
    malformed = 0
    for message in bag.read():
        if bag.malformed > malformed:
            ingest.note_loss()
        try:
            samples = message.pcm.decode(message.data)
        except AudioFormatError as error:
            ingest.note_loss(message.pcm.seconds_of(len(message.data)))
            bag.reject(str(error))
        else:
            try:
                yield from ingest.push(samples, message.pcm, message.stamp_ns, message.recorded_ns)
            except AudioFormatError as error:  # the ingest has counted it
                bag.reject(str(error))
        if (fault := ingest.fault) is not None:
            faults.setdefault(fault.kind, fault)
        malformed = bag.malformed
    yield from ingest.finish()


def hear_bag(bag: AudioBagReader, encoder: EncoderHalf, decoder: DecoderHalf) -> Iterator[Decision | Response]:
    """Yield every decision and response to a bag, as `BagListener.hear` does."""
    return BagListener(bag, encoder, decoder).hear()
