"""Real clips ground a scene: retrieved, reprocessed, generated, or dropped with the reason; every verdict on record."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import soundfile

from tests.clip_library import miniature_clip_library
from training.procedural.registry import SOUND_TYPES
from training.render.tfjp import TfjpError, tfjp
from training.scenes.grammar import Grammar
from training.scenes.grounding import Grounder
from training.scenes.retrieval import TextIndex
from training.scenes.scenario import Acceptance, ClipInfo, Filling, Scenario, SubEvent
from training.scenes.verifier import RuleVerifier
from training.sources.clip_library import NO_EVENT, Clip, load_library
from training.streams import Role

GRAMMAR = Grammar()


def describe(clip: Clip, clip_id: str) -> ClipInfo:
    """A clip of a manifest.csv folder. Reads the header of its file for the length."""
    return ClipInfo(
        clip_id=clip_id,
        category=clip.category,
        caption=clip.caption,
        duration_s=soundfile.info(clip.path).duration,
        respond=clip.respond,
        source=clip.source,
        source_id=clip.source_id,
        recording=clip.recording,
        licence=clip.licence,
        attribution=clip.attribution,
    )


@dataclass(frozen=True)
class Sound:
    samples: np.ndarray
    caption: str
    category: str
    respond: bool
    made_by: str = 'procedural'


class Procedural:
    """The type whose category the caption names; refuses what it has not."""

    def __init__(self):
        self.asked = []

    def generate(self, caption, duration_s, rng):
        self.asked.append((caption, duration_s))
        for kind in SOUND_TYPES.values():
            if kind.category in caption.lower():
                return Sound(kind.render(rng), kind.caption, kind.category, kind.respond)
        raise ValueError('no procedural sound is called that')


@cache
def library():
    clips = {c.path.name: c for c in load_library(miniature_clip_library()) if c.category not in NO_EVENT}
    return clips, [describe(clip, clip_id) for clip_id, clip in clips.items()]


def read(info):
    return library()[0][info.clip_id].read().samples


def shorten(samples):
    return tfjp(samples).samples


def grounder(categories=None, generator=None, reprocess=shorten):
    infos = [info for info in library()[1] if categories is None or info.category in categories]
    return Grounder(TextIndex(infos), read, RuleVerifier(GRAMMAR), reprocess, generator)


def scenario(*sounds):
    """Over rain, unless told otherwise: (sound of the grammar, seconds, role)."""
    events = [
        SubEvent(name=name, role=role, rough_duration_s=seconds, brief_description=name)
        for name, seconds, role in sounds
    ]
    return Scenario(description='On a street, in the evening.', sub_events=tuple(events))


def ground(scene, with_grounder, seed=1):
    results = with_grounder.ground(scene, GRAMMAR.refine(scene), np.random.default_rng(seed))
    return {result.event.sub_event.name: result for result in results}


BED = ('wind', 30.0, Role.AMBIENT)
TALK = ('speech', 2.0, Role.FOREGROUND)


def test_a_fitting_clip_is_retrieved_as_it_is_and_keeps_its_origin():
    found = ground(scenario(BED, TALK, ('helicopter', 4.0, Role.FOREGROUND)), grounder())['helicopter']
    assert found.event.filling in (Filling.RETRIEVAL, Filling.REPROCESS)
    assert found.event.clip.category == 'helicopter'
    assert found.event.clip.licence and found.event.clip.recording and found.event.clip.source_id
    assert all(trial.verdict.made_by == 'rules' for trial in found.event.trials)
    if found.event.filling is Filling.RETRIEVAL:
        np.testing.assert_array_equal(found.samples, read(found.event.clip))


def test_an_ambient_is_looped_so_its_length_and_edges_do_not_matter():
    found = ground(scenario(('rain', 60.0, Role.AMBIENT), TALK, ('train', 2.0, Role.FOREGROUND)), grounder())['rain']
    assert found.event.filling is Filling.RETRIEVAL
    assert found.event.clip.duration_s < 30


def test_a_clip_that_is_too_long_goes_through_tfjp_once_and_is_judged_again():
    calls = []

    def counted(samples):
        calls.append(len(samples))
        return shorten(samples)

    scene = scenario(BED, TALK, ('sneeze', 1.0, Role.FOREGROUND))  # the recordings are padded to five seconds
    found = ground(scene, grounder({'person sneeze', 'speech', 'wind'}, reprocess=counted))['sneeze']
    assert found.event.filling is Filling.REPROCESS
    before, after = found.event.trials[-2:]
    assert (before.verdict.decision, before.reprocessed) == (Acceptance.REPROCESS, False)
    assert (after.verdict.decision, after.reprocessed) == (Acceptance.ACCEPT, True)
    assert before.clip.clip_id == after.clip.clip_id
    assert 0.5 <= len(found.samples) / 16_000 <= 2.0 < before.clip.duration_s
    assert found.event.clip.duration_s == len(found.samples) / 16_000
    trials = Counter(trial.clip.clip_id for trial in found.event.trials if trial.reprocessed)
    assert max(trials.values()) == 1


def test_what_reprocessing_cannot_mend_is_rejected_and_the_next_candidate_tried():
    scene = scenario(BED, TALK, ('sneeze', 1.0, Role.FOREGROUND))
    found = ground(scene, grounder({'person sneeze', 'speech', 'wind'}, reprocess=lambda samples: samples))['sneeze']
    assert found.event.filling is Filling.DROPPED
    assert [trial.reprocessed for trial in found.event.trials] == [False, True] * 3
    assert found.event.reason == 'none of 3 clips was accepted, and there is no generator'

    def refuse(samples):
        raise TfjpError('cannot')

    found = ground(scene, grounder({'person sneeze', 'speech', 'wind'}, reprocess=refuse))['sneeze']
    assert found.samples is None
    assert [t.verdict.reason for t in found.event.trials if t.reprocessed] == ['TFJP: cannot'] * 3


def test_what_the_library_lacks_is_generated_from_the_fallback_caption_under_the_same_verifier():
    generator = Procedural()
    scene = scenario(BED, TALK, ('kettle', 4.0, Role.FOREGROUND))
    found = ground(scene, grounder(generator=generator))['kettle']
    assert found.event.filling is Filling.GENERATION
    assert found.event.clip.category == 'kettle' and found.event.clip.source == 'procedural'
    assert found.event.clip.clip_id.startswith('generated:')
    assert generator.asked == [(f'Kettle. {GRAMMAR.rules.sounds["kettle"].caption}', 4.0)]
    assert found.event.trials[-1].verdict.made_by == 'rules'
    assert [trial.verdict.decision for trial in found.event.trials if trial.clip.category != 'kettle'] == [
        Acceptance.REJECT
    ] * 3


def test_a_generated_sound_that_is_something_else_is_rejected_too():
    class Wrong(Procedural):
        def generate(self, caption, duration_s, rng):
            return super().generate('thunder', duration_s, rng)

    found = ground(scenario(BED, TALK, ('kettle', 4.0, Role.FOREGROUND)), grounder(generator=Wrong()))['kettle']
    assert found.event.filling is Filling.DROPPED and found.event.clip is None
    assert found.event.reason == 'none of 3 clips was accepted, nor what procedural made'
    assert 'thunder is none of kettle' in found.event.trials[-1].verdict.reason


def test_a_generator_that_names_no_category_made_what_it_was_asked_for():
    class FromWords(Procedural):
        def generate(self, caption, duration_s, rng):
            return replace(super().generate(caption, duration_s, rng), caption=caption, category='', respond=None)

    found = ground(scenario(BED, TALK, ('kettle', 4.0, Role.FOREGROUND)), grounder(generator=FromWords()))['kettle']
    assert found.event.filling is Filling.GENERATION
    assert (found.event.clip.category, found.event.clip.respond) == ('kettle', None)


def test_a_refusal_of_the_generator_is_the_reason():
    scene = scenario(BED, TALK, ('monkey', 1.5, Role.FOREGROUND))
    found = ground(scene, grounder({'wind', 'speech'}, Procedural()))['monkey']
    assert 'the generator refused: no procedural sound is called that' in found.event.reason


def test_a_clip_that_clashes_with_what_sounds_beneath_it_is_rejected_by_name():
    scene = scenario(('music', 30.0, Role.AMBIENT), TALK, ('footsteps', 1.0, Role.FOREGROUND))
    found = ground(scene, grounder())['speech']
    assert found.event.filling is Filling.DROPPED
    assert {trial.verdict.conflicts for trial in found.event.trials if trial.clip.category == 'speech'} == {('music',)}


def test_grounding_repeats_and_records_survive_json():
    scene = GRAMMAR.plan(np.random.default_rng(3))[0]
    first, again, other = (ground(scene, grounder(generator=Procedural()), seed) for seed in (1, 1, 2))
    for name, result in first.items():
        assert again[name].event == result.event
        assert type(result.event).model_validate_json(result.event.model_dump_json()) == result.event
    assert any(other[name].event != result.event for name, result in first.items())


def test_most_of_the_grammars_scenes_can_be_filled():
    grounds, filled = grounder(generator=Procedural()), Counter()
    for seed in range(12):
        rng = np.random.default_rng([8, seed])
        (scene,) = GRAMMAR.plan(rng)
        for result in grounds.ground(scene, GRAMMAR.refine(scene), rng):
            lacking = 'the generator refused' in result.event.reason  # neither it nor the library has such a sound
            filled['lacking' if lacking else result.event.filling] += 1
            assert (result.samples is None) is (result.event.filling is Filling.DROPPED) is bool(result.event.reason)
    assert all(filled[way] for way in (Filling.RETRIEVAL, Filling.REPROCESS, Filling.GENERATION))
    assert filled[Filling.DROPPED] < 0.3 * (filled.total() - filled['lacking']), filled


def test_refinements_must_match_the_scene():
    scene = scenario(BED, TALK, ('train', 2.0, Role.FOREGROUND))
    with pytest.raises(ValueError, match='2 refinements for 3 sub-events'):
        grounder().ground(scene, GRAMMAR.refine(scene)[:2], np.random.default_rng(1))


def test_search_finds_by_meaning_varies_between_equals_and_respects_length():
    index = TextIndex(library()[1])
    found = [index.search('a dog that is barking', np.random.default_rng(seed)) for seed in range(10)]
    assert all(info.category == 'dog bark' for infos in found for info in infos)
    assert {len(infos) for infos in found} == {3}
    assert len({info.clip_id for infos in found for info in infos}) > 5
    long = index.search('somebody speaking', np.random.default_rng(1), shortest_s=10.0)
    assert long and all(isinstance(info, ClipInfo) and info.duration_s >= 10.0 for info in long)
    with pytest.raises(ValueError, match='no clips'):
        TextIndex([])
