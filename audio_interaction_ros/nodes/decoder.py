"""decoder: vectors → decisions and responses, on ai/decision and ai/response; answers to questions, on ai/answer."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from types import MappingProxyType

import torch

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.graphs import make_engine
from audio_interaction_ros.model.precision import open_decoder
from audio_interaction_ros.nodes.embedding_source import EmbeddingSource
from audio_interaction_ros.nodes.embeddings import EmbeddingSpec
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.parameters import DecoderParameters
from audio_interaction_ros.nodes.told_topics import measurements_of
from audio_interaction_ros.streaming.asking import Questions, Reply
from audio_interaction_ros.streaming.brain import Brain, ModelFailure
from audio_interaction_ros.streaming.context import ToldError
from audio_interaction_ros.streaming.loop import make_session
from audio_interaction_ros.tool_use.declared import Tools
from audio_interaction_ros.tool_use.writing import CallWriter, Vocabulary

_POLL_S = 0.2


class DecoderNode(ManagedNode[DecoderParameters]):
    """A `DecoderNode` runs the listening loops in a thread and publishes what they say; callbacks only queue chunks."""

    NAME = 'decoder'
    _sources: Mapping[str, EmbeddingSource] = MappingProxyType({})
    _questions: Questions | None = None

    def setup(self) -> None:
        """Load the language model and make a session and topics for every source."""
        given = self.parameters
        torch.set_num_threads(given.threads)
        half = open_decoder(given.checkpoint, given.device, given.precision)
        spec = EmbeddingSpec(half.config.encoder_digest, half.language_model.config.hidden_size)
        # Of both halves, as evidence of who said something: the encoder's digest, and one of the language model.
        digest = f'{spec.encoder_digest}-{half.digest}'
        self._engine = make_engine(half.language_model, len(given.sources), given.graphs)
        # Their sessions come and go, and a pool of graphs has a place for each source only.
        self._questions = Questions(half, given.max_questions, given.max_question_s, Engine(half.language_model))
        tools = Tools.load(Path(given.tools_file)) if given.tools_file else None
        vocabulary = Vocabulary(half.tokenizer) if tools else None
        self._something = Event()
        sources: dict[str, EmbeddingSource] = {}
        for name in given.sources:
            session = make_session(
                half,
                instruction=given.instruction or None,
                engine=self._engine,
                calls=CallWriter(tools, vocabulary) if tools and vocabulary else None,
                max_response_tokens=given.max_response_tokens,
                seed=given.seed,
            )
            sources[name] = EmbeddingSource(
                self, name, half, session, spec, digest, self._questions, self._something.set, tools
            )
        self._sources = sources
        session.drain([torch.zeros(10, spec.dim)])  # the first pass is slow: not with the first chunk

    def start(self) -> None:
        """Listen afresh."""
        self._brain = Brain(self._engine, {name: source.start() for name, source in self._sources.items()})
        self.work(self._listen_until)

    def apply(self) -> None:
        """Take the live parameters, from the next decision on."""
        if self._questions is not None:
            for source in self._sources.values():
                source.apply()
            self._questions.max_s = self.parameters.max_question_s
            self._questions.max_open = self.parameters.max_questions

    def refused(self, parameters: DecoderParameters) -> str:
        """Return why an instruction or a limit does not fit into the context."""
        for source in self._sources.values():
            longest = max(source.session.longest_response, source.session.settings.max_response_tokens)
            if parameters.max_response_tokens > longest:
                return (
                    f'max_response_tokens is {parameters.max_response_tokens}, at most {longest} leave room to listen '
                    'in the context as it is; give less, or clean up the node first'
                )
            try:
                source.told_topics.told.require_fitting(parameters.instruction)
            except ToldError as error:
                return str(error)
        return ''

    def stop(self) -> None:
        """End what is being said and fail the questions that are open."""
        for source in self._sources.values():
            source.stop()
        if self._questions is not None:
            self._questions.fail('the decoder was deactivated; ask again when it is active')
            self._reply_to_ended(self._questions)

    def teardown(self) -> None:
        """Let go of the model, or the next one would have to fit beside it."""
        self._sources, self._questions = {}, None
        self.let_go('_engine', '_brain')

    def hardware_id(self) -> str:
        """Return where the model computes."""
        return self.parameters.device

    def measurements(self) -> Mapping[str, object]:
        """Return the state of the queues and contexts, over all sources."""
        sources = self._sources.values()
        return {
            'queue_depth': max(len(source.queue) for source in sources),
            'dropped_chunks': sum(source.queue.dropped for source in sources),
            'responses_cut_short': sum(source.cut_short_count for source in sources),
            'responses_held_back': sum(source.held_back for source in sources),
            'chunks_lost': sum(source.chunks_lost for source in sources),
            'context_chunks': max(source.session.context_chunks for source in sources),
            'context_compactions': sum(source.session.compactions for source in sources),
            **measurements_of([source.told_topics for source in sources]),
            'tool_calls': sum(source.tool_calls.count for source in sources if source.tool_calls),
            **({} if self._questions is None else self._questions.measurements()),
        }

    def _listen_until(self, stop: Event) -> None:
        questions = self._questions
        assert questions is not None  # made in setup
        while not stop.is_set():
            self._something.clear()
            for source in self._sources.values():
                if cut_short := source.cut_short():
                    source.publish(cut_short)
            try:
                emitted = self._brain.round()
            except ModelFailure as failure:
                # A model that fails once may work again.
                emitted = failure.emitted
                self.diagnostics.trouble(
                    'model_failures',
                    f'the model failed, and goes on without what it heard before; if it fails again, try another '
                    f'device or precision, and report this: {traceback.format_exc()}',
                    len(failure.failed),
                )
            for name, event in emitted.items():
                self._sources[name].publish(event)
            self._reply_to_ended(questions)
            if emitted:
                continue  # decisions come first: a question has the time in which nothing is to be decided or said
            if questions:
                self._reply(questions.advance())
            else:
                self._something.wait(_POLL_S)

    def _reply_to_ended(self, questions: Questions) -> None:
        for reply in questions.ended():
            self._reply(reply)

    def _reply(self, reply: Reply | None) -> None:
        if reply is None:
            return
        if reply.error is not None:
            raised = ''.join(traceback.format_exception(reply.error))
            self.diagnostics.trouble(
                'model_failures', f'the model failed at a question; if it fails again, report this: {raised}'
            )
        self._sources[reply.asked.source].reply(reply)


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, DecoderNode)


if __name__ == '__main__':
    sys.exit(main())
