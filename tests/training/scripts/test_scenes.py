"""Scenes hold what was accepted for them: the sound that a verifier judged, retrieved or generated, as it was."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.training.chat_server import Say as Answer
from tests.training.chat_server import chat_server
from tests.training.scripts.conftest import TYPES
from training.clips.store import ClipStore, write_part
from training.llm import LlmClient, LlmSettings
from training.render.mix import Mixing
from training.render.render import Performance, cut, perform
from training.render.tfjp import TfjpSettings, tfjp
from training.scenes.scenario import Constraint, Refinement, Relation, Scenario, SubEvent
from training.scenes.selection import SelectionSettings
from training.scripts.accepted import ACCEPTED
from training.scripts.sampler import with_layers
from training.scripts.script import Line, Say, Script, Sound
from training.scripts.shelf import Shelf
from training.streams import Role


def shelf(library: ClipStore, client: LlmClient | None = None, **selection: object) -> Shelf:
    settings = SelectionSettings(accepted=True, **selection)  # type: ignore[arg-type]
    return Shelf(
        library,
        'train',
        lambda samples: tfjp(samples).samples,
        client,
        selection=settings,
        cut=partial(cut, settings=TfjpSettings()),
    )


def scene_of(events: dict[str, tuple[Role, str]], *constraints: Constraint) -> tuple[Scenario, list[Refinement]]:
    """A scene as a planner would hand it over: name → role and the category that it is."""
    length_s = 2.0 * sum(role is Role.FOREGROUND for role, _ in events.values())
    return (
        Scenario(
            description='At home, in the evening.',
            sub_events=tuple(
                SubEvent(
                    name=name,
                    role=role,
                    rough_duration_s=length_s if role is Role.AMBIENT else 2.0,
                    brief_description=name,
                )
                for name, (role, _) in events.items()
            ),
            constraints=constraints,
            made_by='a model',
        ),
        [
            Refinement(query=f'the sound of {tag}', fallback_caption=f'{tag}. {tag}', accept_tags=(tag,))
            for _, tag in events.values()
        ],
    )


def test_what_the_verifier_accepted_is_what_is_mixed(
    library: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at_home = shelf(library)
    judged: list[np.ndarray] = []
    verify = at_home.curators.verify

    def watched(candidate):
        judged.append(candidate.samples)
        return verify(candidate)

    monkeypatch.setattr(at_home.curators, 'verify', watched)
    scenes = [at_home.scene(np.random.default_rng(seed), 3) for seed in range(6)]
    heard = [line for scene in scenes for line in scene.lines]
    assert heard
    for line in heard:
        assert isinstance(line.hear, Sound) and line.hear.clip.startswith(ACCEPTED)
        clip, samples = at_home.accepted.clips[line.hear.clip]
        assert any(samples is one for one in judged)
        assert clip.recording in TYPES  # it is known still whose sound it is
    write_part(tmp_path / 'part', at_home.accepted.clips.values())
    stored = ClipStore(tmp_path)
    both = ClipStore(library_folder(library), tmp_path)
    (line, *_) = (line for line in heard if line.role is Role.FOREGROUND)
    script = Script(category='proactive respond', task='hazard', lines=(line,))
    dry = Performance(measured_room_share=0, mixing=Mixing(room_share=0, snr_db=(60.0, 60.0)))
    stream, mixed = perform('x', script, 'train', {}, both, both, dry, np.random.default_rng(3))
    (event,) = stream.events
    accepted = stored.samples(event.clip)
    assert event.end - event.onset == len(accepted)
    assert np.corrcoef(mixed[event.onset : event.end], accepted)[0, 1] > 0.99


def library_folder(library: ClipStore) -> Path:
    return library._parts[0].parent  # the store's own folder


def test_what_no_clip_fits_is_generated_and_only_where_a_recipe_names_a_generator(
    library: ClipStore, monkeypatch: pytest.MonkeyPatch
):
    events = {
        'wind': (Role.AMBIENT, 'wind'),
        'blender': (Role.FOREGROUND, 'blender'),
        'steps': (Role.FOREGROUND, 'footsteps'),
    }
    for generators, expected in (((), set()), (('procedural',), {'blender'})):
        at_home = shelf(library, generators=generators)
        monkeypatch.setattr(at_home.curators, 'scene', lambda rng, notes: scene_of(events))
        found = [at_home.scene(np.random.default_rng(seed), 3) for seed in range(8)]
        clips = [at_home.clip(line.hear.clip) for scene in found for line in scene.lines]  # type: ignore[union-attr]
        assert {clip.category for clip in clips if clip.source.startswith('procedural')} == expected
        assert all(clip.split == 'train' and clip.licence for clip in clips if clip.category in expected)


def test_a_layer_that_a_constraint_forbids_is_left_out(library: ClipStore, monkeypatch: pytest.MonkeyPatch):
    events = {
        'wind': (Role.AMBIENT, 'wind'),
        'rain': (Role.AMBIENT, 'rain'),
        'birds': (Role.BACKGROUND, 'bird'),
        'steps': (Role.FOREGROUND, 'footsteps'),
        'door': (Role.FOREGROUND, 'door'),
    }
    rules = (
        Constraint(rule=Relation.PRECEDES, first='steps', second='door'),
        Constraint(rule=Relation.APART, first='rain', second='steps'),
    )
    for constraints, left in ((), {'wind', 'rain'}), (rules, {'wind'}):
        at_home = shelf(library)
        monkeypatch.setattr(at_home.curators, 'scene', lambda rng, notes, c=constraints: scene_of(events, *c))
        lines = at_home.scene(np.random.default_rng(1), 3).lines
        beds = {at_home.clip(line.hear.clip).category for line in lines if line.role is Role.AMBIENT}  # type: ignore[union-attr]
        assert beds == left


def test_layers_of_a_scene_lie_beneath_any_ability_but_none_that_is_asked_for(library: ClipStore):
    at_home = Shelf(library, 'train', lambda samples: tfjp(samples).samples)
    steps = Line(hear=Sound(clip='footsteps'), say=(Say(text='I hear: footsteps.'),))
    rain = steps.model_copy(update={'hear': Sound(clip='rain')})
    layered = 0
    for seed in range(40):
        script = Script(category='streaming audio understanding', task='describe', lines=(steps, rain))
        made = with_layers(script, at_home, np.random.default_rng(seed))
        layers = made.lines[2:]
        assert made.lines[:2] == script.lines and made.made_by.endswith('grammar' if layers else 'templates')
        layered += bool(layers)
        for line in layers:
            assert line.role is not Role.FOREGROUND and not line.say and isinstance(line.hear, Sound)
            assert library[line.hear.clip].category not in ('footsteps', 'rain')
        assert with_layers(made, at_home, np.random.default_rng(seed)) == made or not layers  # once is enough
    assert layered > 30


def test_the_chat_model_judges_where_a_recipe_says_so_and_the_rules_where_it_has_no_usable_answer(
    library: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events = {'wind': (Role.AMBIENT, 'wind'), 'steps': (Role.FOREGROUND, 'footsteps')}
    events['rain'] = (Role.BACKGROUND, 'rain')
    rejected = json.dumps({'decision': 'reject', 'reason': 'Identity: no.', 'conflicts': []})
    for said, verifier, heard, asked in (
        (rejected, 'llm', False, True),
        ('who knows?', 'llm', True, True),
        (rejected, 'rules', True, False),
    ):
        with chat_server(lambda _, request, said=said: Answer(said)) as server:
            settings = LlmSettings(
                base_url=server.url,
                model='local',
                cache=tmp_path / f'{said[:3]}{verifier}',
                corrections=0,
                requests_per_minute=60_000,
            )  # type: ignore[call-arg]
            at_home = shelf(library, LlmClient(settings), verifier=verifier)
            monkeypatch.setattr(at_home.curators, 'scene', lambda rng, notes: scene_of(events))
            lines = [line for seed in range(4) for line in at_home.scene(np.random.default_rng(seed), 3).lines]
            prompts = [request['messages'][1]['content'] for request in server.requests]
        assert bool(prompts) is asked
        # Where it rejects all, the grammar's own scene is tried after the model's, and rejected too.
        assert bool(lines) is heard
