"""A recipe names the parts of event selection: who retrieves, who verifies, who generates (paper §3.2, B.1, B.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audio_interaction_ros.audio.formats import Samples
from training.scenes.generation import (
    AudioXGenerator,
    ElevenLabsGenerator,
    EventGenerator,
    Generated,
    GenerationError,
    ProceduralGenerator,
)
from training.scenes.retrieval import ClapRetriever, Retriever, TextIndex
from training.scenes.scenario import ClipInfo

GeneratorName = Literal['audiox', 'elevenlabs', 'procedural']


class SelectionSettings(BaseModel):
    """`SelectionSettings` name the parts of event selection; the defaults ground scenes by words and rules alone."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    retrieval: Literal['text', 'clap'] = Field(
        default='text', description='text: words against captions; clap: words against what clips sound like'
    )
    clap: Path = Field(default=Path('parts/clap'), description="folder of a CLAP in transformers' layout")
    verifier: Literal['rules', 'llm'] = Field(default='rules', description='llm: the chat model of `llm` (Figure 14)')
    generators: tuple[GeneratorName, ...] = Field(
        default=(), description='asked in this order for what no clip fits; none: it is dropped'
    )
    audiox_url: str = Field(default='', description='address that a running AudioX takes a caption at')
    accepted: bool = Field(
        default=False,
        description='the verifier judges a sound as it would be mixed, and exactly what it accepted is mixed; false: '
        'it judges the whole clip, of which the beginning is mixed',
    )

    @model_validator(mode='after')
    def _generators_have_what_they_need(self) -> SelectionSettings:
        if self.generators and not self.accepted:
            raise ValueError('generators make sounds that only accepted: true mixes; set it, or name no generators')
        if 'audiox' in self.generators and not self.audiox_url:
            raise ValueError('the generator audiox has no audiox_url; give the address of a running server')
        return self


class FirstGenerator:
    """A `FirstGenerator` asks several generators in turn, until one makes a sound."""

    def __init__(self, generators: Sequence[EventGenerator]) -> None:
        self._generators = generators

    def generate(self, caption: str, duration_s: float, rng: np.random.Generator) -> Generated:
        """Return the first sound that one makes. Raises GenerationError, with what each of them said."""
        said = []
        for generator in self._generators:
            try:
                return generator.generate(caption, duration_s, rng)
            except GenerationError as error:
                said.append(str(error))
        raise GenerationError(' / '.join(said))


def make_retriever(
    settings: SelectionSettings, clips: Sequence[ClipInfo], read: Callable[[ClipInfo], Samples]
) -> Retriever:
    """Return the retriever of a recipe over `clips`, whose samples `read` gives, float32 [n] at 16 kHz."""
    return ClapRetriever(clips, read, settings.clap) if settings.retrieval == 'clap' else TextIndex(clips)


def make_generator(settings: SelectionSettings) -> EventGenerator | None:
    """Return the generator of a recipe, None where it names none."""
    makers: dict[GeneratorName, Callable[[], EventGenerator]] = {
        'audiox': lambda: AudioXGenerator(settings.audiox_url),
        'elevenlabs': ElevenLabsGenerator,
        'procedural': ProceduralGenerator,
    }
    made = [makers[name]() for name in settings.generators]
    return FirstGenerator(made) if made else None
