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
from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.model.precision import open_encoder
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import nanoseconds_of
from audio_interaction_ros.nodes.parameters import ChunkEncoderParameters
from audio_interaction_ros.nodes.sound import SoundSubscription
from audio_interaction_ros.streaming.ingest import AudioIngest

_POLL_S = 0.2


class ChunkEncoderNode(ManagedNode[ChunkEncoderParameters]):
    """Messages wait in a bounded queue until their format is known; a worker thread encodes them."""

    NAME = 'chunk_encoder'

    def setup(self) -> None:
        given = self.parameters
        torch.set_num_threads(given.threads)
        self._half = open_encoder(given.checkpoint, given.device, given.precision)
        with torch.inference_mode():
            self._half.encoder(torch.zeros(CHUNK_SAMPLES))  # the first pass is slow: not with the first chunk
        self._messages: BoundedQueue[Any] = BoundedQueue(given.queue_max_messages)
        self._publisher = self.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._forgetting = Event()
        self._listening = Listening(self, self._forget)
        self._sound = SoundSubscription(self, given, self._on_audio)

    def start(self) -> None:
        self._ingest = AudioIngest(self._half, first_stream_id=time.time_ns())
        self.work(self._encode_until)

    def stop(self) -> None:
        self._messages.flush()

    def measurements(self) -> Mapping[str, object]:
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
                why = 'no audio_info has come and sample_rate is not set; publish audio_info or set sample_rate'
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
        try:
            samples, pcm = self._sound.read(message)
            for chunk in self._ingest.push(samples, pcm, nanoseconds_of(message.header.stamp)):
                self._publisher.publish(embedding_message(chunk, self._half.digest, message.header.frame_id))
                self.diagnostics.computed(time.monotonic() - started)
                started = time.monotonic()
        except AudioFormatError as error:
            self._ingest.note_loss()
            self.diagnostics.trouble('refused_messages', f'audio refused: {error}')


def main(args: list[str] | None = None) -> int:
    return run(args, ChunkEncoderNode)


if __name__ == '__main__':
    sys.exit(main())
