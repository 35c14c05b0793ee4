"""A recorded bag through the loop, as a robot that always keeps up would have heard it."""

from __future__ import annotations

from collections.abc import Iterator

from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.streaming.fifo import ChunkQueue, EncodedChunk
from audio_interaction_ros.streaming.ingest import AudioIngest
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session


def hear_bag(bag: AudioBagReader, encoder: EncoderHalf, decoder: DecoderHalf) -> Iterator[Decision | Response]:
    """Yield every decision and response to a bag, one chunk at a time, as on a robot that always keeps up.

    Gaps and new streams come from the stamps, as in the chunk_encoder node; the bag's last chunk is filled
    up with silence, as `listen` does with a file's.
    """
    queue = ChunkQueue(max_chunks=1)
    loop = ListeningLoop(queue, make_session(decoder), decoder)
    for chunk in _encode_bag(bag, encoder):
        queue.push(chunk)
        yield from loop.run_until_idle()


def _encode_bag(bag: AudioBagReader, encoder: EncoderHalf) -> Iterator[EncodedChunk]:
    ingest, malformed = AudioIngest(encoder, first_stream_id=0), 0
    for message in bag.read():
        if bag.malformed > malformed:
            ingest.note_loss()
        try:
            samples = message.pcm.decode(message.data)
            yield from ingest.push(samples, message.pcm, message.stamp_ns)
        except AudioFormatError as error:
            ingest.note_loss()
            bag.reject(str(error))
        malformed = bag.malformed
    yield from ingest.finish()
