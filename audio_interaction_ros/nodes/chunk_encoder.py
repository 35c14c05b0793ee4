"""chunk_encoder: audio of any rate and format → the encoder's vectors for every 400 ms, on ai/embeddings."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from threading import Event
from typing import Any

import torch

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.bounded import BoundedQueue
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.model.precision import open_encoder
from audio_interaction_ros.msg import AudioEmbedding
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.embeddings import embedding_message
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.parameters import ChunkEncoderParameters
from audio_interaction_ros.nodes.sound import NO_FORMAT, SoundSubscription
from audio_interaction_ros.streaming.ingest import AudioIngest
from audio_interaction_ros.streaming.lateness import DRIFTS, LATE_S, Drift

_POLL_S = 0.2
_OF_NEWEST = 0.2  # in the usual time of encoding
_TOO_BUSY = 0.9


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
        self._messages: BoundedQueue[tuple[Any, int]] = BoundedQueue(given.queue_max_messages)
        self._publisher = self.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._frequency = self.diagnostics.frequency_of('ai/embeddings')
        self._forgetting = Event()
        self._listening = Listening(self, self._forget)
        self._sound = SoundSubscription(self, given, self._on_audio, reports_levels=True)

    def start(self) -> None:
        """Begin a new stream."""
        self._ingest = AudioIngest(self._half, time.time_ns(), self.parameters.high_pass_hz)
        self._drift, self._usually_s = Drift(), 0.0
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
        """Return the length of the queue, the streams and gaps, what was heard and lost, and how loud it is."""
        lost = {f'lost_s_{cause}': f'{samples / SAMPLE_RATE_HZ:.2f}' for cause, samples in self._ingest.lost.items()}
        measured = self._sound.levels.levels
        levels = {name: f'{value:.4g}' for name, value in asdict(measured).items()} if measured else {}
        return {
            'queue_depth': len(self._messages),
            'streams': self._ingest.streams,
            'gaps': self._ingest.gaps,
            'heard_s': f'{self._ingest.heard / SAMPLE_RATE_HZ:.1f}',
            **lost,
            **levels,
        }

    def _forget(self) -> None:
        """A pause is the end of a stream, however short: nothing of before it is answered after it."""
        self._messages.flush()
        self._forgetting.set()

    def _on_audio(self, message: Any) -> None:
        if not self._listening.on:
            return
        if not self._messages.put((message, time.monotonic_ns())):
            self._ingest.note_loss()
            why = 'audio comes faster than it is encoded; use a faster machine or a smaller checkpoint'
            if not self._sound.described.is_set():
                why = NO_FORMAT
            self.diagnostics.trouble('dropped_messages', f'audio dropped: {why}')

    def _encode_until(self, stop: Event) -> None:
        while not stop.is_set():
            if not self._sound.described.wait(_POLL_S):
                continue
            queued = self._messages.get(_POLL_S)
            if self._forgetting.is_set():
                self._forgetting.clear()
                self._ingest.end_stream()
            if queued is not None:
                self._encode(*queued)

    def _encode(self, message: Any, arrived_ns: int) -> None:
        started = time.monotonic()
        waited_s = started - arrived_ns / NS_PER_S

        def publish(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> None:
            nonlocal started
            for chunk in self._ingest.push(samples, pcm, stamp_ns, arrived_ns):
                self._publisher.publish(embedding_message(chunk, self._half.digest, message.header.frame_id))
                self._frequency.tick()
                took_s = time.monotonic() - started
                self.diagnostics.computed(took_s)
                self._usually_s += _OF_NEWEST * (took_s - self._usually_s)
                started += took_s
            self._drift.told(stamp_ns, arrived_ns / NS_PER_S)

        self._sound.take(message, publish, self._ingest)
        self.diagnostics.condition('waiting', self._why_it_waits(waited_s) if waited_s > LATE_S else '')
        slow_s = self._drift.slow_s
        self.diagnostics.condition('drift', _of_drift(slow_s) if abs(slow_s) > DRIFTS else '')

    def _why_it_waits(self, waited_s: float) -> str:
        if self._usually_s > CHUNK_S * _TOO_BUSY:
            return (
                f'encoding takes {self._usually_s * 1e3:.0f} ms for {CHUNK_S * 1e3:.0f} ms of sound, so sound waits '
                f'{waited_s:.1f} s and ever longer; use a faster machine, a smaller checkpoint or another device'
            )
        return f'sound waited {waited_s:.1f} s to be encoded, because this process stood still; it catches up'


def _of_drift(slow_s: float) -> str:
    return (
        f'stamps {"fall behind" if slow_s > 0 else "run ahead of"} the clock of this computer by '
        f'{abs(slow_s) * 60e3:.0f} ms a minute: the audio driver counts the samples of a sound card whose clock is '
        f'{abs(slow_s) * 1e6:.0f} ppm {"fast" if slow_s < 0 else "slow"}; nothing is lost, but latencies come '
        'out wrong: let the driver follow the clock of the computer, as audio_capture does'
    )


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, ChunkEncoderNode)


if __name__ == '__main__':
    sys.exit(main())
