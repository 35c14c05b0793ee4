"""Recipes: the YAML that makes a checkpoint, checked before hours are spent on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class RecipeError(ValueError):
    """A recipe that cannot work, in one sentence."""


class _Section(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class CorpusSettings(_Section):
    """What streams are made of."""

    clip_variants: int = Field(ge=0, description='altered copies of each recording')
    procedural_renders: int = Field(ge=2, description='renders of each procedural hazard')
    utterances: int = Field(ge=1, description='text-to-speech sentences not addressed to the robot')
    respond_share: float = Field(gt=0, lt=1, description='share of events that deserve an answer')


class Optimisation(_Section):
    """AdamW with linear warm-up and cosine decay."""

    steps: int = Field(ge=1)
    batch: int = Field(ge=1, description='crops or streams a step')
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)


class EncoderStage(Optimisation):
    """Stage 0: the encoder alone, as a classifier of 2-second crops (nothing pretrained is at hand)."""

    mixed_share: float = Field(ge=0, le=1, description='share of between-class mixtures in a batch')


class StreamStage(Optimisation):
    """Streams with the dual loss L = L_LM + λ L_stream (paper §3.3)."""

    train_encoder: bool
    chunks: int = Field(ge=4, description='400 ms chunks a stream')
    stream_weight: float = Field(gt=0, description='λ')
    response_weight: float = Field(gt=0, description='weight of `response` against `silent` in L_stream')
    event_weight: float = Field(ge=0, description='weight of the auxiliary what-is-sounding loss')


class Recipe(_Section):
    """Everything a checkpoint depends on besides the clip library."""

    name: str
    seed: int
    instruction: str
    vocabulary_size: int = Field(ge=300)
    audio: dict[str, Any] = Field(description='Qwen2_5OmniAudioEncoderConfig')
    text: dict[str, Any] = Field(description='Qwen2Config')
    corpus: CorpusSettings
    streams_corpus: dict[str, Any] = Field(default_factory=dict, description='CorpusRecipe, of `corpus build`')
    encoder: EncoderStage
    streams: list[StreamStage] = Field(min_length=1)

    @property
    def max_context_chunks(self) -> int:
        """Longest stream the language model has seen."""
        return max(stage.chunks for stage in self.streams)


def recipe_path(name: str) -> Path:
    """A path, or the name of a recipe in training/recipes."""
    path = Path(name)
    return path if path.suffix else Path(__file__).parent / 'recipes' / f'{name}.yaml'


def load_recipe(path: Path) -> Recipe:
    """Raises RecipeError: what is wrong, and where."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        known = sorted(file.stem for file in (Path(__file__).parent / 'recipes').glob('*.yaml'))
        raise RecipeError(f"no recipe at '{path}'; give a YAML file or one of {known}") from error
    except (ValidationError, yaml.YAMLError) as error:
        raise RecipeError(f"'{path}' is not a usable recipe: {error}") from error
