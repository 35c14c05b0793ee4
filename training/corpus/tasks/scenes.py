"""Coherent scenes in place of sounds at random (paper §3.2, hierarchical event selection): planned, refined, grounded.

The embedded default plans with the scenario grammar and verifies by rules; scripts say so in `made_by`.
"""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.corpus.curation.grammar import Grammar
from training.corpus.curation.grounding import Grounder
from training.corpus.curation.retrieval import TextIndex
from training.corpus.curation.scenario import ClipInfo
from training.corpus.curation.silence_audit import Label, RuleAuditor
from training.corpus.curation.verifier import RuleVerifier
from training.corpus.library import Library, LibraryClip
from training.corpus.mixing import Role
from training.corpus.sounds import load_answers
from training.corpus.tasks.script import Line, Sound, pause_s, pick, warning
from training.corpus.tfjp import tfjp

_LONGEST_S = {Role.FOREGROUND: 3.5, Role.BACKGROUND: 6.0, Role.AMBIENT: 10.0}


class Scenes:
    """Draws scenes from the clips of one side of the split."""

    def __init__(self, library: Library, clips: list[LibraryClip]) -> None:
        grammar = Grammar()
        self._library = library
        self._planner = grammar
        self._auditor = RuleAuditor(grammar.criteria)
        infos = [_info(clip, library.duration_s(clip.id)) for clip in clips]
        self._grounder = Grounder(
            TextIndex(infos), self._read, RuleVerifier(grammar), lambda samples: tfjp(samples).samples
        )

    def _read(self, clip: ClipInfo) -> Samples:
        return self._library.samples(clip.clip_id)

    def draw(self, rng: np.random.Generator, foregrounds: int) -> tuple[list[Line], str]:
        """Lines of at most so many foreground sounds over their layers, hazards with their warnings; and who made it.

        What the audit finds borderline is left out rather than mislabelled; so is what could not be grounded.
        """
        scenario = pick(rng, self._planner.plan(rng))
        lines: list[Line] = []
        for grounded in self._grounder.ground(scenario, self._planner.refine(scenario), rng):
            event = grounded.event
            if event.clip is None:
                continue
            role = event.sub_event.role
            audit = self._auditor.audit(event.clip, scenario.description)
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
        return lines, scenario.made_by


def _info(clip: LibraryClip, duration_s: float) -> ClipInfo:
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
