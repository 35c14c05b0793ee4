"""The audit says whether a sound that nobody asked about should be answered (paper §3.3, B.2, Figure 15 B).

The default is silence. What is borderline is thrown away: a lost clip costs less than a wrong label.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar, Protocol

from pydantic import model_validator

from training.llm import LlmClient
from training.scenes.prompts import fill
from training.scenes.scenario import ClipInfo, Product


class Label(str, enum.Enum):
    """A `Label` says what to do about a sound; a borderline one is discarded."""

    SILENT = 'silent'
    RESPOND = 'respond'
    BORDERLINE = 'borderline'


class Criterion(str, enum.Enum):
    """A `Criterion` is why a sound deserves an answer; there are these four and no other reason."""

    DISTRESS = 'i'
    NATURE = 'ii'
    EQUIPMENT = 'iii'
    SIGNAL = 'iv'
    NONE = 'none'


class Audit(Product):
    """An `Audit` is the label of one clip in its scene, with the criterion met and the reason."""

    label: Label
    triggered_criterion: Criterion
    reason: str

    @model_validator(mode='after')
    def _label_and_criterion_agree(self) -> Audit:
        if self.label is not Label.BORDERLINE and (self.label is Label.RESPOND) is (
            self.triggered_criterion is Criterion.NONE
        ):
            raise ValueError('respond needs a criterion i to iv, and silent has the criterion none')
        return self


class SilenceAuditor(Protocol):
    """A `SilenceAuditor` labels a clip that is heard between two others."""

    def audit(self, clip: ClipInfo, scenario: str = '', adjacent: tuple[str, str] = ('', '')) -> Audit:
        """Return the label of `clip` in a scene.

        `adjacent` are the names of the events before and after it, empty at the ends.
        """


class LlmAuditor:
    """An `LlmAuditor` asks a chat model, which judges by the caption alone, as Figure 15 B has it."""

    stand_in: ClassVar[bool] = False

    def __init__(self, client: LlmClient) -> None:
        self._client = client

    def audit(self, clip: ClipInfo, scenario: str = '', adjacent: tuple[str, str] = ('', '')) -> Audit:
        """Return the chat model's label of `clip` between its `adjacent` events. Raises LlmError."""
        prompt = fill('silence_audit', scenario=scenario, caption=clip.caption or clip.category, adjacent=adjacent)
        return self._client.ask(prompt, Audit).signed(self._client.made_by)


class RuleAuditor:
    """A `RuleAuditor` labels by the clip's own label and the criterion of its category; if they disagree, borderline.

    `criteria` maps a category to its criterion, as `procedural.registry.CRITERION_OF` does; a category without one
    stays silent.
    """

    stand_in: ClassVar[bool] = True

    def __init__(self, criteria: Mapping[str, str]) -> None:
        self._criteria = {category: Criterion(criterion) for category, criterion in criteria.items()}

    def audit(self, clip: ClipInfo, scenario: str = '', adjacent: tuple[str, str] = ('', '')) -> Audit:
        """Return the label that the rules give to `clip`, signed 'rules'.

        Scene and neighbours play no part: rules do not know what a scene makes of a sound.
        """
        criterion = self._criteria.get(clip.category, Criterion.NONE)
        hazard = criterion is not Criterion.NONE
        if clip.respond is not hazard:
            said = {True: 'asks for an answer', False: 'asks for silence', None: 'leaves it open'}[clip.respond]
            met = f'meets criterion {criterion.value}' if hazard else 'meets no criterion'
            reason = f'The label {said}, and the category {clip.category} {met}.'
            return Audit(label=Label.BORDERLINE, triggered_criterion=criterion, reason=reason, made_by='rules')
        if hazard:
            reason = f'The category {clip.category} meets criterion {criterion.value}.'
            return Audit(label=Label.RESPOND, triggered_criterion=criterion, reason=reason, made_by='rules')
        reason = f'The category {clip.category} meets none of the criteria i to iv.'
        return Audit(label=Label.SILENT, triggered_criterion=Criterion.NONE, reason=reason, made_by='rules')
