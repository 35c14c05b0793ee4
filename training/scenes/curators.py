"""Curators plan, audit and review by a chat model where one is configured, with the rules behind it, else by the rules.

A model that cannot give a usable answer is replaced by the rules for that once, and that is noted. A server that cannot
be reached is another matter: it ends the build, which goes on later with the answers so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from training.llm import LlmAnswerError, LlmClient
from training.procedural.registry import CRITERION_OF
from training.scenes.audit import Audit, LlmAuditor, RuleAuditor, SilenceAuditor
from training.scenes.grammar import Grammar
from training.scenes.planner import BAG, LlmPlanner, Planner
from training.scenes.review import HistoryQuestion, HistoryReviewer, LlmReviewer, Round, TemplateReviewer
from training.scenes.scenario import ClipInfo, Refinement, Scenario, Verdict
from training.scenes.verifier import Candidate, LlmVerifier, RuleVerifier, Verifier

T = TypeVar('T')


class Curators:
    """`Curators` plan scenes, audit sounds and ask review questions, by a chat model or by rules.

    Each method adds to `notes` when a model had to be replaced. Raises LlmError where a server cannot be reached.
    """

    def __init__(
        self, client: LlmClient | None = None, annotations: Sequence[str] = (), verifies: bool = False
    ) -> None:
        """Without a `client`, use the rules alone.

        `annotations` are captions to plan scenes from; where there are few of them the grammar plans. `verifies`:
        whether the client judges candidates too.
        """
        self.grammar = Grammar()
        self.rules = RuleAuditor(CRITERION_OF)
        self._templates = TemplateReviewer()
        self._planner: Planner = self.grammar
        self._auditor: SilenceAuditor = self.rules
        self._reviewer: HistoryReviewer = self._templates
        self._rule_verifier = RuleVerifier(self.grammar)
        self._verifier: Verifier = LlmVerifier(client) if client is not None and verifies else self._rule_verifier
        if client is not None:
            self._auditor, self._reviewer = LlmAuditor(client), LlmReviewer(client)
            if len(set(annotations)) >= BAG[1]:
                self._planner = LlmPlanner(client, annotations)

    def scene(self, rng: np.random.Generator, notes: list[str]) -> tuple[Scenario, Sequence[Refinement]]:
        """Return a scene, and one refinement for each of its sub-events."""

        def plan(planner: Planner) -> tuple[Scenario, Sequence[Refinement]]:
            planned = planner.plan(rng)
            scenario = planned[int(rng.integers(len(planned)))]
            return scenario, planner.refine(scenario)

        return _first(lambda: plan(self._planner), lambda: plan(self.grammar), 'the grammar planned', notes)

    def audit(self, clip: ClipInfo, scenario: str, adjacent: tuple[str, str], notes: list[str]) -> Audit:
        """Return the audit of a sound that is mixed in: whether it deserves silence."""
        return _first(
            lambda: self._auditor.audit(clip, scenario, adjacent),
            lambda: self.rules.audit(clip, scenario, adjacent),
            'the rules audited',
            notes,
        )

    def verify(self, candidate: Candidate) -> Verdict:
        """Return the verdict on a candidate; it is signed, by the rules where the model had no usable answer."""
        return _first(
            lambda: self._verifier.verify(candidate),
            lambda: self._rule_verifier.verify(candidate),
            'the rules verified',
            [],
        )

    def question(self, rounds: Sequence[Round], rng: np.random.Generator, notes: list[str]) -> HistoryQuestion | None:
        """Return a question about what was long ago, or None where nothing lends itself."""
        return _first(
            lambda: self._reviewer.question(rounds, rng),
            lambda: self._templates.question(rounds, rng),
            'templates asked',
            notes,
        )


def _first(model: Callable[[], T], rules: Callable[[], T], instead: str, notes: list[str]) -> T:
    try:
        return model()
    except LlmAnswerError as error:
        notes.append(f'{instead}: {error}')
        return rules()
