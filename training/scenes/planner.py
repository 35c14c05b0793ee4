"""The planner has a chat model plan and refine scenes (paper §3.2 i and ii, Figure 13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, Field, create_model

from training.llm import LlmClient
from training.scenes.prompts import fill
from training.scenes.scenario import Refinement, Scenario

BAG = (4, 9)  # annotations that a scene starts from, both included


class Planner(Protocol):
    """A `Planner` invents scenes and says how to find their sounds.

    It is `LlmPlanner`, or `grammar.Grammar` without a model.
    """

    def plan(self, rng: np.random.Generator) -> Sequence[Scenario]:
        """Return one scene, or two where the sounds drawn cannot share one."""

    def refine(self, scenario: Scenario) -> Sequence[Refinement]:
        """Return one refinement for each sub-event, in order."""


class PlannedScenes(BaseModel):
    """`PlannedScenes` are what the planner is asked for: one scene, or two."""

    scenes: list[Scenario] = Field(min_length=1, max_length=2)


class LlmPlanner:
    """An `LlmPlanner` asks a chat model to plan around a bag of annotations.

    They are drawn at random from `annotations`, such as a library's captions.
    """

    stand_in: ClassVar[bool] = False

    def __init__(self, client: LlmClient, annotations: Sequence[str]) -> None:
        """Keep the client and the different annotations. Raises ValueError for fewer of them than a bag holds."""
        self._client = client
        self._annotations = sorted(set(annotations))
        if len(self._annotations) < BAG[1]:
            raise ValueError(
                f'{len(self._annotations)} different annotations; a planner draws up to {BAG[1]}, give more captions'
            )

    def plan(self, rng: np.random.Generator) -> list[Scenario]:
        """Return the one or two scenes that the chat model makes of a bag of annotations. Raises LlmError."""
        size = int(rng.integers(BAG[0], BAG[1] + 1))
        bag = [self._annotations[i] for i in rng.choice(len(self._annotations), size, replace=False)]
        planned = self._client.ask(fill('planner', annotations=bag), PlannedScenes)
        return [scene.signed(self._client.made_by) for scene in planned.scenes]

    def refine(self, scenario: Scenario) -> list[Refinement]:
        """Return the chat model's refinement of each sub-event, in order. Raises LlmError."""
        count = len(scenario.sub_events)
        # The number of refinements stands in the schema, so a missing one is asked for again like any other mistake.
        aligned = Annotated[list[Refinement], Field(min_length=count, max_length=count)]
        answer = create_model('Refinements', refinements=(aligned, ...))
        events = [event.model_dump(mode='json') for event in scenario.sub_events]
        prompt = fill('refiner', scenario=scenario.description, sub_events=events)
        refined: list[Refinement] = getattr(self._client.ask(prompt, answer), 'refinements')  # noqa: B009
        return [refinement.signed(self._client.made_by) for refinement in refined]
