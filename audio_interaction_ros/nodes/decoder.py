"""decoder: vectors → decisions and responses, on ai/decision, ai/response and ai/response_text."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from threading import Event

import torch

from audio_interaction_ros.model.graphs import make_engine
from audio_interaction_ros.model.precision import open_decoder
from audio_interaction_ros.nodes.embedding_source import EmbeddingSource
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
        self._sources: dict[str, EmbeddingSource] = {}
        for name in given.sources:
            session = make_session(
                half,
                instruction=given.instruction or None,
                engine=self._engine,
                max_response_tokens=given.max_response_tokens,
                seed=given.seed,
            )
            self._sources[name] = EmbeddingSource(self, name, half, session, spec, digest, self._something.set)
        session.drain([torch.zeros(10, spec.dim)])  # the first pass is slow: not with the first chunk

    def start(self) -> None:
        self._brain = Brain(self._engine, {name: source.start() for name, source in self._sources.items()})
        self.work(self._listen_until)

    def apply(self) -> None:
        if self.active:
            for source in self._sources.values():
                source.apply()

    def stop(self) -> None:
        for source in self._sources.values():
            source.queue.flush()

    def measurements(self) -> Mapping[str, object]:
        sources = self._sources.values()
        return {
            'queue_depth': max(len(source.queue) for source in sources),
            'dropped_chunks': sum(source.queue.dropped for source in sources),
            'chunks_lost': sum(source.chunks_lost for source in sources),
            'context_chunks': max(source.session.context_chunks for source in sources),
            'context_compactions': sum(source.session.compactions for source in sources),
        }

    def _listen_until(self, stop: Event) -> None:
        while not stop.is_set():
            self._something.clear()
            try:
                emitted: list[tuple[str, Decision | Response]] = []
                for name, source in self._sources.items():
                    if cut_short := source.cut_short():
                        emitted.append((name, cut_short))
                emitted += self._brain.round().items()
            except Exception:
                # A model that fails once may work again; the sessions' caches may be half-written.
                for source in self._sources.values():
                    source.session.reset()
                self.diagnostics.trouble(
                    'model_failures', f'the model failed, context dropped: {traceback.format_exc()}'
                )
                continue
            for name, event in emitted:
                self._sources[name].publish(event)
            if not emitted:
                self._something.wait(_POLL_S)


def main(args: list[str] | None = None) -> int:
    return run(args, DecoderNode)


if __name__ == '__main__':
    sys.exit(main())
