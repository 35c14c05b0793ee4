"""Coherent scenes in place of sounds at random (paper §3.2, hierarchical event selection): planned, refined, grounded.

Planned by whoever the curators are, verified by rules; the scene says by whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.corpus.curation.curators import Curators
from training.corpus.curation.grammar import MADE_BY
from training.corpus.curation.grounding import Grounder
from training.corpus.curation.retrieval import TextIndex
from training.corpus.curation.scenario import ClipInfo, Refinement, Scenario
from training.corpus.curation.silence_audit import Label
from training.corpus.curation.verifier import RuleVerifier
from training.corpus.library import Library, LibraryClip
from training.corpus.mixing import Role
from training.corpus.sounds import load_answers
from training.corpus.tasks.script import Line, Sound, pause_s, warning
from training.corpus.tfjp import tfjp

_LONGEST_S = {Role.FOREGROUND: 3.5, Role.BACKGROUND: 6.0, Role.AMBIENT: 10.0}


@dataclass(frozen=True)
class Scene:
    """Foreground sounds over their layers, hazards with their warnings; who made it, and what went otherwise."""

    lines: list[Line]
    made_by: str
    notes: tuple[str, ...]


class Scenes:
    """Draws scenes from the clips of one side of the split."""

    def __init__(self, library: Library, clips: list[LibraryClip], curators: Curators) -> None:
        self._library = library
        self._curators = curators
        infos = [clip_info(clip, library.duration_s(clip.id)) for clip in clips]
        self._grounder = Grounder(
            TextIndex(infos), self._read, RuleVerifier(curators.grammar), lambda samples: tfjp(samples).samples
        )

    def _read(self, clip: ClipInfo) -> Samples:
        return self._library.samples(clip.clip_id)

    def draw(self, rng: np.random.Generator, foregrounds: int) -> Scene:
        """At most so many foreground sounds.

        What the rules find borderline is left out rather than mislabelled; so is what could not be grounded.
        """
        notes: list[str] = []
        scenario, refinements = self._curators.scene(rng, notes)
        lines = self._lines(scenario, refinements, foregrounds, rng)
        if not lines and scenario.made_by != MADE_BY:
            notes.append(f'the grammar planned: the library has no sound for {scenario.description!r}')
            (scenario,) = self._curators.grammar.plan(rng)
            lines = self._lines(scenario, self._curators.grammar.refine(scenario), foregrounds, rng)
        return Scene(lines, scenario.made_by, tuple(notes))

    def _lines(
        self, scenario: Scenario, refinements: Sequence[Refinement], foregrounds: int, rng: np.random.Generator
    ) -> list[Line]:
        lines: list[Line] = []
        for grounded in self._grounder.ground(scenario, refinements, rng):
            event = grounded.event
            if event.clip is None:
                continue
            role = event.sub_event.role
            audit = self._curators.rules.audit(event.clip, scenario.description)
            warned = audit.label is Label.RESPOND
            if audit.label is Label.BORDERLINE or (warned and role is not Role.FOREGROUND):
                continue
            if warned and event.clip.category not in load_answers():
                continue
            if role is Role.FOREGROUND:
                if foregrounds == 0:
                    continue
                foregrounds -= 1
            say = (warning(event.clip.category, rng),) if warned else ()
            longest_s = round(min(event.sub_event.rough_duration_s, _LONGEST_S[role]), 2)
            hear = Sound(clip=event.clip.clip_id, longest_s=longest_s)
            lines.append(Line(hear=hear, say=say, role=role, gap_s=pause_s(rng)))
        return lines


def clip_info(clip: LibraryClip, duration_s: float) -> ClipInfo:
    """A library's clip as curation sees it."""
    return ClipInfo(
        clip_id=clip.id,
        category=clip.category,
        caption=clip.caption,
        duration_s=duration_s,
        respond=clip.respond,
        source=clip.source,
        source_id=clip.source_id,
        recording=clip.recording,
        licence=clip.licence,
        attribution=clip.attribution,
    )
