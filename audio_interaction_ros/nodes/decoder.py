"""decoder: vectors → decisions and responses, on ai/decision, ai/response and ai/response_text."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from threading import Event

import torch

from audio_interaction_ros.model.graphs import make_engine
from audio_interaction_ros.model.precision import open_decoder
from audio_interaction_ros.nodes.ear import Ear
from audio_interaction_ros.nodes.embeddings import EmbeddingSpec
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.streaming.brain import Brain
from audio_interaction_ros.streaming.loop import Decision, Response, make_session

_POLL_S = 0.2


class DecoderNode(ManagedNode[DecoderParameters]):
    """Callbacks only queue chunks; a worker thread runs the listening loops and publishes what they say."""

    NAME = 'decoder'

    def setup(self) -> None:
        given = self.parameters
        torch.set_num_threads(given.threads)
        half = open_decoder(given.checkpoint, given.device, given.precision)
        spec = EmbeddingSpec(half.config.encoder_digest, half.language_model.config.hidden_size)
        # Of both halves, as evidence of who said something: the encoder's digest, and one of the language model.
        digest = f'{spec.encoder_digest}-{half.digest}'
        self._engine = make_engine(half.language_model, len(given.sources), given.graphs)
        self._something = Event()
        self._ears: dict[str, Ear] = {}
        for source in given.sources:
            session = make_session(
                half,
                instruction=given.instruction or None,
                engine=self._engine,
                max_response_tokens=given.max_response_tokens,
                seed=given.seed,
            )
            self._ears[source] = Ear(self, source, half, session, spec, digest, self._something.set)
        session.drain([torch.zeros(10, spec.dim)])  # the first pass is slow: not with the first chunk

    def start(self) -> None:
        self._brain = Brain(self._engine, {source: ear.start() for source, ear in self._ears.items()})
        self.work(self._listen_until)

    def apply(self) -> None:
        if self.active:
            for ear in self._ears.values():
                ear.apply()

    def stop(self) -> None:
        for ear in self._ears.values():
            ear.queue.flush()

    def measurements(self) -> Mapping[str, object]:
        ears = self._ears.values()
        return {
            'queue_depth': max(len(ear.queue) for ear in ears),
            'dropped_chunks': sum(ear.queue.dropped for ear in ears),
            'chunks_lost': sum(ear.chunks_lost for ear in ears),
            'context_chunks': max(ear.session.context_chunks for ear in ears),
            'context_compactions': sum(ear.session.compactions for ear in ears),
        }

    def _listen_until(self, stop: Event) -> None:
        while not stop.is_set():
            self._something.clear()
            try:
                emitted: list[tuple[str, Decision | Response]] = []
                for source, ear in self._ears.items():
                    if cut_short := ear.cut_short():
                        emitted.append((source, cut_short))
                emitted += self._brain.round().items()
            except Exception:
                # A model that fails once may work again; the sessions' caches may be half-written.
                for ear in self._ears.values():
                    ear.session.reset()
                self.diagnostics.trouble(
                    'model_failures', f'the model failed, context dropped: {traceback.format_exc()}'
                )
                continue
            for source, event in emitted:
                self._ears[source].publish(event)
            if not emitted:
                self._something.wait(_POLL_S)


def main(args: list[str] | None = None) -> int:
    return run(args, DecoderNode)


if __name__ == '__main__':
    sys.exit(main())
