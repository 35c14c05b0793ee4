"""These records pass between the stages of curation, and say in `made_by` what made them: model, grammar or rules.

Fields and roles are those of the paper's Figures 13 and 14.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from training.streams import Role

P = TypeVar('P', bound='Product')
SHORTEST_QUERY, LONGEST_QUERY = 4, 12  # words (Figure 14)


class Record(BaseModel):
    """A `Record` is frozen, and refuses a field that was not asked for."""

    model_config = ConfigDict(extra='forbid', frozen=True)


class Product(Record):
    """A `Product` was made by a model or a rule, which `made_by` names.

    No model is asked who it is: whoever asks it signs.
    """

    made_by: SkipJsonSchema[str] = ''

    def signed(self: P, made_by: str) -> P:
        """Return the same product, with its maker."""
        return self.model_copy(update={'made_by': made_by})


class SubEvent(Record):
    """A `SubEvent` is one sound that a scene calls for."""

    name: str = Field(min_length=1)
    role: Role
    rough_duration_s: float = Field(gt=0, le=600)
    brief_description: str


class Relation(str, enum.Enum):
    """A `Relation` is what a constraint demands of two sub-events."""

    PRECEDES = 'precedes'
    APART = 'apart'


class Constraint(Record):
    """A `Constraint` relates two sub-events, by their names.

    `first` comes before `second`, or the two never sound at the same time.
    """

    rule: Relation
    first: str
    second: str


class Scenario(Product):
    """A `Scenario` is one scene: 3 to 15 sounds in order of onset, and what the mix must respect.

    An ambient lies under all of them.
    """

    description: str = Field(description='one sentence that names place and time of day')
    sub_events: tuple[SubEvent, ...] = Field(min_length=3, max_length=15)
    constraints: tuple[Constraint, ...] = ()

    @property
    def foreground_s(self) -> float:
        """Return how long the foreground sounds last, one after another, in seconds."""
        return sum(event.rough_duration_s for event in self.sub_events if event.role is Role.FOREGROUND)

    @model_validator(mode='after')
    def _holds_together(self) -> Scenario:
        order = {event.name: place for place, event in enumerate(self.sub_events)}
        if twice := [name for name, times in Counter(event.name for event in self.sub_events).items() if times > 1]:
            raise ValueError(f'sub-events {twice} share a name; give each its own')
        if not any(event.role is Role.FOREGROUND for event in self.sub_events):
            raise ValueError('no sub-event is foreground; at least one must be')
        beds_s = [event.rough_duration_s for event in self.sub_events if event.role is Role.AMBIENT]
        if max(beds_s, default=0.0) < self.foreground_s - 1e-6:
            raise ValueError(
                f'the foreground lasts {self.foreground_s:.1f} s and the longest ambient {max(beds_s, default=0.0):.1f}'
                ' s; an ambient sub-event must cover the whole scene'
            )
        for constraint in self.constraints:
            if unknown := {constraint.first, constraint.second} - set(order):
                raise ValueError(f'a constraint names {sorted(unknown)}, which are no sub-events')
            if constraint.rule is Relation.PRECEDES and order[constraint.first] >= order[constraint.second]:
                raise ValueError(f'{constraint.first} must precede {constraint.second}, and is listed after it')
        return self


class Refinement(Product):
    """A `Refinement` says how to find a sub-event and how to make it.

    `accept_tags` settle that a clip is one.
    """

    query: str = Field(description='4 to 12 words to search captions and labels with')
    fallback_caption: str = Field(
        min_length=1, description='one or two sentences to generate the sound from: material, surface, intensity'
    )
    accept_tags: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    @field_validator('query')
    @classmethod
    def _four_to_twelve_words(cls, query: str) -> str:
        if not SHORTEST_QUERY <= (count := len(query.split())) <= LONGEST_QUERY:
            raise ValueError(f'a query of {count} words, expected {SHORTEST_QUERY} to {LONGEST_QUERY}')
        return query


class Acceptance(str, enum.Enum):
    """An `Acceptance` is what becomes of a candidate."""

    ACCEPT = 'accept'
    REPROCESS = 'reprocess'
    REJECT = 'reject'


class Verdict(Product):
    """A `Verdict` is a judgement on one candidate.

    `conflicts` are the sub-events that it would clash with.
    """

    decision: Acceptance
    reason: str
    conflicts: tuple[str, ...] = ()

    @model_validator(mode='after')
    def _accepted_without_conflicts(self) -> Verdict:
        if self.decision is Acceptance.ACCEPT and self.conflicts:
            raise ValueError(f'an accepted clip has no conflicts, this one has {list(self.conflicts)}')
        return self


class ClipInfo(Record):
    """A `ClipInfo` is a clip as curation sees it; `clip_id` finds its samples.

    `respond` is None where the context decides. `recording` is what must stay on one side of a split; it is empty for
    what was generated.
    """

    clip_id: str
    category: str
    caption: str
    duration_s: float = Field(gt=0)
    respond: bool | None
    source: str
    source_id: str = ''
    recording: str = ''
    licence: str = ''
    attribution: str = ''


class Proposal(Record):
    """A `Proposal` is one candidate for a sub-event, and what was said about it."""

    clip: ClipInfo
    reprocessed: bool
    verdict: Verdict


class Filling(str, enum.Enum):
    """A `Filling` says where a sub-event's sound came from."""

    RETRIEVAL = 'retrieval'
    REPROCESS = 'reprocess'  # retrieved, and accepted after TFJP
    GENERATION = 'generation'
    DROPPED = 'dropped'


class GroundedEvent(Record):
    """A `GroundedEvent` is a sub-event, the clip that fills it, and every verdict on the way there.

    `clip` is None, and `reason` says why, where the event was dropped. `respond` of a filled event is its clip's.
    """

    sub_event: SubEvent
    refinement: Refinement
    filling: Filling
    clip: ClipInfo | None
    trials: tuple[Proposal, ...]
    reason: str = ''
