"""The directory that the runtime reads, made of a network in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.change import GOLDEN
from audio_interaction_ros.model.checkpoint import StreamingDefaults, save_checkpoint
from audio_interaction_ros.model.deciding import EventClasses
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.golden import Golden
from audio_interaction_ros.model.network import EventHead
from audio_interaction_ros.model.protocol import Protocol
from training.clips.answers import load_answers
from training.clips.store import ClipStore, of_split
from training.recipe import TrainingRecipe
from training.sources.clip_library import write_attributions
from training.stages.change import Bases, take_assembled, write_change
from training.stages.deciding import Deciding
from training.stages.low_rank import add_updates, merge_updates
from training.stages.model import StreamModel, build
from training.stages.preparation import Files


def event_classes(names: Sequence[str]) -> EventClasses:
    """Return the classes of the event head; answers.yaml says which call for an urgent warning or another remark."""
    answered = {name: answer.emotion for name, answer in load_answers().items() if name in names}
    return EventClasses(
        names=tuple(names),
        warnings=tuple(name for name in names if answered.get(name) == 'urgent'),
        remarks=tuple(name for name in names if answered.get(name, 'urgent') != 'urgent'),
    )


@dataclass(frozen=True)
class Export:
    """An `Export` writes checkpoint directories; it holds what a network in training lacks for one.

    `longest`: chunks of the longest stream of the corpus.
    """

    recipe: TrainingRecipe
    files: Files
    logmel: CausalLogMel
    tokenizer: Tokenizer
    protocol: Protocol
    events: EventClasses
    longest: int

    def write(
        self,
        out: Path,
        model: StreamModel,
        deciding: Deciding,
        bases: Bases | None = None,
        event_head: EventHead | None = None,
    ) -> None:
        """Write the network as it is; given `bases`, what it changed of them too. The network itself stays as it is."""
        recipe, defaults = self.recipe, self._defaults(deciding)
        merged = self._merged(model)
        encoder = ChunkEncoder(recipe.audio.config(), self.logmel.normalisation)
        encoder.audio_tower = merged.audio_tower
        head = None if event_head is None else (self.events, event_head)
        folders = [out]
        if bases is not None:
            folders.append(out / 'change')
            assembly = write_change(
                folders[1],
                recipe,
                self.files.recipe,
                model,
                bases,
                self.logmel.normalisation,
                self.tokenizer,
                self.protocol,
                defaults,
                head,
            )
            take_assembled(merged, assembly)
        save_checkpoint(
            out,
            encoder,
            merged.language_model,
            recipe.text.config(self.tokenizer.get_vocab_size()),
            self.tokenizer,
            self.protocol,
            defaults,
            self.files.recipe,
            head,
            torch.float16 if recipe.weights == 'float16' else None,
        )
        if bases is not None:
            Golden.of(out).save(folders[1] / GOLDEN)
        library = self.files.corpus / 'library' / 'clips'
        for folder in folders if library.is_dir() else []:
            write_attributions(of_split(ClipStore(library).clips, 'train'), folder / 'ATTRIBUTIONS.csv')

    def _defaults(self, deciding: Deciding) -> StreamingDefaults:
        return StreamingDefaults(
            instruction=self.recipe.instruction, max_context_chunks=max(4, self.longest), **deciding.model_dump()
        )

    def _merged(self, model: StreamModel) -> StreamModel:
        """The same network without low-rank updates: a new one where it has some, for they go on learning."""
        if not self.recipe.low_rank.parts:
            return model
        merged = build(self.recipe, self.tokenizer.get_vocab_size(), len(self.events.names))
        add_updates(merged, self.recipe.low_rank)
        merged.load_state_dict(model.state_dict())
        merge_updates(merged)
        return merged
