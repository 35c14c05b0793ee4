"""chunk_encoder: audio of any rate and format → the encoder's vectors for every 400 ms, on ai/embeddings."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from threading import Event
from typing import Any

import torch

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.bounded import BoundedQueue
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.model.precision import open_encoder
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.parameters import ChunkEncoderParameters
from audio_interaction_ros.nodes.sound import NO_FORMAT, SoundSubscription
from audio_interaction_ros.streaming.ingest import AudioIngest

_POLL_S = 0.2


class ChunkEncoderNode(ManagedNode[ChunkEncoderParameters]):
    """A `ChunkEncoderNode` encodes, in a thread, the messages of a bounded queue.

    They wait there until their format is known.
    """

    NAME = 'chunk_encoder'

    def setup(self) -> None:
        """Load the encoder and listen to the sound."""
        given = self.parameters
        torch.set_num_threads(given.threads)
        self._half = open_encoder(given.checkpoint, given.device, given.precision)
        with torch.inference_mode():
            self._half.encoder(torch.zeros(CHUNK_SAMPLES))  # the first pass is slow: not with the first chunk
        self._messages: BoundedQueue[Any] = BoundedQueue(given.queue_max_messages)
        self._publisher = self.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._frequency = self.diagnostics.frequency_of('ai/embeddings')
        self._forgetting = Event()
        self._listening = Listening(self, self._forget)
        self._sound = SoundSubscription(self, given, self._on_audio)

    def start(self) -> None:
        """Begin a new stream."""
        self._ingest = AudioIngest(self._half, first_stream_id=time.time_ns())
        self.work(self._encode_until)

    def stop(self) -> None:
        """Drop what waits: it is old when the node is activated again."""
        self._messages.flush()

    def teardown(self) -> None:
        """Let go of the model, or the next one would have to fit beside it."""
        self.let_go('_half', '_ingest')

    def hardware_id(self) -> str:
        """Return where the model computes."""
        return self.parameters.device

    def measurements(self) -> Mapping[str, object]:
        """Return the length of the queue, and how many streams and gaps there were."""
        return {'queue_depth': len(self._messages), 'streams': self._ingest.streams, 'gaps': self._ingest.gaps}

    def _forget(self) -> None:
        """A pause is the end of a stream, however short: nothing of before it is answered after it."""
        self._messages.flush()
        self._forgetting.set()

    def _on_audio(self, message: Any) -> None:
        if not self._listening.on:
            return
        if not self._messages.put(message):
            self._ingest.note_loss()
            why = 'audio comes faster than it is encoded; use a faster machine or a smaller checkpoint'
            if not self._sound.described.is_set():
                why = NO_FORMAT
            self.diagnostics.trouble('dropped_messages', f'audio dropped: {why}')

    def _encode_until(self, stop: Event) -> None:
        while not stop.is_set():
            if not self._sound.described.wait(_POLL_S):
                continue
            message = self._messages.get(_POLL_S)
            if self._forgetting.is_set():
                self._forgetting.clear()
                self._ingest.end_stream()
            if message is not None:
                self._encode(message)

    def _encode(self, message: Any) -> None:
        started = time.monotonic()

        def publish(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> None:
            nonlocal started
            for chunk in self._ingest.push(samples, pcm, stamp_ns):
                self._publisher.publish(embedding_message(chunk, self._half.digest, message.header.frame_id))
                self._frequency.tick()
                self.diagnostics.computed(time.monotonic() - started)
                started = time.monotonic()

        self._sound.take(message, publish, self._ingest.note_loss)


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, ChunkEncoderNode)


if __name__ == '__main__':
    sys.exit(main())
