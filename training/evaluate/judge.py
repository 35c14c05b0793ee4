"""A language model as judge of what was said (ProVoice-Bench §3.2: 0, 0.5 or 1). Asked only when one is configured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from training.evaluate import EvaluationError
from training.evaluate.trials import share
from training.llm import LlmClient, LlmError, LlmSettings
from training.scenes.prompts import fill


class Judgement(BaseModel):
    """A `Judgement` is the judgement on one answer: 0 is wrong, 0.5 partly right, 1 right."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    reason: str = Field(description='why the answer has this score, in one sentence')
    score: float = Field(description='0: wrong, 0.5: partly right, 1: right', json_schema_extra={'enum': [0, 0.5, 1]})

    @field_validator('score')
    @classmethod
    def _of_three(cls, score: float) -> float:
        if score not in (0.0, 0.5, 1.0):
            raise ValueError('give 0, 0.5 or 1')
        return score


class Judge:
    """A `Judge` compares an answer with the references, in the light of what was heard."""

    def __init__(self, client: LlmClient) -> None:
        self._client = client

    @property
    def made_by(self) -> str:
        """Return the name of the model that judges."""
        return self._client.made_by

    def mean(self, scores: Sequence[float], units: Sequence[str], seed: int) -> dict[str, Any]:
        """Return the mean of scores that this judge gave: {mean_score, of, confidence_95, made_by}.

        A bootstrap draws whole `units`, of which there is one for each score.
        """
        found = share(scores, units, seed)
        return {'mean_score': found.pop('share'), **found, 'made_by': self.made_by}

    def score(self, heard: str, references: tuple[str, ...], said: str) -> float:
        """Return 0, 0.5 or 1 for an answer. Raises LlmError when the model gives no usable verdict."""
        prompt = fill('judge', heard=heard, references=references, said=said)
        return self._client.ask(prompt, Judgement).score


def load_judge(path: Path) -> Judge:
    """Load the judge that a YAML file with the fields of LlmSettings describes.

    Raises EvaluationError for an unusable file, or LlmError where the key is missing.
    """
    try:
        return Judge(LlmClient(LlmSettings.model_validate(yaml.safe_load(path.read_text()))))
    except LlmError:
        raise
    except Exception as error:  # what a YAML reader makes of a file that is none is anything
        raise EvaluationError(
            f"'{path}' does not describe a language model ({' '.join(str(error).split())}); see docs/evaluation.md"
        ) from error
