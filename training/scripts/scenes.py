"""Event selection plans, refines and grounds coherent scenes in place of sounds at random (paper §3.2).

Scenes are planned and verified by whoever the curators are; each scene says by whom it was planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.clips.answers import load_answers
from training.clips.store import ClipStore, StoredClip
from training.procedural.registry import CRITERION_OF
from training.scenes.audit import Audit, Label
from training.scenes.curators import Curators
from training.scenes.grammar import MADE_BY
from training.scenes.grounding import Grounder, Reprocess
from training.scenes.scenario import ClipInfo, Refinement, Relation, Scenario, SubEvent
from training.scenes.selection import SelectionSettings, make_generator, make_retriever
from training.scripts.accepted import Accepted
from training.scripts.script import Line, Sound, pause_s, pick, warning
from training.streams import Role

# From a clip, the first so many seconds that sound, cleaned as they are mixed; True: its pauses are kept.
Cut = Callable[[Samples, float, bool], Samples]
_LONGEST_S = {Role.FOREGROUND: 3.5, Role.BACKGROUND: 6.0, Role.AMBIENT: 10.0}


@dataclass(frozen=True)
class Scene:
    """A `Scene` is foreground sounds over their layers, hazards with their warnings.

    It says who made it, and in `notes` what went otherwise.
    """

    lines: list[Line]
    made_by: str
    notes: tuple[str, ...]


class Scenes:
    """`Scenes` plans scenes and grounds them in the clips of one side of the split."""

    def __init__(
        self,
        library: ClipStore,
        clips: list[StoredClip],
        curators: Curators,
        reprocess: Reprocess,
        selection: SelectionSettings | None = None,
        cut: Cut | None = None,
        accepted: Accepted | None = None,
    ) -> None:
        """Index the clips; `reprocess` is TFJP, for a clip that the verifier would accept after it.

        Where the `selection` says so, clips are judged as `cut` leaves them, and kept so in `accepted`.
        """
        selection = selection or SelectionSettings()
        self._library = library
        self._curators = curators
        self._accepted = accepted if selection.accepted else None
        self._cut = cut
        self._split = clips[0].split if clips else ''
        infos = [clip_info(clip, library.duration_s(clip.id)) for clip in clips]
        self._grounder = Grounder(
            make_retriever(selection, infos, self._read),
            self._read,
            curators,
            reprocess,
            make_generator(selection),
            self._prepare if selection.accepted else None,
        )

    def _read(self, clip: ClipInfo) -> Samples:
        return self._library.samples(clip.clip_id)

    def _prepare(self, clip: ClipInfo, samples: Samples, event: SubEvent) -> Samples:
        cadence = clip.clip_id in self._library and self._library[clip.clip_id].cadence
        return samples if self._cut is None else self._cut(samples, _longest_s(event), cadence)

    def draw(self, rng: np.random.Generator, foregrounds: int, roles: Collection[Role] = tuple(Role)) -> Scene:
        """Return a scene of at most `foregrounds` foreground sounds, with sounds of the `roles` alone.

        What the rules find borderline is left out rather than mislabelled; so is what could not be grounded.
        """
        notes: list[str] = []
        scenario, refinements = self._curators.scene(rng, notes)
        lines = self._lines(scenario, refinements, foregrounds, roles, rng)
        if not lines and scenario.made_by != MADE_BY:
            notes.append(f'the grammar planned: the library has no sound for {scenario.description!r}')
            (scenario,) = self._curators.grammar.plan(rng)
            lines = self._lines(scenario, self._curators.grammar.refine(scenario), foregrounds, roles, rng)
        return Scene(lines, scenario.made_by, tuple(notes))

    def _lines(
        self,
        scenario: Scenario,
        refinements: Sequence[Refinement],
        foregrounds: int,
        roles: Collection[Role],
        rng: np.random.Generator,
    ) -> list[Line]:
        lines: list[Line] = []
        unmixable = _unmixable(scenario)
        if self._accepted is not None:  # judged at the length that is mixed
            scenario = _shortened(scenario)
        for grounded in self._grounder.ground(scenario, refinements, rng, roles):
            event = grounded.event
            if event.clip is None or event.sub_event.name in unmixable:
                continue
            role = event.sub_event.role
            if role is Role.FOREGROUND and foregrounds == 0:
                continue
            audit = self._curators.rules.audit(event.clip, scenario.description)
            longest_s = _longest_s(event.sub_event)
            if line := _line(event.clip, role, longest_s, audit, rng):
                if self._accepted is not None and grounded.samples is not None:
                    kept = self._accepted.keep(self._stored(event.clip), grounded.samples)
                    line = line.model_copy(update={'hear': Sound(clip=kept.id, longest_s=round(longest_s, 2))})
                lines.append(line)
                foregrounds -= role is Role.FOREGROUND
        return lines

    def _stored(self, clip: ClipInfo) -> StoredClip:
        """Return what the library knows of a clip, or what is known of one that was generated."""
        if clip.clip_id in self._library:
            return self._library[clip.clip_id]
        return StoredClip(
            id=clip.clip_id,
            category=clip.category,
            caption=clip.caption,
            respond=clip.respond,
            criterion=CRITERION_OF.get(clip.category, 'none') if clip.respond else 'none',
            split=self._split,
            recording=clip.clip_id,
            source=clip.source,
            source_id=clip.clip_id,
            licence='Apache-2.0' if clip.source.startswith('procedural') else 'that of the generator',
            attribution=f'made by {clip.source}',
        )


def _longest_s(event: SubEvent) -> float:
    return min(event.rough_duration_s, _LONGEST_S[event.role])


def _shortened(scenario: Scenario) -> Scenario:
    """Return the scenario with its sub-events as long as they can be in a stream; an ambient is tiled."""
    events = (
        event if event.role is Role.AMBIENT else event.model_copy(update={'rough_duration_s': _longest_s(event)})
        for event in scenario.sub_events
    )
    return scenario.model_copy(update={'sub_events': tuple(events)})


def _unmixable(scenario: Scenario) -> set[str]:
    """Return the layers that a constraint forbids: the mixer lays them at any time, so it cannot keep them to one.

    Foregrounds follow one another in the order of the scenario, which keeps every constraint among them.
    """
    layers = {event.name for event in scenario.sub_events if event.role is not Role.FOREGROUND}
    beds = {event.name for event in scenario.sub_events if event.role is Role.AMBIENT}
    found: set[str] = set()
    for constraint in scenario.constraints:
        pair = {constraint.first, constraint.second}
        if constraint.rule is Relation.PRECEDES:
            pair -= beds  # it lies under the whole scene, before and after
        # Of two layers the later one goes: the scene was thought of with the first.
        if pair & layers and not pair & found:
            found.add(constraint.second if constraint.second in pair & layers else constraint.first)
    return found


class RandomScenes:
    """`RandomScenes` puts any sounds together in place of a scene.

    That is what is left without event selection (paper §5.4, Table 6): as many of each role as a curated scene has,
    labelled by the same rules; nothing says whether they belong together.
    """

    def __init__(self, library: ClipStore, clips: list[StoredClip], curators: Curators) -> None:
        self._rules = curators.rules
        self._by_category: dict[str, list[ClipInfo]] = defaultdict(list)
        for clip in clips:
            self._by_category[clip.category].append(clip_info(clip, library.duration_s(clip.id)))

    def draw(self, rng: np.random.Generator, foregrounds: int, roles: Collection[Role] = tuple(Role)) -> Scene:
        """Return at most `foregrounds` foreground sounds, and up to four layers, of the `roles` alone."""
        drawn = [Role.AMBIENT] * (2 if rng.random() < 0.25 else 1)
        drawn += [Role.BACKGROUND] * int(rng.integers(3)) + [Role.FOREGROUND] * foregrounds
        lines = []
        for role in drawn:
            if role not in roles:
                continue
            clip = pick(rng, self._by_category[pick(rng, sorted(self._by_category))])
            if line := _line(clip, role, _LONGEST_S[role], self._rules.audit(clip), rng):
                lines.append(line)
        return Scene(lines, 'chance', ())


def _line(clip: ClipInfo, role: Role, longest_s: float, audit: Audit, rng: np.random.Generator) -> Line | None:
    """Return a clip as a line of the script, with its warning.

    It is None for what is borderline, or would need a warning and has none.
    """
    warned = audit.label is Label.RESPOND
    if audit.label is Label.BORDERLINE or (warned and role is not Role.FOREGROUND):
        return None
    if warned and clip.category not in load_answers():
        return None
    say = (warning(clip.category, rng),) if warned else ()
    hear = Sound(clip=clip.clip_id, longest_s=round(longest_s, 2))
    return Line(hear=hear, say=say, role=role, gap_s=pause_s(rng))


def clip_info(clip: StoredClip, duration_s: float) -> ClipInfo:
    """Return a library's clip as curation sees it; `duration_s` is in seconds."""
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
