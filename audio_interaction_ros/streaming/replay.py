"""A recorded bag through the loop, as a robot that always keeps up would have heard it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.ingest import AudioIngest
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session


class BagListener:
    """A `BagListener` hears a bag, one chunk at a time, and knows what became of its sound."""

    def __init__(self, bag: AudioBagReader, encoder: EncoderHalf, decoder: DecoderHalf) -> None:
        """Take an open bag, which is heard once."""
        self._bag, self._decoder = bag, decoder
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
        queue = ChunkQueue(max_chunks=1)
        loop = ListeningLoop(queue, make_session(self._decoder), self._decoder)
        for chunk in self._encode():
            queue.push(chunk)
            yield from loop.run_until_idle()

    def _encode(self) -> Iterator[EncodedChunk]:
        malformed = 0
        for message in self._bag.read():
            if self._bag.malformed > malformed:
                self._ingest.note_loss()
            try:
                samples = message.pcm.decode(message.data)
            except AudioFormatError as error:
                self._ingest.note_loss(message.pcm.seconds_of(len(message.data)))
                self._bag.reject(str(error))
            else:
                try:
                    yield from self._ingest.push(samples, message.pcm, message.stamp_ns, message.recorded_ns)
                except AudioFormatError as error:  # the ingest has counted it
                    self._bag.reject(str(error))
            if (fault := self._ingest.fault) is not None:
                self.faults.setdefault(fault.kind, fault)
            malformed = self._bag.malformed
        yield from self._ingest.finish()


def hear_bag(bag: AudioBagReader, encoder: EncoderHalf, decoder: DecoderHalf) -> Iterator[Decision | Response]:
    """Yield every decision and response to a bag, as `BagListener.hear` does."""
    return BagListener(bag, encoder, decoder).hear()
