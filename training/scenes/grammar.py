"""A seeded grammar makes scenes without a language model, from places, times of day and activities in grammar.yaml.

It plays the planner and the refiner of paper §3.2, and knows which sounds must not meet. What it makes is signed
'grammar'.
"""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import yaml
from pydantic import Field, ValidationError

from training.procedural.registry import ALL_TYPES
from training.scenes.scenario import LONGEST_QUERY, Constraint, Record, Refinement, Relation, Scenario, SubEvent
from training.streams import Role

GRAMMAR = Path(__file__).with_name('grammar.yaml')
MADE_BY = 'grammar'
MOST_SUB_EVENTS = 15
_STEP_TAKEN = 0.75
_PAUSE_S = 1.0  # allowed for after each foreground sound when the length of the ambient is stated


class GrammarError(ValueError):
    """A `GrammarError` says in one sentence where the grammar's file contradicts itself."""


class Place(Record):
    """A `Place` is where a scene can happen, and at which times of day if not at all of them."""

    phrase: str
    when: tuple[str, ...] = ()


class Activity(Record):
    """An `Activity` is what goes on somewhere: sounds in order of onset."""

    at: tuple[str, ...]
    when: tuple[str, ...] = ()
    steps: tuple[str, ...] = Field(min_length=2)


class GrammarSound(Record):
    """A `GrammarSound` is a kind of sound: where and when it belongs, in which roles, and how long.

    `query` finds such a sound, `caption` has one generated; `duration_s` is (shortest, longest) in seconds.
    """

    tags: tuple[str, ...] = Field(min_length=1, description='clip categories, any of which is this sound')
    phrase: str
    at: tuple[str, ...] = Field(min_length=1)
    when: tuple[str, ...] = ()
    roles: tuple[Role, ...] = Field(min_length=1)
    duration_s: tuple[float, float]
    query: str = Field(default='', description='words to search clips with; if empty, the phrase and the caption')
    caption: str = Field(
        default='', description="text to generate the sound from; if empty, the procedural sound's caption"
    )


class Rules(Record):
    """`Rules` are grammar.yaml as it stands."""

    times: tuple[str, ...]
    place_groups: dict[str, tuple[str, ...]]
    places: dict[str, Place]
    activities: dict[str, Activity]
    precedes: tuple[tuple[str, str], ...]
    sound_groups: dict[str, tuple[str, ...]]
    never: tuple[tuple[str, str], ...]
    apart: tuple[tuple[str, str], ...]
    sounds: dict[str, GrammarSound]


