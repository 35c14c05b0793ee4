"""The hazard taxonomy: what an urgent sentence is about, and how bad that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from audio_interaction_ros.resources import shared_path
from audio_interaction_ros.safety.alarm_signatures import SIGNATURES


class HazardFileError(ValueError):
    """The taxonomy file is missing or malformed."""


class Severity(IntEnum):
    """As in msg/SafetyAlert.msg."""

    INFO = 0
    WARNING = 1
    DANGER = 2


@dataclass(frozen=True)
class Hazard:
    """`also_called`: hazards that a model may take its sound for, where a signature knows better."""

    name: str
    severity: Severity
    also_called: frozenset[str] = frozenset()


class _Entry(BaseModel):
    model_config = ConfigDict(extra='forbid')

    severity: str = Field(pattern='^(INFO|WARNING|DANGER)$')
    keywords: list[str] = Field(min_length=1)
    signatures: list[str] = Field(default_factory=list)
    also_called: list[str] = Field(default_factory=list)

    @field_validator('signatures')
    @classmethod
    def _are_known(cls, names: list[str]) -> list[str]:
        if unknown := sorted(set(names) - set(SIGNATURES)):
            raise ValueError(f'signatures {unknown} found, some of {", ".join(SIGNATURES)} expected')
        return names


class _File(BaseModel):
    model_config = ConfigDict(extra='forbid')

    hazards: dict[str, _Entry] = Field(min_length=1)
    unknown_severity: str = Field(pattern='^(INFO|WARNING|DANGER)$')


class HazardTaxonomy:
    """Finds the hazard of a sentence: the keyword that comes first in it; of two at one place, the longer."""

    def __init__(self, keywords: dict[str, Hazard], signatures: dict[str, Hazard], unknown: Hazard) -> None:
        """`keywords`: lower-case word or phrase → hazard; `signatures`: name in SIGNATURES → hazard."""
        self._hazards = keywords
        self._signatures = signatures
        self._unknown = unknown
        longest_first = sorted(map(re.escape, keywords), key=len, reverse=True)
        self._pattern = re.compile(rf'\b({"|".join(longest_first)})(?:s|es|ed|ing)?\b', re.IGNORECASE)

    def hazard_of(self, text: str) -> Hazard:
        """The unknown hazard when no keyword is in the text: an urgent sentence is never passed over."""
        match = self._pattern.search(' '.join(text.split()))
        return self._hazards[match[1].lower()] if match else self._unknown

    def hazard_of_signature(self, name: str) -> Hazard:
        """The unknown hazard for a signature that the file does not list: it is never passed over either."""
        return self._signatures.get(name, self._unknown)

    @classmethod
    def load(cls, path: Path) -> HazardTaxonomy:
        """Raises HazardFileError, naming the file and what is wrong in it."""
        try:
            content = _File.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise HazardFileError(
                f"'{path}' is no hazard taxonomy; restore it or leave hazards_file empty: {error}"
            ) from error
        hazards = {
            name: Hazard(name, Severity[entry.severity], frozenset(entry.also_called))
            for name, entry in content.hazards.items()
        }
        keywords = {word.lower(): hazards[name] for name, entry in content.hazards.items() for word in entry.keywords}
        signatures = {one: hazards[name] for name, entry in content.hazards.items() for one in entry.signatures}
        return cls(keywords, signatures, Hazard('unknown', Severity[content.unknown_severity]))


def default_taxonomy_path() -> Path:
    """config/safety.yaml of the package. Raises HazardFileError when it is not installed."""
    path = shared_path('config/safety.yaml')
    if path is None:
        raise HazardFileError("the package's config/safety.yaml is not installed; install again or set hazards_file")
    return path
