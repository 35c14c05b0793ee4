"""The hazard taxonomy: what an urgent sentence is about, and how bad that is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from audio_interaction_ros.resources import shared_path
from audio_interaction_ros.safety.alarm_signatures import SIGNATURES

LISTENING_LOST = 'listening_lost'  # the hazard of an assistant that has gone deaf


class HazardFileError(ValueError):
    """The taxonomy file is missing or malformed."""


class Severity(IntEnum):
    """A `Severity` says how bad a hazard is, numbered as in msg/SafetyAlert.msg."""

    INFO = 0
    WARNING = 1
    DANGER = 2


@dataclass(frozen=True)
class Hazard:
    """A `Hazard` holds what is known about a hazard before it is heard.

    `also_called`: hazards that a model may take its sound for, where a signature knows better. `cooldown_s`: None takes
    the node's. `escalate_after_s`: 0 never does. `messages`: what to say, by language. `ignored`: it raises no alert.
    """

    name: str
    severity: Severity
    also_called: frozenset[str] = frozenset()
    cooldown_s: float | None = None
    escalate_after_s: float = 0.0
    messages: Mapping[str, str] = field(default_factory=dict)
    ignored: bool = False


_SEVERITY = '^(INFO|WARNING|DANGER)$'
_Severity = Annotated[str, Field(pattern=_SEVERITY)]
_Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra='forbid')

    severity: _Severity
    keywords: list[str] = Field(min_length=1)
    signatures: list[str] = Field(default_factory=list)
    also_called: list[str] = Field(default_factory=list)
    cooldown_s: _Seconds | None = None
    escalate_after_s: _Seconds | None = None
    messages: dict[str, str] = Field(default_factory=dict)

    @field_validator('signatures')
    @classmethod
    def _are_known(cls, names: list[str]) -> list[str]:
        if unknown := sorted(set(names) - set(SIGNATURES)):
            raise ValueError(f'signatures {unknown} found; give some of {", ".join(SIGNATURES)}')
        return names


class _Profile(BaseModel):
    """What differs from the rest of the file; numbers are for every hazard that has none of its own."""

    model_config = ConfigDict(extra='forbid')

    severities: dict[str, _Severity] = Field(default_factory=dict)
    ignored: list[str] = Field(default_factory=list)
    unknown_severity: _Severity | None = None
    cooldown_s: _Seconds | None = None
    escalate_after_s: _Seconds | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra='forbid')

    hazards: dict[str, _Entry] = Field(min_length=1)
    unknown_severity: _Severity
    listening_lost_severity: _Severity = 'DANGER'
    escalate_after_s: _Seconds = 0.0
    profiles: dict[str, _Profile] = Field(default_factory=dict)

    @model_validator(mode='after')
    def _profiles_know_the_hazards(self) -> _File:
        for name, profile in self.profiles.items():
            if unknown := sorted({*profile.severities, *profile.ignored} - set(self.hazards)):
                raise ValueError(
                    f"profile '{name}' names hazards that the file does not have: {unknown}; "
                    'correct the names, or add the hazards'
                )
        return self

    def hazard(self, name: str, profile: _Profile) -> Hazard:
        entry = self.hazards[name]

        def first(*given: float | None) -> float | None:
            return next((value for value in given if value is not None), None)

        return Hazard(
            name,
            Severity[profile.severities.get(name, entry.severity)],
            frozenset(entry.also_called),
            first(entry.cooldown_s, profile.cooldown_s),
            first(entry.escalate_after_s, profile.escalate_after_s, self.escalate_after_s) or 0.0,
            entry.messages,
            name in profile.ignored,
        )


class HazardTaxonomy:
    """A `HazardTaxonomy` finds the hazard of a sentence by the keyword that comes first in it.

    Of two keywords at one place the longer counts.
    """

    def __init__(
        self, keywords: dict[str, Hazard], signatures: dict[str, Hazard], unknown: Hazard, listening_lost: Hazard
    ) -> None:
        """Take hazards by `keywords`, lower-case words or phrases, and by `signatures`, names in SIGNATURES."""
        self.listening_lost = listening_lost
        self._hazards = keywords
        self._signatures = signatures
        self._unknown = unknown
        longest_first = sorted(map(re.escape, keywords), key=len, reverse=True)
        self._pattern = re.compile(rf'\b({"|".join(longest_first)})(?:s|es|ed|ing)?\b', re.IGNORECASE)

    def hazard_of(self, text: str) -> Hazard:
        """Return the hazard that a text names.

        The unknown hazard when no keyword is in it: an urgent sentence is never passed over.
        """
        match = self._pattern.search(' '.join(text.split()))
        return self._hazards[match[1].lower()] if match else self._unknown

    def hazard_of_signature(self, name: str) -> Hazard:
        """Return the hazard of a signature.

        The unknown hazard for one that the file does not list: it is never passed over either.
        """
        return self._signatures.get(name, self._unknown)

    @classmethod
    def load(cls, path: Path, profile: str = '') -> HazardTaxonomy:
        """Read a taxonomy file, with one of its profiles applied if named.

        Raises HazardFileError, naming the file and what is wrong in it, or the profiles that it has.
        """
        try:
            content = _File.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise HazardFileError(
                f"'{path}' is no hazard taxonomy; restore it or leave hazards_file empty: {error}"
            ) from error
        if profile and profile not in content.profiles:
            raise HazardFileError(
                f"profile is '{profile}', '{path}' has {', '.join(content.profiles) or 'none'}; give one of those, or "
                'leave it empty'
            )
        chosen = content.profiles[profile] if profile else _Profile()
        hazards = {name: content.hazard(name, chosen) for name in content.hazards}
        keywords = {word.lower(): hazards[name] for name, entry in content.hazards.items() for word in entry.keywords}
        signatures = {one: hazards[name] for name, entry in content.hazards.items() for one in entry.signatures}
        unknown = Hazard(
            'unknown',
            Severity[chosen.unknown_severity or content.unknown_severity],
            cooldown_s=chosen.cooldown_s,
            escalate_after_s=chosen.escalate_after_s or content.escalate_after_s,
        )
        # Not heard but missed, so it has no words; deafness that comes back is a new one.
        deaf = Hazard(
            LISTENING_LOST,
            Severity[content.listening_lost_severity],
            cooldown_s=0.0,
            escalate_after_s=unknown.escalate_after_s,
        )
        return cls(keywords, signatures, unknown, deaf)


def default_taxonomy_path() -> Path:
    """Return the path of the package's config/safety.yaml. Raises HazardFileError when it is not installed."""
    path = shared_path('config/safety.yaml')
    if path is None:
        raise HazardFileError("the package's config/safety.yaml is not installed; install again or set hazards_file")
    return path