class Grammar:
    """A `Grammar` plans and refines scenes, and answers which categories go together."""

    stand_in: ClassVar[bool] = True

    def __init__(self, path: Path = GRAMMAR) -> None:
        """Read the grammar at `path`. Raises GrammarError: what is wrong, and where."""
        try:
            self.rules = Rules.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise GrammarError(f"'{path}' is no grammar: {error}") from error
        rules = self.rules
        self._never = self._pairs(rules.never)
        self._apart = self._pairs(rules.apart)
        _known('precedes', (name for pair in rules.precedes for name in pair), rules.sounds)
        try:
            graphlib.TopologicalSorter({second: {first} for first, second in rules.precedes}).prepare()
        except graphlib.CycleError as error:
            raise GrammarError(f'precedes goes round in a circle: {error.args[1]}') from error
        self._at = {name: self._places(f'sound {name}', sound.at) for name, sound in rules.sounds.items()}
        if wordless := [n for n, s in rules.sounds.items() if not s.caption and s.tags[0] not in _captions()]:
            raise GrammarError(f'{wordless} are no procedural sounds, whose captions could serve; give them captions')
        self._scenes = self._possible_scenes()
        self._sounds_tagged: dict[str, set[str]] = {}
        for name, sound in rules.sounds.items():
            for tag in sound.tags:
                self._sounds_tagged.setdefault(tag, set()).add(name)

    def _pairs(self, pairs: Iterable[tuple[str, str]]) -> set[frozenset[str]]:
        """Return the pairs of sounds with every group written out."""
        groups, found = self.rules.sound_groups, set()
        for one, other in pairs:
            members = [groups.get(name, (name,)) for name in (one, other)]
            _known(f'the pair [{one}, {other}]', (name for side in members for name in side), self.rules.sounds)
            found |= {frozenset((a, b)) for a in members[0] for b in members[1] if a != b}
        return found

    def _places(self, owner: str, at: Iterable[str]) -> frozenset[str]:
        groups = self.rules.place_groups
        places = frozenset(place for name in at for place in groups.get(name, (name,)))
        _known(owner, places, self.rules.places)
        return places

    def _possible_scenes(self) -> dict[str, list[tuple[str, str]]]:
        """Return place → (time, activity) pairs that can happen there."""
        scenes: dict[str, list[tuple[str, str]]] = {place: [] for place in self.rules.places}
        for name, activity in self.rules.activities.items():
            _known(f'activity {name}', activity.steps, self.rules.sounds)
            _known(f'activity {name}', activity.when, self.rules.times)
            for place in sorted(self._places(f'activity {name}', activity.at)):
                for time in self.rules.times:
                    if _fits(time, activity.when) and _fits(time, self.rules.places[place].when):
                        scenes[place].append((time, name))
        for place, possible in scenes.items():
            for time in {time for time, _ in possible}:
                if not self._fitting(place, time, Role.AMBIENT):
                    raise GrammarError(f'no ambient sound fits {place} in the {time}; let one be at {place}')
            if not possible:
                raise GrammarError(f'nothing happens at {place}; give it an activity')
        return scenes

    def _fitting(self, place: str, time: str, role: Role) -> list[str]:
        sounds = self.rules.sounds.items()
        return [n for n, s in sounds if role in s.roles and place in self._at[n] and _fits(time, s.when)]

    @property
    def tags(self) -> frozenset[str]:
        """Return every clip category that some sound of the grammar stands for."""
        return frozenset(self._sounds_tagged)

    def exclusive(self, category: str, other: str) -> bool:
        """Return True if the two clip categories may not be in one scene.

        A category that the grammar does not know goes with everything.
        """
        return self._meet(category, other, self._never)

    def clash(self, category: str, other: str) -> bool:
        """Return True if the two clip categories may not sound at the same time.

        A category that the grammar does not know goes with everything.
        """
        return self._meet(category, other, self._never | self._apart)

    def _meet(self, category: str, other: str, pairs: set[frozenset[str]]) -> bool:
        ones, others = self._sounds_tagged.get(category, ()), self._sounds_tagged.get(other, ())
        found = [frozenset((one, another)) in pairs for one in ones for another in others]
        # A category of several sounds, such as water, clashes only if each of them does.
        return bool(found) and all(found)

    def plan(self, rng: np.random.Generator) -> list[Scenario]:
        """Return one scene, in a list as of any planner.

        It has a place, a time, an activity there, what else may happen, and what runs beneath it.
        """
        place = _pick(rng, list(self._scenes))
        time, activity = _pick(rng, self._scenes[place])
        scene: dict[str, Role] = {}

        def add(names: Sequence[str], role: Role, most: int) -> None:
            for name in names:
                if sum(other is role for other in scene.values()) >= most or len(scene) >= MOST_SUB_EVENTS:
                    return
                if name not in scene and self._goes_with(name, role, scene):
                    scene[name] = role

        ambients = self._fitting(place, time, Role.AMBIENT)
        backgrounds = self._fitting(place, time, Role.BACKGROUND)
        foregrounds = self._fitting(place, time, Role.FOREGROUND)
        add(_shuffled(rng, ambients), Role.AMBIENT, 2 if rng.random() < 0.25 else 1)
        steps = [step for step in self.rules.activities[activity].steps if step in foregrounds]
        add([step for step in steps if rng.random() < _STEP_TAKEN], Role.FOREGROUND, MOST_SUB_EVENTS)
        happened = sum(role is Role.FOREGROUND for role in scene.values())
        add(_shuffled(rng, foregrounds), Role.FOREGROUND, max(2, happened + int(rng.integers(4))))
        add(_shuffled(rng, backgrounds), Role.BACKGROUND, int(rng.integers(3)))
        order = self._in_order(scene, happened, rng)
        return [self._scenario(place, time, activity, scene, order, rng)]

    def _goes_with(self, name: str, role: Role, scene: dict[str, Role]) -> bool:
        for other, its_role in scene.items():
            pair = frozenset((name, other))
            layered = role is not Role.FOREGROUND or its_role is not Role.FOREGROUND
            if pair in self._never or (layered and pair in self._apart):
                return False
        return True

    def _in_order(self, scene: dict[str, Role], happened: int, rng: np.random.Generator) -> list[str]:
        """Return the names of the sounds in order of onset: layers first, then the foreground, causes before effects.

        The steps of the activity keep their order; the other foreground sounds fall anywhere between them.
        """
        foregrounds = [name for name, role in scene.items() if role is Role.FOREGROUND]
        waiting = foregrounds[:happened]
        for name in foregrounds[happened:]:
            waiting.insert(int(rng.integers(len(waiting) + 1)), name)
        order = [name for name, role in scene.items() if role is not Role.FOREGROUND]
        while waiting:
            held_back = {second for first, second in self.rules.precedes if first in waiting}
            # There is one: `precedes` has no circle.
            order.append(next(name for name in waiting if name not in held_back))
            waiting.remove(order[-1])
        return order

    def _scenario(
        self, place: str, time: str, activity: str, scene: dict[str, Role], order: list[str], rng: np.random.Generator
    ) -> Scenario:
        lengths_s = {name: _log_uniform(rng, *self.rules.sounds[name].duration_s) for name in order}
        foreground = [name for name in order if scene[name] is Role.FOREGROUND]
        whole_s = round(sum(lengths_s[name] + _PAUSE_S for name in foreground), 1)
        lengths_s |= {name: whole_s for name in order if scene[name] is Role.AMBIENT}
        sounds = self.rules.sounds
        rules = [(Relation.PRECEDES, *pair) for pair in self.rules.precedes if set(pair) <= set(foreground)]
        for index, first in enumerate(foreground):
            rules += [
                (Relation.APART, first, n) for n in foreground[index + 1 :] if frozenset((first, n)) in self._apart
            ]
        return Scenario(
            description=f'{self.rules.places[place].phrase.capitalize()}, {time}: {activity}.',
            sub_events=tuple(
                SubEvent(
                    name=name,
                    role=scene[name],
                    rough_duration_s=lengths_s[name],
                    brief_description=sounds[name].phrase,
                )
                for name in order
            ),
            constraints=tuple(Constraint(rule=rule, first=first, second=second) for rule, first, second in rules),
            made_by=MADE_BY,
        )

    def refine(self, scenario: Scenario) -> list[Refinement]:
        """Return query, fallback caption and accepted tags of each sub-event.

        Raises GrammarError for a sub-event that the grammar does not know.
        """
        _known('the scenario', (event.name for event in scenario.sub_events), self.rules.sounds)
        return [_refinement(self.rules.sounds[event.name]) for event in scenario.sub_events]

    def phrase(self, category: str) -> str:
        """Return a noun phrase for a clip category: 'a barking dog'.

        Where the grammar has none, the category itself is returned.
        """
        names = sorted(self._sounds_tagged.get(category, ()), key=lambda name: len(self.rules.sounds[name].tags))
        return self.rules.sounds[names[0]].phrase if names else category


def _refinement(sound: GrammarSound) -> Refinement:
    caption = sound.caption or _captions()[sound.tags[0]]
    return Refinement(
        query=sound.query or ' '.join([*sound.phrase.split(), *caption.rstrip('.').split()][:LONGEST_QUERY]),
        # Headed by its name: among so much material and surface a generator's index would miss the sound.
        fallback_caption=f'{sound.tags[0].capitalize()}. {caption}',
        accept_tags=sound.tags,
        made_by=MADE_BY,
    )


@functools.cache
def _captions() -> dict[str, str]:
    """Return category → caption of its first procedural sound."""
    return {kind.category: kind.caption for kind in reversed(ALL_TYPES.values())}


def _known(owner: str, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := set(names) - set(known):
        raise GrammarError(
            f'{owner} names {sorted(unknown)}, which the grammar does not define; define it or correct it'
        )


def _fits(time: str, when: Sequence[str]) -> bool:
    return not when or time in when


def _pick(rng: np.random.Generator, choices: Sequence):
    return choices[int(rng.integers(len(choices)))]


def _shuffled(rng: np.random.Generator, names: list[str]) -> list[str]:
    return [names[i] for i in rng.permutation(len(names))]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 1)
