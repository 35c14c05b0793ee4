"""The `streams_corpus` section of a recipe: what a corpus is to hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.llm import LlmSettings
from training.render.render import Performance
from training.scenes.selection import SelectionSettings
from training.scripts.sampler import MixIns, all_tasks
from training.scripts.script import taxonomy
from training.sources import find_source
from training.sources.base import SourceError
from training.speech.spoken import SpeechSettings


class CorpusRecipe(BaseModel):
    """A `CorpusRecipe` is the `streams_corpus` section of a recipe."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    licences: tuple[str, ...] = Field(
        default=(), description="patterns of what may be trained on, such as [CC0-*, MIT] or ['!*GPL*']; empty: all"
    )
    hours: float = Field(default=2.0, gt=0, description='about so much sound, where `--hours` does not say it')
    stand_ins: Literal['allowed', 'refused'] = Field(
        default='allowed', description="refused: nothing is built with a part that stands in for one of the paper's"
    )
    procedural: Literal['library', 'fallback'] = Field(
        default='library',
        description='library: procedural sounds beside the recordings; fallback: instruments alone, and what a scene '
        'lacks where the selection has the generator procedural',
    )
    renders: int = Field(default=20, ge=10, description='of each procedural sound')
    variants: int = Field(default=0, ge=0, description='altered copies of each recorded sound on the training side')
    quotations: bool = Field(
        default=False,
        description='what the caption of a recorded voice quotes is what it says, and is written down',
    )
    open_texts: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='share of what is dictated, captioned and remarked that is from the source open-texts',
    )
    quotas: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description='most clips or texts of a source, by its name, evenly over its categories'
    )
    shares: dict[str, float] = Field(
        default_factory=dict,
        description='weight of a category, or of a sub-task within it, by name; those not named: 1',
    )
    held_out_share: float = Field(default=0.1, ge=0, lt=0.5, description='of the streams, each for validation and test')
    scenes: Literal['curated', 'random'] = Field(
        default='curated', description='random: sounds of any kind instead, for an ablation of event selection'
    )
    selection: SelectionSettings = SelectionSettings()
    layered: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description='share of the streams without a scene that get the layers of one; 0: only warnings have scenes',
    )
    rounds: tuple[int, int] | None = Field(
        default=None,
        description='fewest and most rounds of a stream, in which abilities follow one another; null: one ability each',
    )
    turns: Literal['even', 'provoice'] = Field(
        default='even', description='pauses between turns: even; or as ProVoice-Bench has them, with overlaps'
    )
    mix_ins: MixIns = MixIns()
    performance: Performance = Performance()
    speech: SpeechSettings = SpeechSettings()
    llm: LlmSettings | None = Field(default=None, description='a chat model that writes, plans, audits and asks')
    fresh_texts: int = Field(default=100, ge=20, description='of each kind, by the chat model')

    @model_validator(mode='after')
    def _known_names(self) -> CorpusRecipe:
        known = sorted({name for category_and_task in all_tasks() for name in category_and_task})
        if unknown := set(self.shares) - set(known):
            raise ValueError(f'shares of unknown names {sorted(unknown)}; there are {known}')
        for source in self.quotas:
            try:
                find_source(source)
            except SourceError as error:
                raise ValueError(f'quotas: {error}') from error
        for category, named in taxonomy().items():
            if not any(self.shares.get(task, 1.0) for task in named):
                raise ValueError(
                    f"every sub-task of '{category}' has the share 0; give '{category}' itself the share 0"
                )
        if self.rounds is not None and not 2 <= self.rounds[0] <= self.rounds[1]:
            raise ValueError(f'rounds {list(self.rounds)}; give at least 2, and no fewer at most than at least')
        if self.selection.verifier == 'llm' and self.llm is None:
            raise ValueError('selection.verifier is llm, and there is no llm; give llm, the chat model that verifies')
        if self.speech.rewriter == 'llm' and self.llm is None:
            raise ValueError('speech.rewriter is llm, and there is no llm; give llm, the chat model that rewrites')
        return self
